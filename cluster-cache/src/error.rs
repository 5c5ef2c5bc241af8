//! What can go wrong with the cache.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::limits::{MOST_KEY_BYTES, MOST_NAME_BYTES};
use crate::protocol::Refusal;

/// Why an operation on the cache has no result.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The cluster runs without a cache.
    #[error("this cluster has no cache (--cache.enable is false)")]
    Disabled,
    /// The name of the namespace is too short or too long.
    #[error("the name of a namespace has {0} bytes (allowed: 1 to {MOST_NAME_BYTES})")]
    Name(usize),
    /// The process has opened too many namespaces.
    #[error(
        "namespace {name:?} was not opened: this process has {most} already (allowed: up to {most})"
    )]
    Namespaces {
        /// Its name.
        name: String,
        /// How many there may be.
        most: usize,
    },
    /// The key is too short or too long.
    #[error("a key of {namespace} has {bytes} bytes (allowed: 1 to {MOST_KEY_BYTES})")]
    Key {
        /// The namespace.
        namespace: String,
        /// The length of the key.
        bytes: usize,
    },
    /// The value is too long.
    #[error("the value of {key:?} in {namespace} takes {bytes} bytes (allowed: up to {allowed})")]
    Value {
        /// The namespace.
        namespace: String,
        /// The key.
        key: String,
        /// The length of the encoded value.
        bytes: usize,
        /// How long it may be.
        allowed: usize,
    },
    /// The value cannot be written.
    #[error("the value of {key:?} in {namespace} cannot be encoded")]
    Encode {
        /// The namespace.
        namespace: String,
        /// The key.
        key: String,
        /// Why.
        #[source]
        source: Arc<rmp_serde::encode::Error>,
    },
    /// What is kept is a value of another type.
    #[error("what {namespace} keeps as {key:?} is no value of the type that was asked for")]
    Decode {
        /// The namespace.
        namespace: String,
        /// The key.
        key: String,
        /// Why.
        #[source]
        source: Arc<rmp_serde::decode::Error>,
    },
    /// No answer came in time. A write may have been done, or may yet be.
    #[error("the cache did not answer within {waited_ms} ms")]
    Deadline {
        /// How long it was waited for, in milliseconds.
        waited_ms: u64,
    },
    /// The cache manager could not be reached in time; nothing was sent.
    #[error("the cache manager at {} could not be reached within {waited_ms} ms", path.display())]
    Unreachable {
        /// Its socket.
        path: PathBuf,
        /// How long it was tried, in milliseconds.
        waited_ms: u64,
    },
    /// The connection broke before a write was answered: nobody can tell whether it was done.
    #[error("the connection to the cache manager broke: the write may have been done")]
    LinkLost,
    /// The manager does not do it.
    #[error("the cache manager refused: {0}")]
    Refused(#[from] Refusal),
    /// The load failed.
    #[error("{key:?} of {namespace} could not be loaded: {cause}")]
    Load {
        /// The namespace.
        namespace: String,
        /// The key.
        key: String,
        /// What the loader said, in whichever process it ran.
        cause: String,
    },
    /// The manager answers what was not asked: it is of another build.
    #[error("the cache manager's answer does not fit the question")]
    Protocol,
}

impl CacheError {
    /// No answer came within so long.
    pub(crate) fn late(wait: Duration) -> Self {
        CacheError::Deadline {
            waited_ms: crate::options::millis(wait),
        }
    }

    /// Whether the same may go well a little later.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            CacheError::Deadline { .. }
                | CacheError::Unreachable { .. }
                | CacheError::LinkLost
                | CacheError::Load { .. }
        )
    }
}
