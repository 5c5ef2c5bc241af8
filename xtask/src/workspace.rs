//! Where the checkout and its build directory are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Why cargo could not be asked about the workspace.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum WorkspaceError {
    /// Cargo could not be started.
    #[error("cannot run `cargo metadata`")]
    Start(#[source] std::io::Error),
    /// Cargo's answer could not be read.
    #[error("cannot read the answer of `cargo metadata`")]
    Read(#[source] serde_json::Error),
    /// Cargo's answer has no build directory in it.
    #[error("the answer of `cargo metadata` names no target_directory")]
    NoTarget,
}

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    // Cargo sets the variable for `cargo run`, so that one binary in a shared build directory finds each checkout.
    let manifest = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest
        .parent()
        .map_or(manifest.clone(), Path::to_path_buf)
}

/// A cargo command, run in the root of the checkout.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// The build directory, as cargo sees it (`CARGO_TARGET_DIR`, configuration, or `target`).
pub(crate) fn target_directory() -> Result<PathBuf, WorkspaceError> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .map_err(WorkspaceError::Start)?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(WorkspaceError::Read)?;
    metadata["target_directory"]
        .as_str()
        .map(PathBuf::from)
        .ok_or(WorkspaceError::NoTarget)
}
