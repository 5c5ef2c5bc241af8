//! Reads the attributes as they are written, as often as they are.

use syn::{Attribute, DeriveInput, LitStr, Result, Type, parse::ParseStream};

/// Which of the two derives is being expanded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Derive {
    Event,
    Request,
}

impl Derive {
    /// The attribute that takes `name = ".."`.
    pub(super) fn attribute(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Request => "request",
        }
    }
}

/// What the attributes say.
pub(super) struct Written {
    pub(super) derive: Derive,
    /// Each `name = ".."`.
    pub(super) names: Vec<LitStr>,
    /// Each `#[reply(..)]`.
    pub(super) replies: Vec<(Attribute, Type)>,
    /// Each attribute that belongs to the other derive.
    pub(super) strangers: Vec<Attribute>,
}

pub(super) fn attributes(input: &DeriveInput, derive: Derive) -> Result<Written> {
    let mut written = Written {
        derive,
        names: Vec::new(),
        replies: Vec::new(),
        strangers: Vec::new(),
    };
    for attribute in &input.attrs {
        let path = attribute.path();
        if path.is_ident(derive.attribute()) {
            written.names.extend(names(attribute, derive)?);
        } else if derive == Derive::Request && path.is_ident("reply") {
            written
                .replies
                .push((attribute.clone(), attribute.parse_args_with(reply)?));
        } else if path.is_ident("event") || path.is_ident("request") || path.is_ident("reply") {
            written.strangers.push(attribute.clone());
        }
    }
    Ok(written)
}

fn names(attribute: &Attribute, derive: Derive) -> Result<Vec<LitStr>> {
    let mut names = Vec::new();
    attribute.parse_nested_meta(|meta| {
        if !meta.path.is_ident("name") {
            return Err(meta.error(format!(
                "unknown key: `#[{}(..)]` takes `name = \"..\"` only",
                derive.attribute()
            )));
        }
        names.push(meta.value()?.parse()?);
        Ok(())
    })?;
    if names.is_empty() {
        let hint = format!("expected `#[{}(name = \"..\")]`", derive.attribute());
        return Err(syn::Error::new_spanned(attribute, hint));
    }
    Ok(names)
}

fn reply(input: ParseStream<'_>) -> Result<Type> {
    if input.is_empty() {
        return Err(input.error("expected the reply's type, as in `#[reply(Option<u64>)]`"));
    }
    let reply = input.parse()?;
    if !input.is_empty() {
        return Err(input.error(
            "expected one type only; several make a tuple, as in `#[reply((u64, String))]`",
        ));
    }
    Ok(reply)
}
