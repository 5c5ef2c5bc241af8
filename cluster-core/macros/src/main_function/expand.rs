//! Writes the synchronous function around the asynchronous one.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{ItemFn, Path};

/// The function goes inside as it is, rather than its body as an `async` block: a block has no return type, and `?` in
/// it would have to guess its error's.
pub(super) fn main_function(function: &ItemFn, root: &Path) -> TokenStream {
    let ItemFn {
        attrs,
        vis,
        modifiers: _,
        sig,
        block,
    } = function;
    quote! {
        #(#attrs)*
        #vis fn main() -> ::std::process::ExitCode {
            #sig #block

            #root::run_main(main())
        }
    }
}

/// In place of a function with a fault, so that the compiler does not miss `main` as well.
pub(super) fn empty(function: &ItemFn) -> TokenStream {
    if function.sig.ident == "main" {
        quote!(
            fn main() {}
        )
    } else {
        TokenStream::new()
    }
}
