//! `#[derive(HandlerActor)]`: an actor that every process can reach.

mod expand;
mod parse;
mod validate;

use proc_macro2::TokenStream;
use syn::{DeriveInput, Path};

use crate::faults::Faults;

pub(crate) fn handler_actor(
    input: &DeriveInput,
    root: &Path,
    faults: &mut Faults,
) -> Option<TokenStream> {
    let written = parse::attributes(input, faults);
    let actor = validate::handler_actor(input, &written, faults)?;
    Some(expand::handler_actor(&actor, root))
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    fn derived(input: DeriveInput) -> (String, Vec<String>) {
        let mut faults = Faults::default();
        let expansion = handler_actor(&input, &parse_quote!(::root), &mut faults);
        (expansion.unwrap_or_default().to_string(), faults.messages())
    }

    #[test]
    fn a_custom_actor_is_left_to_its_author() {
        let actor = "impl :: root :: actix :: Actor for";
        assert!(
            derived(parse_quote!(
                #[handles(A)]
                struct X;
            ))
            .0
            .contains(actor)
        );
        let custom = parse_quote!(
            #[handles(A)]
            #[handler_actor(custom)]
            struct X;
        );
        assert!(!derived(custom).0.contains(actor));
    }

    #[test]
    fn messages_are_bound_in_the_order_listed() {
        let (expansion, faults) = derived(parse_quote!(
            #[handles(B, a::A)]
            enum X {}
        ));
        let first = expansion.find("< B as").expect("B is bound");
        let second = expansion.find("< a :: A as").expect("a::A is bound");
        assert!(first < second, "{expansion}");
        assert_eq!(faults, [""; 0]);
    }

    #[test]
    fn a_message_listed_twice_is_bound_once() {
        let (expansion, faults) = derived(parse_quote!(
            #[handles(m::A, m::A)]
            struct X;
        ));
        assert_eq!(faults, ["this message is listed twice"]);
        assert_eq!(expansion.matches("< m :: A as").count(), 1);
    }
}
