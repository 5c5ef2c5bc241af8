//! Reads the attributes as they are written, as often as they are.

use syn::punctuated::Punctuated;
use syn::{Attribute, DeriveInput, Token, Type};

use crate::faults::Faults;

/// What the attributes say.
pub(super) struct Written {
    /// Each `#[handles(..)]`; a fault is reported already.
    pub(super) handles: Vec<(Attribute, Option<Punctuated<Type, Token![,]>>)>,
    /// Whether `#[handler_actor(custom)]` is there.
    pub(super) custom: bool,
}

pub(super) fn attributes(input: &DeriveInput, faults: &mut Faults) -> Written {
    let mut written = Written {
        handles: Vec::new(),
        custom: false,
    };
    for attribute in &input.attrs {
        if attribute.path().is_ident("handles") {
            let messages = faults.sound(attribute.parse_args_with(Punctuated::parse_terminated));
            written.handles.push((attribute.clone(), messages));
        } else if attribute.path().is_ident("handler_actor") {
            faults.sound(attribute.parse_nested_meta(|meta| {
                if !meta.path.is_ident("custom") {
                    return Err(meta.error("unknown key: `#[handler_actor(..)]` takes `custom`"));
                }
                written.custom = true;
                Ok(())
            }));
        }
    }
    written
}
