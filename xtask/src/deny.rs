//! `deny`: licences, bans, sources and advisories, through cargo-deny and deny.toml.

use std::process::ExitStatus;

use crate::workspace;

/// Why the dependency tree was not found in order.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum DenyError {
    /// Cargo could not be started.
    #[error("cannot run cargo")]
    Start(#[source] std::io::Error),
    /// The tool is not there.
    #[error("cargo-deny is not installed; install it with: cargo install cargo-deny --locked")]
    NotInstalled,
    /// The tool found faults; it has printed them.
    #[error("cargo-deny found faults ({0}); they are printed above")]
    Faults(ExitStatus),
}

/// Runs cargo-deny over the whole tree.
///
/// # Errors
/// Where the tool is missing, or found something.
pub(crate) fn run() -> Result<(), DenyError> {
    let installed = workspace::cargo()
        .args(["deny", "--version"])
        .output()
        .map_err(DenyError::Start)?;
    if !installed.status.success() {
        return Err(DenyError::NotInstalled);
    }
    let status = workspace::cargo()
        .args(["deny", "--workspace", "check"])
        .status()
        .map_err(DenyError::Start)?;
    if status.success() {
        Ok(())
    } else {
        Err(DenyError::Faults(status))
    }
}
