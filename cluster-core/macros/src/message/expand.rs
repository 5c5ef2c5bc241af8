//! Writes the implementations of a message.

use super::validate::{Event, Request};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Ident, Path};

pub(super) fn event(event: &Event, root: &Path) -> TokenStream {
    let Event {
        ident,
        name,
        fingerprint,
    } = event;
    let handled_by = handled_by(ident, root, &quote!(event));
    quote! {
        #[automatically_derived]
        impl #root::actix::Message for #ident {
            type Result = ();
        }

        #[automatically_derived]
        impl #root::Event for #ident {
            const KIND: #root::Kind = #root::Kind::new(#name, #fingerprint);
        }

        #handled_by
    }
}

pub(super) fn request(request: &Request, root: &Path) -> TokenStream {
    let Request {
        ident,
        name,
        fingerprint,
        reply,
    } = request;
    let handled_by = handled_by(ident, root, &quote!(request));
    quote! {
        #[automatically_derived]
        impl #root::actix::Message for #ident {
            type Result = #reply;
        }

        #[automatically_derived]
        impl #root::Request for #ident {
            type Reply = #reply;
            const KIND: #root::Kind = #root::Kind::new(#name, #fingerprint);
        }

        #handled_by
    }
}

fn handled_by(ident: &Ident, root: &Path, method: &TokenStream) -> TokenStream {
    quote! {
        #[automatically_derived]
        impl<__Actor> #root::HandledBy<__Actor> for #ident
        where
            __Actor: #root::HandlerActor + #root::actix::Handler<Self>,
        {
            fn bind(binder: &mut #root::Binder<__Actor>) {
                #root::Binder::<__Actor>::#method::<Self>(binder)
            }
        }
    }
}
