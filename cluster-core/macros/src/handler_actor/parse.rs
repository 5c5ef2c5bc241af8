//! Reads the attributes as they are written, as often as they are.

use syn::{Attribute, DeriveInput, Result, Token, Type, punctuated::Punctuated};

/// What the attributes say.
pub(super) struct Written {
    /// Each `#[handles(..)]`.
    pub(super) handles: Vec<(Attribute, Punctuated<Type, Token![,]>)>,
    /// Whether `#[handler_actor(custom)]` is there.
    pub(super) custom: bool,
}

pub(super) fn attributes(input: &DeriveInput) -> Result<Written> {
    let mut written = Written {
        handles: Vec::new(),
        custom: false,
    };
    for attribute in &input.attrs {
        if attribute.path().is_ident("handles") {
            let types = attribute.parse_args_with(Punctuated::parse_terminated)?;
            written.handles.push((attribute.clone(), types));
        } else if attribute.path().is_ident("handler_actor") {
            attribute.parse_nested_meta(|meta| {
                if !meta.path.is_ident("custom") {
                    return Err(
                        meta.error("unknown key: `#[handler_actor(..)]` takes `custom` only")
                    );
                }
                written.custom = true;
                Ok(())
            })?;
        }
    }
    Ok(written)
}
