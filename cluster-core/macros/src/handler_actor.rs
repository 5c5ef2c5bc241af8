//! `#[derive(HandlerActor)]`: an actor that every process can reach.

mod expand;
mod parse;
mod validate;

use proc_macro2::TokenStream;
use syn::{DeriveInput, Path, Result};

pub(crate) fn handler_actor(input: DeriveInput, root: &Path) -> Result<TokenStream> {
    let written = parse::attributes(&input)?;
    Ok(expand::handler_actor(
        &validate::handler_actor(&input, written)?,
        root,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    fn expansion(input: DeriveInput) -> String {
        handler_actor(input, &parse_quote!(::root))
            .unwrap()
            .to_string()
    }

    #[test]
    fn a_custom_actor_is_left_to_its_author() {
        let actor = "impl :: root :: actix :: Actor for";
        assert!(
            expansion(parse_quote!(
                #[handles(A)]
                struct X;
            ))
            .contains(actor)
        );
        assert!(
            !expansion(parse_quote!(
                #[handles(A)]
                #[handler_actor(custom)]
                struct X;
            ))
            .contains(actor)
        );
    }

    #[test]
    fn messages_are_bound_in_the_order_listed() {
        let expansion = expansion(parse_quote!(
            #[handles(B, a::A)]
            enum X {}
        ));
        let first = expansion.find("< B as").expect("B is bound");
        let second = expansion.find("< a :: A as").expect("a::A is bound");
        assert!(first < second, "{expansion}");
    }

    #[test]
    fn a_message_is_the_same_whatever_its_whitespace() {
        let error = handler_actor(
            parse_quote!(
                #[handles(m::A, m::A)]
                struct X;
            ),
            &parse_quote!(::root),
        )
        .unwrap_err();
        assert_eq!(error.to_string(), "this message is listed twice");
    }
}
