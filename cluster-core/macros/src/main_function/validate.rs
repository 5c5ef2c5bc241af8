//! Judges the function, and names every fault at its place.

use crate::faults;
use proc_macro2::TokenStream;
use syn::{Error, ItemFn, Result};

pub(super) fn main_function(arguments: &TokenStream, function: &ItemFn) -> Result<()> {
    let signature = &function.sig;
    let mut faults = Vec::new();
    if !arguments.is_empty() {
        faults.push(Error::new_spanned(
            arguments,
            "`main` takes no arguments: options come from `Options::load()`",
        ));
    }
    if signature.asyncness.is_none() {
        faults.push(Error::new(
            signature.fn_token.span,
            "the main function must be async: `async fn main()`",
        ));
    }
    if let Some(token) = &signature.constness {
        faults.push(Error::new(token.span, "the main function cannot be const"));
    }
    if let syn::Safety::Unsafe(token) = &signature.safety {
        faults.push(Error::new(token.span, "the main function cannot be unsafe"));
    }
    if let Some(abi) = &signature.abi {
        faults.push(Error::new_spanned(
            abi,
            "the main function cannot be extern",
        ));
    }
    if signature.ident != "main" {
        faults.push(Error::new(
            signature.ident.span(),
            "only the program's `main` can be the main function",
        ));
    }
    if !signature.generics.params.is_empty() {
        faults.push(Error::new_spanned(
            &signature.generics.params,
            "the main function cannot be generic",
        ));
    }
    if let Some(clause) = &signature.generics.where_clause {
        faults.push(Error::new_spanned(
            clause,
            "the main function cannot have a where clause",
        ));
    }
    if !signature.inputs.is_empty() {
        faults.push(Error::new_spanned(
            &signature.inputs,
            "the main function takes no arguments",
        ));
    }
    if let Some(variadic) = &signature.variadic {
        faults.push(Error::new_spanned(
            variadic,
            "the main function takes no arguments",
        ));
    }
    faults::all(faults)
}
