//! Reads the attributes as they are written, as often as they are.

use syn::parse::ParseStream;
use syn::{Attribute, DeriveInput, Error, LitStr, Result, Type};

use crate::faults::Faults;

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
    /// Each attribute that gives a name, and each name; a fault is reported already.
    pub(super) names: Vec<Option<LitStr>>,
    /// Each `#[reply(..)]`; a fault is reported already.
    pub(super) replies: Vec<(Attribute, Option<Type>)>,
    /// Each attribute that belongs to the other derive.
    pub(super) strangers: Vec<Attribute>,
}

pub(super) fn attributes(input: &DeriveInput, derive: Derive, faults: &mut Faults) -> Written {
    let mut written = Written {
        derive,
        names: Vec::new(),
        replies: Vec::new(),
        strangers: Vec::new(),
    };
    for attribute in &input.attrs {
        let path = attribute.path();
        if path.is_ident(derive.attribute()) {
            match faults.sound(names(attribute, derive)) {
                Some(names) => written.names.extend(names.into_iter().map(Some)),
                None => written.names.push(None),
            }
        } else if derive == Derive::Request && path.is_ident("reply") {
            let reply = faults.sound(attribute.parse_args_with(reply));
            written.replies.push((attribute.clone(), reply));
        } else if ["event", "request", "reply"]
            .iter()
            .any(|ours| path.is_ident(ours))
        {
            written.strangers.push(attribute.clone());
        }
    }
    written
}

fn names(attribute: &Attribute, derive: Derive) -> Result<Vec<LitStr>> {
    let key = derive.attribute();
    let mut names = Vec::new();
    attribute.parse_nested_meta(|meta| {
        if !meta.path.is_ident("name") {
            return Err(meta.error(format!("unknown key: `#[{key}(..)]` takes `name = \"..\"`")));
        }
        names.push(meta.value()?.parse()?);
        Ok(())
    })?;
    if names.is_empty() {
        return Err(Error::new_spanned(
            attribute,
            format!("expected `#[{key}(name = \"..\")]`"),
        ));
    }
    Ok(names)
}

fn reply(input: ParseStream<'_>) -> Result<Type> {
    if input.is_empty() {
        return Err(input.error("expected the reply's type, as in `#[reply(Option<u64>)]`"));
    }
    let reply = input.parse()?;
    if !input.is_empty() {
        return Err(input.error("expected one type; several make a tuple: `#[reply((u64, u64))]`"));
    }
    Ok(reply)
}
