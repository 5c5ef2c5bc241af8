//! `#[derive(Event)]` and `#[derive(Request)]`: what one process says to another.

mod expand;
mod parse;
mod validate;

use parse::Derive;
use proc_macro2::TokenStream;
use syn::{DeriveInput, Path};

use crate::faults::Faults;

pub(crate) fn event(input: &DeriveInput, root: &Path, faults: &mut Faults) -> Option<TokenStream> {
    let written = parse::attributes(input, Derive::Event, faults);
    let event = validate::event(input, &written, faults)?;
    Some(expand::event(&event, root))
}

pub(crate) fn request(
    input: &DeriveInput,
    root: &Path,
    faults: &mut Faults,
) -> Option<TokenStream> {
    let written = parse::attributes(input, Derive::Request, faults);
    let request = validate::request(input, &written, faults)?;
    Some(expand::request(&request, root))
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    type Derived = fn(&DeriveInput, &Path, &mut Faults) -> Option<TokenStream>;

    fn derived(derive: Derived, input: DeriveInput) -> (Option<String>, Vec<String>) {
        let mut faults = Faults::default();
        let expansion = derive(&input, &parse_quote!(::root), &mut faults);
        (
            expansion.map(|tokens| tokens.to_string()),
            faults.messages(),
        )
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let (expansion, faults) = derived(
            request,
            parse_quote! {
                #[request(name = "a b")]
                #[event(name = "q")]
                union Q<T> where T: Copy { t: T }
            },
        );
        assert_eq!(expansion, None);
        assert_eq!(faults.len(), 6, "{faults:#?}");
    }

    #[test]
    fn the_written_name_and_the_reply_reach_the_expansion() {
        let (expansion, faults) = derived(
            request,
            parse_quote! {
                #[request(name = "prices.of")]
                #[reply(Option<u64>)]
                struct PriceOf { sku: String }
            },
        );
        let expansion = expansion.unwrap();
        assert!(expansion.contains("\"prices.of\""), "{expansion}");
        assert!(
            expansion.contains("type Reply = Option < u64 >"),
            "{expansion}"
        );
        assert_eq!(faults, [""; 0]);
    }

    #[test]
    fn an_event_is_named_after_its_type() {
        let (expansion, faults) = derived(
            event,
            parse_quote!(
                enum Light {
                    Green,
                    Red,
                }
            ),
        );
        assert!(expansion.unwrap().contains("\"Light\""));
        assert_eq!(faults, [""; 0]);
    }

    #[test]
    fn a_bad_name_brings_no_other_faults_with_it() {
        let (expansion, faults) = derived(
            event,
            parse_quote!(
                #[event(name = "a b")]
                struct E;
            ),
        );
        assert!(expansion.unwrap().contains("actix :: Message for E"));
        assert_eq!(faults.len(), 1, "{faults:#?}");
    }
}
