//! Faults are collected rather than returned, so that one build shows them all; and what is sound is expanded all the
//! same, so that one fault does not bring a train of others from code that relies on it.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::{Error, Result};

#[derive(Default)]
pub(crate) struct Faults(Option<Error>);

impl Faults {
    /// Reports `message` at one place.
    pub(crate) fn at(&mut self, place: Span, message: impl std::fmt::Display) {
        self.add(Error::new(place, message));
    }

    /// Reports `message` under all of `tokens`.
    pub(crate) fn under(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.add(Error::new_spanned(tokens, message));
    }

    /// The value, or none and a report of why.
    pub(crate) fn sound<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn add(&mut self, error: Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            none => *none = Some(error),
        }
    }

    /// The faults as compiler errors; nothing without any.
    pub(crate) fn into_compile_errors(self) -> TokenStream {
        self.0.map(Error::into_compile_error).unwrap_or_default()
    }

    #[cfg(test)]
    pub(crate) fn messages(&self) -> Vec<String> {
        self.0
            .iter()
            .flatten()
            .map(|error| error.to_string())
            .collect()
    }
}
