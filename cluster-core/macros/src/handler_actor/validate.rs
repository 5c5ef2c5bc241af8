//! Judges what is written, and reports every fault at its place.

use std::collections::HashSet;

use syn::{Data, DeriveInput, Ident, Type};

use super::parse::Written;
use crate::faults::Faults;
use crate::fingerprint;

/// An actor that can be expanded.
pub(super) struct HandlerActor {
    pub(super) ident: Ident,
    /// Without doubles.
    pub(super) messages: Vec<Type>,
    /// Whether its author writes `impl Actor`.
    pub(super) custom: bool,
}

pub(super) fn handler_actor(
    input: &DeriveInput,
    written: &Written,
    faults: &mut Faults,
) -> Option<HandlerActor> {
    let messages = messages(input, written, faults);
    expandable(input, faults).then(|| HandlerActor {
        ident: input.ident.clone(),
        messages,
        custom: written.custom,
    })
}

fn messages(input: &DeriveInput, written: &Written, faults: &mut Faults) -> Vec<Type> {
    if written.handles.is_empty() {
        let ident = &input.ident;
        let message = format!("`{ident}` does not say what it handles: add `#[handles(MESSAGE)]`");
        faults.at(ident.span(), message);
    }
    for (attribute, _) in written.handles.iter().skip(1) {
        faults.under(
            attribute,
            "an actor has one `#[handles(..)]` only: put all into the first",
        );
    }
    let mut seen = HashSet::new();
    let mut messages = Vec::new();
    for (attribute, listed) in &written.handles {
        if listed.as_ref().is_some_and(|listed| listed.is_empty()) {
            faults.under(
                attribute,
                "expected a message, as in `#[handles(PriceChanged)]`",
            );
        }
        for message in listed.iter().flatten() {
            if seen.insert(fingerprint::of_tokens(message)) {
                messages.push(message.clone());
            } else {
                faults.under(message, "this message is listed twice");
            }
        }
    }
    messages
}

/// Whether implementations can be written: an actor is found by its type, hence no parameters.
fn expandable(input: &DeriveInput, faults: &mut Faults) -> bool {
    let generics = &input.generics;
    if !generics.params.is_empty() {
        let message = "a handler actor cannot be generic: give it fields of concrete types";
        faults.under(&generics.params, message);
    }
    if let Some(clause) = &generics.where_clause {
        faults.under(
            clause,
            "a handler actor cannot be generic, and needs no where clause",
        );
    }
    if let Data::Union(data) = &input.data {
        faults.at(
            data.union_token.span,
            "a handler actor is a struct or an enum, not a union",
        );
    }
    generics.params.is_empty()
        && generics.where_clause.is_none()
        && !matches!(input.data, Data::Union(_))
}
