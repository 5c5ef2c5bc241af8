//! What can go wrong with what is kept on disk.

use std::io;
use std::path::PathBuf;

/// Why something is not kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file cannot be used.
    #[error("{} cannot be {action}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was to be done with it.
        action: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another process uses the file.
    #[error("{} is used by another process", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// A change cannot be written.
    #[error("a change cannot be encoded: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
}
