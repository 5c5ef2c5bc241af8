//! Judges what is written, and reports every fault at its place.

use syn::{Data, DeriveInput, Ident, Type};

use super::parse::{Derive, Written};
use crate::faults::Faults;
use crate::{fingerprint, kind_name};

/// Stands in for a name with a fault, which is reported already.
const NAMELESS: &str = "nameless";

/// An event that can be expanded.
pub(super) struct Event {
    pub(super) ident: Ident,
    pub(super) name: String,
    pub(super) fingerprint: u64,
}

/// A request that can be expanded.
pub(super) struct Request {
    pub(super) ident: Ident,
    pub(super) name: String,
    pub(super) fingerprint: u64,
    pub(super) reply: Type,
}

pub(super) fn event(input: &DeriveInput, written: &Written, faults: &mut Faults) -> Option<Event> {
    let name = name(input, written, faults);
    strangers(written, faults);
    // What looks like a request is left to that derive, lest the two be in conflict as well.
    let expandable = expandable(input, faults) && written.strangers.is_empty();
    expandable.then(|| Event {
        ident: input.ident.clone(),
        name,
        fingerprint: fingerprint::of_message(input, None),
    })
}

pub(super) fn request(
    input: &DeriveInput,
    written: &Written,
    faults: &mut Faults,
) -> Option<Request> {
    let name = name(input, written, faults);
    strangers(written, faults);
    for (attribute, _) in written.replies.iter().skip(1) {
        faults.under(attribute, "a request has one `#[reply(..)]` only");
    }
    if written.replies.is_empty() {
        let ident = &input.ident;
        let message = format!("`{ident}` does not say how it is answered: add `#[reply(TYPE)]`");
        faults.at(ident.span(), message);
    }
    let expandable = expandable(input, faults);
    let reply = written.replies.first()?.1.clone()?;
    expandable.then(|| Request {
        ident: input.ident.clone(),
        name,
        fingerprint: fingerprint::of_message(input, Some(&reply)),
        reply,
    })
}

/// Whether implementations can be written: one kind has one layout, known by name, hence no parameters.
fn expandable(input: &DeriveInput, faults: &mut Faults) -> bool {
    let generics = &input.generics;
    if !generics.params.is_empty() {
        let message = "a message cannot be generic: others know it by one name and one layout";
        faults.under(&generics.params, message);
    }
    if let Some(clause) = &generics.where_clause {
        faults.under(
            clause,
            "a message cannot be generic, and needs no where clause",
        );
    }
    if let Data::Union(data) = &input.data {
        faults.at(
            data.union_token.span,
            "a message is a struct or an enum, not a union",
        );
    }
    generics.params.is_empty()
        && generics.where_clause.is_none()
        && !matches!(input.data, Data::Union(_))
}

fn name(input: &DeriveInput, written: &Written, faults: &mut Faults) -> String {
    for name in written.names.iter().skip(1).flatten() {
        faults.at(name.span(), "a message has one `name` only");
    }
    let name = match written.names.first() {
        Some(Some(name)) => faults.sound(kind_name::written(name)),
        Some(None) => None,
        None => faults.sound(kind_name::of_type(&input.ident, written.derive.attribute())),
    };
    name.unwrap_or_else(|| NAMELESS.to_owned())
}

fn strangers(written: &Written, faults: &mut Faults) {
    let message = match written.derive {
        Derive::Event => {
            "this belongs to a request: an event is not answered; derive one of the two"
        }
        Derive::Request => "this belongs to an event, and a request is none: derive one of the two",
    };
    for attribute in &written.strangers {
        faults.under(attribute, message);
    }
}
