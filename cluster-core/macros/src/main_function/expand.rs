//! Writes the synchronous function around the asynchronous one.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{ItemFn, Path};

/// The function goes inside as it is, rather than its body as an `async` block: a block has no return type, and `?` in
/// it would have to guess its error's.
pub(super) fn main_function(mut function: ItemFn, root: &Path) -> TokenStream {
    let attributes = std::mem::take(&mut function.attrs);
    let visibility = std::mem::replace(&mut function.vis, syn::Visibility::Inherited);
    quote! {
        #(#attributes)*
        #visibility fn main() -> ::std::process::ExitCode {
            #function

            #root::run_main(main())
        }
    }
}
