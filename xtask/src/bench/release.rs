//! The programs that are measured, built as they would be delivered.

use super::BenchError;
use crate::workspace;

/// Builds programs of the examples.
///
/// # Errors
/// That cargo cannot be started, or that it said no.
pub(super) fn build(programs: &[&str]) -> Result<(), BenchError> {
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--release", "--package", "examples"]);
    for program in programs {
        cargo.args(["--bin", program]);
    }
    let status = cargo.status().map_err(|source| BenchError::Start {
        program: "cargo".into(),
        source,
    })?;
    match status.success() {
        true => Ok(()),
        false => Err(BenchError::Build(status)),
    }
}
