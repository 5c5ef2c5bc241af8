//! `#[derive(Event)]` and `#[derive(Request)]`: what one process says to another.

mod expand;
mod parse;
mod validate;

use proc_macro2::TokenStream;
use syn::{DeriveInput, Path, Result};

pub(crate) fn event(input: DeriveInput, root: &Path) -> Result<TokenStream> {
    let written = parse::attributes(&input, parse::Derive::Event)?;
    Ok(expand::event(&validate::event(&input, written)?, root))
}

pub(crate) fn request(input: DeriveInput, root: &Path) -> Result<TokenStream> {
    let written = parse::attributes(&input, parse::Derive::Request)?;
    Ok(expand::request(&validate::request(&input, written)?, root))
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    fn fault(result: Result<TokenStream>) -> String {
        let error = result.unwrap_err();
        error
            .into_iter()
            .map(|error| error.to_string())
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let faults = fault(request(
            parse_quote! {
                #[request(name = "a b")]
                union Q<T> { t: T }
            },
            &parse_quote!(::root),
        ));
        for expected in ["generic", "union", "' '", "#[reply("] {
            assert!(
                faults.contains(expected),
                "{expected} is missing in: {faults}"
            );
        }
    }

    #[test]
    fn the_written_name_and_the_reply_reach_the_expansion() {
        let expansion = request(
            parse_quote! {
                #[request(name = "prices.of")]
                #[reply(Option<u64>)]
                struct PriceOf { sku: String }
            },
            &parse_quote!(::root),
        )
        .unwrap()
        .to_string();
        assert!(expansion.contains("\"prices.of\""), "{expansion}");
        assert!(
            expansion.contains("type Reply = Option < u64 >"),
            "{expansion}"
        );
    }

    #[test]
    fn an_event_is_named_after_its_type() {
        let expansion = event(
            parse_quote!(
                enum Light {
                    Green,
                    Red,
                }
            ),
            &parse_quote!(::root),
        )
        .unwrap()
        .to_string();
        assert!(expansion.contains("\"Light\""), "{expansion}");
    }
}
