//! `#[main]`: the entry of every process.

mod expand;
mod validate;

use proc_macro2::TokenStream;
use syn::{ItemFn, Path, Result};

pub(crate) fn main_function(
    arguments: TokenStream,
    function: ItemFn,
    root: &Path,
) -> Result<TokenStream> {
    validate::main_function(&arguments, &function)?;
    Ok(expand::main_function(function, root))
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn attributes_stay_on_the_outer_function() {
        let expansion = main_function(
            TokenStream::new(),
            parse_quote!(
                #[allow(dead_code)]
                async fn main() {}
            ),
            &parse_quote!(::root),
        )
        .unwrap()
        .to_string();
        assert!(
            expansion
                .starts_with("# [allow (dead_code)] fn main () -> :: std :: process :: ExitCode"),
            "{expansion}"
        );
        assert!(
            expansion.contains(":: root :: run_main (main ())"),
            "{expansion}"
        );
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let error = main_function(
            "worker".parse().unwrap(),
            parse_quote!(
                unsafe extern "C" fn start<T>(t: T)
                where
                    T: Copy,
                {
                }
            ),
            &parse_quote!(::root),
        )
        .unwrap_err();
        assert_eq!(error.into_iter().count(), 8);
    }
}
