//! Judges what is written, and names every fault at its place.

use super::parse::{Derive, Written};
use crate::{faults, fingerprint, kind_name};
use syn::{Attribute, Data, DeriveInput, Error, Ident, Result, Type};

/// An event that may be expanded.
pub(super) struct Event {
    pub(super) ident: Ident,
    pub(super) name: String,
    pub(super) fingerprint: u64,
}

/// A request that may be expanded.
pub(super) struct Request {
    pub(super) ident: Ident,
    pub(super) name: String,
    pub(super) fingerprint: u64,
    pub(super) reply: Type,
}

pub(super) fn event(input: &DeriveInput, written: Written) -> Result<Event> {
    let mut faults = shape(input);
    let name = name(input, &written, &mut faults);
    faults.extend(
        written
            .strangers
            .iter()
            .map(|attribute| stranger(attribute, written.derive)),
    );
    faults::all(faults)?;
    Ok(Event {
        ident: input.ident.clone(),
        name,
        fingerprint: fingerprint::of_message(input, None),
    })
}

pub(super) fn request(input: &DeriveInput, mut written: Written) -> Result<Request> {
    let mut faults = shape(input);
    let name = name(input, &written, &mut faults);
    faults.extend(
        written
            .strangers
            .iter()
            .map(|attribute| stranger(attribute, written.derive)),
    );
    let surplus = written.replies.iter().skip(1);
    faults.extend(surplus.map(|(attribute, _)| {
        Error::new_spanned(attribute, "a request has one `#[reply(..)]` only")
    }));
    let reply = written.replies.drain(..).next().map(|(_, reply)| reply);
    if reply.is_none() {
        let hint = format!(
            "`{}` does not say what it is answered with: add `#[reply(TYPE)]`",
            input.ident
        );
        faults.push(Error::new(input.ident.span(), hint));
    }
    faults::all(faults)?;
    let Some(reply) = reply else {
        unreachable!("its absence is a fault")
    };
    let fingerprint = fingerprint::of_message(input, Some(&reply));
    Ok(Request {
        ident: input.ident.clone(),
        name,
        fingerprint,
        reply,
    })
}

/// One kind has one layout, known by name: hence no parameters.
fn shape(input: &DeriveInput) -> Vec<Error> {
    let mut faults = Vec::new();
    if !input.generics.params.is_empty() {
        let hint =
            "a message cannot be generic: other processes know it by one name and one layout";
        faults.push(Error::new_spanned(&input.generics.params, hint));
    }
    if let Some(clause) = &input.generics.where_clause {
        faults.push(Error::new_spanned(
            clause,
            "a message cannot have a where clause, as it cannot be generic",
        ));
    }
    if let Data::Union(data) = &input.data {
        faults.push(Error::new(
            data.union_token.span,
            "a message is a struct or an enum, not a union",
        ));
    }
    faults
}

fn name(input: &DeriveInput, written: &Written, faults: &mut Vec<Error>) -> String {
    let surplus = written.names.iter().skip(1);
    faults.extend(surplus.map(|name| Error::new(name.span(), "a message has one `name` only")));
    let name = match written.names.first() {
        Some(name) => kind_name::written(name),
        None => kind_name::of_type(&input.ident, written.derive.attribute()),
    };
    name.unwrap_or_else(|fault| {
        faults.push(fault);
        String::new()
    })
}

fn stranger(attribute: &Attribute, derive: Derive) -> Error {
    Error::new_spanned(
        attribute,
        match derive {
            Derive::Event => {
                "an event is not answered: for a message with a reply, derive `Request` instead of `Event`"
            }
            Derive::Request => {
                "a request is not an event: give `#[request(name = \"..\")]`, and derive one of the two"
            }
        },
    )
}
