//! What can go wrong with a document.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::limits::{MOST_PENDING, MOST_PENDING_BYTES};
use super::path::PathFault;
use super::tree::Misfit;
use super::value::ValueFault;
use crate::protocol::{DocumentRefusal, Refusal};

/// Bytes of a path that an error shows.
const SHOWN: usize = 64;

/// Why an operation on a document has no result.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// The cluster runs without a cache manager.
    #[error(
        "this cluster has no cache manager, which keeps documents (--cache.enable is false, and the application does not say that it keeps documents)"
    )]
    Disabled,
    /// The name cannot be a file's.
    #[error(
        "{0:?} is no name of a document (allowed: 1 to 64 letters, digits, `.`, `_` and `-`, no `.` at its beginning)"
    )]
    Name(String),
    /// The directory cannot be used.
    #[error("the directory {} of a document cannot be used: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The process has opened too many documents.
    #[error(
        "document {name:?} was not opened: this process has {most} already (allowed: up to {most})"
    )]
    Documents {
        /// Its name.
        name: String,
        /// How many there may be.
        most: usize,
    },
    /// It is no path.
    #[error("{path:?} is no path: {fault}")]
    Path {
        /// Its beginning.
        path: String,
        /// What is wrong with it.
        #[source]
        fault: PathFault,
    },
    /// The value cannot be in a document.
    #[error("the value for {path:?} cannot be in a document: {fault}")]
    Value {
        /// The path.
        path: String,
        /// What is wrong with it.
        #[source]
        fault: ValueFault,
    },
    /// What is there is of another shape.
    #[error("what is at {path:?} is no value of the type that was asked for: {source}")]
    Shape {
        /// The path.
        path: String,
        /// What is wrong with it.
        #[source]
        source: Arc<serde_json::Error>,
    },
    /// The change does not fit into the document.
    #[error("{path:?} cannot be set: {fault}")]
    Misfit {
        /// The path.
        path: String,
        /// Why.
        #[source]
        fault: Misfit,
    },
    /// Too many changes wait to be confirmed by the manager; it may be away.
    #[error(
        "too many changes wait for the cache manager (allowed: up to {MOST_PENDING}, of {MOST_PENDING_BYTES} bytes)"
    )]
    Backlogged,
    /// The document was closed in this process.
    #[error("the document is closed")]
    Closed,
    /// The document was destroyed.
    #[error("the document was destroyed")]
    Destroyed,
    /// The manager could not be reached in time.
    #[error("the cache manager at {} could not be reached within {waited_ms} ms", path.display())]
    Unreachable {
        /// Its socket.
        path: PathBuf,
        /// How long it was tried, in milliseconds.
        waited_ms: u64,
    },
    /// The manager did not answer in time.
    #[error("the cache manager did not answer within {waited_ms} ms")]
    Deadline {
        /// How long it was waited for, in milliseconds.
        waited_ms: u64,
    },
    /// The manager does not do it.
    #[error("the cache manager refused: {0}")]
    Refused(#[from] Refusal),
}

impl DocumentError {
    pub(super) fn path(path: &str, fault: PathFault) -> Self {
        let path = shown(path);
        DocumentError::Path { path, fault }
    }

    pub(super) fn value(path: &str, fault: ValueFault) -> Self {
        let path = shown(path);
        DocumentError::Value { path, fault }
    }

    pub(super) fn misfit(path: &str, fault: Misfit) -> Self {
        let path = shown(path);
        DocumentError::Misfit { path, fault }
    }

    pub(super) fn shape(path: &str, source: serde_json::Error) -> Self {
        DocumentError::Shape {
            path: shown(path),
            source: Arc::new(source),
        }
    }

    pub(super) fn late(wait: Duration) -> Self {
        DocumentError::Deadline {
            waited_ms: crate::options::millis(wait),
        }
    }

    /// Whether the same may go well a little later.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            DocumentError::Backlogged
                | DocumentError::Unreachable { .. }
                | DocumentError::Deadline { .. }
                | DocumentError::Refused(Refusal::Document(
                    DocumentRefusal::Held(_) | DocumentRefusal::File(_)
                ))
        )
    }
}

/// The beginning of a path: it comes from outside, and may be long.
fn shown(path: &str) -> String {
    match path.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &path[..at]),
        None => path.to_owned(),
    }
}
