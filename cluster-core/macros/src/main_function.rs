//! `#[main]`: the entry of every process.

mod expand;
mod validate;

use proc_macro2::TokenStream;
use syn::{ItemFn, Path};

use crate::faults::Faults;

pub(crate) fn main_function(
    arguments: &TokenStream,
    function: &ItemFn,
    root: &Path,
    faults: &mut Faults,
) -> TokenStream {
    if validate::main_function(arguments, function, faults) {
        expand::main_function(function, root)
    } else {
        expand::empty(function)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn attributes_stay_on_the_outer_function() {
        let mut faults = Faults::default();
        let function = parse_quote!(
            #[allow(dead_code)]
            pub async fn main() {}
        );
        let root = parse_quote!(::root);
        let expansion =
            main_function(&TokenStream::new(), &function, &root, &mut faults).to_string();
        let signature = "# [allow (dead_code)] pub fn main () -> :: std :: process :: ExitCode";
        assert!(expansion.starts_with(signature), "{expansion}");
        assert!(
            expansion.contains("{ async fn main () { } :: root :: run_main"),
            "{expansion}"
        );
        assert_eq!(faults.messages(), [""; 0]);
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let mut faults = Faults::default();
        let function = parse_quote!(
            const unsafe extern "C" fn start<T>(t: T)
            where
                T: Copy,
            {
            }
        );
        let arguments = "worker".parse().unwrap();
        main_function(&arguments, &function, &parse_quote!(::root), &mut faults);
        assert_eq!(faults.messages().len(), 9, "{:#?}", faults.messages());
    }
}
