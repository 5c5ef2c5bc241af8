//! Faults are collected, so that one build shows them all.

use syn::{Error, Result};

/// `Ok` without faults; with some, one error that reports each at its place.
pub(crate) fn all(faults: Vec<Error>) -> Result<()> {
    let combined = faults.into_iter().reduce(|mut all, fault| {
        all.combine(fault);
        all
    });
    combined.map_or(Ok(()), Err)
}
