//! Judges the function, and reports every fault at its place.

use proc_macro2::TokenStream;
use syn::{ItemFn, Safety};

use crate::faults::Faults;

/// Whether the function can be the main function.
pub(super) fn main_function(
    arguments: &TokenStream,
    function: &ItemFn,
    faults: &mut Faults,
) -> bool {
    let signature = &function.sig;
    if !arguments.is_empty() {
        faults.under(
            arguments,
            "`main` takes no arguments: give options to the application",
        );
    }
    if signature.asyncness.is_none() {
        faults.at(
            signature.fn_token.span,
            "the main function must be async: `async fn main()`",
        );
    }
    if let Some(token) = &signature.constness {
        faults.at(token.span, "the main function cannot be const");
    }
    if let Safety::Unsafe(token) = &signature.safety {
        faults.at(token.span, "the main function cannot be unsafe");
    }
    if let Some(abi) = &signature.abi {
        faults.under(abi, "the main function cannot be extern");
    }
    if signature.ident != "main" {
        faults.at(
            signature.ident.span(),
            "only the program's `main` can be the main function",
        );
    }
    if !signature.generics.params.is_empty() {
        faults.under(
            &signature.generics.params,
            "the main function cannot be generic",
        );
    }
    if let Some(clause) = &signature.generics.where_clause {
        faults.under(clause, "the main function cannot have a where clause");
    }
    if !signature.inputs.is_empty() {
        faults.under(&signature.inputs, "the main function takes no arguments");
    }
    if let Some(variadic) = &signature.variadic {
        faults.under(variadic, "the main function takes no arguments");
    }
    faults.is_empty()
}
