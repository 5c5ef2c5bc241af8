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
    /// The tool found faults in the tree; it has printed them.
    #[error("cargo-deny found faults ({0}); they are printed above")]
    Faults(ExitStatus),
    /// The tool found an advisory, or could not get the database of them; it has printed which.
    #[error(
        "advisories: a fault, or no database of them (it is fetched from github.com), as printed above ({0})"
    )]
    Advisories(ExitStatus),
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
    // Apart, because the advisories alone need the network.
    let tree = check(&["licenses", "bans", "sources"])?;
    let advisories = check(&["advisories"])?;
    match (tree.success(), advisories.success()) {
        (true, true) => Ok(()),
        (true, false) => Err(DenyError::Advisories(advisories)),
        (false, _) => Err(DenyError::Faults(tree)),
    }
}

fn check(what: &[&str]) -> Result<ExitStatus, DenyError> {
    workspace::cargo()
        .args(["deny", "--workspace", "check"])
        .args(what)
        .status()
        .map_err(DenyError::Start)
}
