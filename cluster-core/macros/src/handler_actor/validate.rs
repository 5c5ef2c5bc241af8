//! Judges what is written, and names every fault at its place.

use super::parse::Written;
use crate::{faults, fingerprint};
use std::collections::HashSet;
use syn::{Data, DeriveInput, Error, Ident, Result, Type};

/// An actor that may be expanded.
pub(super) struct HandlerActor {
    pub(super) ident: Ident,
    pub(super) messages: Vec<Type>,
    /// Whether its author writes `impl Actor`.
    pub(super) custom: bool,
}

pub(super) fn handler_actor(input: &DeriveInput, written: Written) -> Result<HandlerActor> {
    let mut faults = shape(input);
    if written.handles.is_empty() {
        let hint = format!(
            "`{}` does not say what it handles: add `#[handles(MESSAGE, ..)]`",
            input.ident
        );
        faults.push(Error::new(input.ident.span(), hint));
    }
    let mut seen = HashSet::new();
    for (position, (attribute, messages)) in written.handles.iter().enumerate() {
        if position > 0 {
            faults.push(Error::new_spanned(
                attribute,
                "an actor has one `#[handles(..)]` only: put all into the first",
            ));
        }
        if messages.is_empty() {
            faults.push(Error::new_spanned(
                attribute,
                "expected at least one message, as in `#[handles(PriceChanged)]`",
            ));
        }
        for message in messages {
            if !seen.insert(fingerprint::of_tokens(message)) {
                faults.push(Error::new_spanned(message, "this message is listed twice"));
            }
        }
    }
    faults::all(faults)?;
    Ok(HandlerActor {
        ident: input.ident.clone(),
        messages: written
            .handles
            .into_iter()
            .flat_map(|(_, messages)| messages)
            .collect(),
        custom: written.custom,
    })
}

fn shape(input: &DeriveInput) -> Vec<Error> {
    let mut faults = Vec::new();
    if !input.generics.params.is_empty() {
        let hint =
            "a handler actor cannot be generic: give it concrete fields, or a boxed trait object";
        faults.push(Error::new_spanned(&input.generics.params, hint));
    }
    if let Some(clause) = &input.generics.where_clause {
        faults.push(Error::new_spanned(
            clause,
            "a handler actor cannot have a where clause, as it cannot be generic",
        ));
    }
    if let Data::Union(data) = &input.data {
        faults.push(Error::new(
            data.union_token.span,
            "a handler actor is a struct or an enum, not a union",
        ));
    }
    faults
}
