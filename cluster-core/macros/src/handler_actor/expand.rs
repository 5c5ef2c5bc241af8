//! Writes the implementations of a handler actor.

use super::validate::HandlerActor;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Path, spanned::Spanned};

pub(super) fn handler_actor(actor: &HandlerActor, root: &Path) -> TokenStream {
    let HandlerActor {
        ident,
        messages,
        custom,
    } = actor;
    let implementation = (!custom).then(|| {
        quote! {
            #[automatically_derived]
            impl #root::actix::Actor for #ident {
                type Context = #root::actix::Context<Self>;
            }
        }
    });
    // Each under its own entry's span: a message that cannot be bound is underlined in the list. `Listed` stands before
    // `HandledBy` for its error alone. (`do_not_recommend` on the derived `HandledBy` would do without it, but an
    // attribute of that path breaks beside an application's own `mod diagnostic`.)
    let bindings = messages.iter().map(|message| {
        quote_spanned! {message.span()=>
            <#message as #root::Listed<Self>>::bind(binder);
        }
    });
    quote! {
        #implementation

        #[automatically_derived]
        impl #root::HandlerActor for #ident {
            fn bind(binder: &mut #root::Binder<Self>) {
                #(#bindings)*
            }
        }

        #[automatically_derived]
        impl #root::actix::Handler<#root::Batch<Self>> for #ident {
            type Result = ();

            fn handle(&mut self, batch: #root::Batch<Self>, ctx: &mut <Self as #root::actix::Actor>::Context) {
                #root::Batch::<Self>::run(batch, self, ctx)
            }
        }
    }
}
