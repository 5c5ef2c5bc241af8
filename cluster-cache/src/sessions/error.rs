//! What can go wrong with a session store. No error names a key: the key of a session may be what lets its bearer in.

use std::sync::Arc;

use cluster_core::WorkerId;

use super::backend::{BackendError, Operation};
use crate::error::CacheError;
use crate::limits::{MOST_KEY_BYTES, MOST_NAME_BYTES};
use crate::protocol::SessionRefusal;

/// How deep arrays and objects may be nested in a value: what is deeper could be written, and not be read again.
pub(crate) const DEEPEST: usize = 100;

/// Why an operation on a session store has no result, or why there is no such store.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The name cannot be that of a store.
    #[error(
        "{name:?} cannot name a session store (allowed: 1 to {} of a-z, A-Z, 0-9, '.', '_', '-')",
        MOST_NAME_BYTES / 2
    )]
    Name {
        /// The name.
        name: String,
    },
    /// Two stores are to have the same name, or the same place on disk.
    #[error("session store {store:?} is there already, or another one at its place on disk")]
    Twice {
        /// Its name.
        store: String,
    },
    /// Nobody has said what this store is to be.
    #[error("there is no session store {store:?}: the application's builder says which there are")]
    NoStore {
        /// Its name.
        store: String,
    },
    /// This worker is not among those that the store is for.
    #[error("session store {store:?} is not for worker {worker}: it was not added to the store")]
    Forbidden {
        /// The store.
        store: String,
        /// The worker.
        worker: WorkerId,
    },
    /// The store has no such operation.
    #[error("session store {store:?} has no operation {operation}")]
    Unsupported {
        /// The store.
        store: String,
        /// The operation.
        operation: Operation,
    },
    /// The key is too short or too long.
    #[error("a key of session store {store:?} has {bytes} bytes (allowed: 1 to {MOST_KEY_BYTES})")]
    Key {
        /// The store.
        store: String,
        /// The length of the key.
        bytes: usize,
    },
    /// The value is too long.
    #[error("a value for session store {store:?} takes {bytes} bytes (allowed: up to {allowed})")]
    Value {
        /// The store.
        store: String,
        /// The length of the value as JSON.
        bytes: u64,
        /// How long it may be.
        allowed: u64,
    },
    /// The value is nested too deeply.
    #[error("a value for session store {store:?} is nested more than {DEEPEST} levels deep")]
    Depth {
        /// The store.
        store: String,
    },
    /// A number in the value is not finite: JSON has none for it.
    #[error(
        "a value for session store {store:?} holds a number that is not finite, which JSON cannot say"
    )]
    NotFinite {
        /// The store.
        store: String,
    },
    /// The value is no JSON.
    #[error("a value for session store {store:?} cannot be written as JSON")]
    Encode {
        /// The store.
        store: String,
        /// Why.
        #[source]
        source: Arc<serde_json::Error>,
    },
    /// What is kept is a value of another type.
    #[error("what session store {store:?} keeps is no value of the type that was asked for")]
    Decode {
        /// The store.
        store: String,
        /// Why.
        #[source]
        source: Arc<serde_json::Error>,
    },
    /// There is no room; nobody's session gives way to another's.
    #[error("session store {store:?} is full (allowed: up to {allowed} bytes)")]
    Full {
        /// The store.
        store: String,
        /// How many bytes it may take.
        allowed: u64,
    },
    /// More waits for the store than it takes.
    #[error("session store {store:?} does not keep up: too much waits for it")]
    Busy {
        /// The store.
        store: String,
    },
    /// The store failed.
    #[error("session store {store:?} failed: {cause}")]
    Failed {
        /// The store.
        store: String,
        /// What its owner said, in whichever process it runs.
        cause: String,
    },
    /// The store cannot be opened.
    #[error("session store {store:?} cannot be opened")]
    Open {
        /// The store.
        store: String,
        /// Why.
        #[source]
        source: Arc<BackendError>,
    },
    /// The store is embedded, and what persists has no file.
    #[error(
        "session store {store:?} is embedded, and nothing says where the cache keeps what persists (--cache.persist-path)"
    )]
    NoFile {
        /// The store.
        store: String,
    },
    /// The owner was not reached, or has not answered.
    #[error(transparent)]
    Owner(#[from] CacheError),
}

impl SessionError {
    /// Whether the same may go well a little later.
    pub fn is_retryable(&self) -> bool {
        match self {
            SessionError::Busy { .. } => true,
            SessionError::Owner(e) => e.is_retryable(),
            _ => false,
        }
    }

    /// There is no thread for it to be had.
    pub(crate) fn no_thread(store: &str, source: std::io::Error) -> Self {
        SessionError::Open {
            store: store.to_owned(),
            source: Arc::new(BackendError::other(source)),
        }
    }

    pub(super) fn of_refusal(store: &str, refusal: SessionRefusal) -> Self {
        let store = store.to_owned();
        match refusal {
            SessionRefusal::NoStore => SessionError::NoStore { store },
            SessionRefusal::Forbidden { worker } => SessionError::Forbidden {
                store,
                worker: WorkerId(worker),
            },
            SessionRefusal::Unsupported(number) => match Operation::of_number(number) {
                Some(operation) => SessionError::Unsupported { store, operation },
                None => SessionError::Owner(CacheError::Protocol),
            },
            SessionRefusal::Key(bytes) => SessionError::Key {
                store,
                bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            },
            SessionRefusal::Value { bytes, allowed } => SessionError::Value {
                store,
                bytes,
                allowed,
            },
            SessionRefusal::Full { allowed } => SessionError::Full { store, allowed },
            SessionRefusal::Busy | SessionRefusal::Settling => SessionError::Busy { store },
            SessionRefusal::Failed(cause) => SessionError::Failed { store, cause },
        }
    }
}

/// What a client is told of a store's error. Not a path's contents, nor a key: they are in none of them.
impl From<&BackendError> for SessionRefusal {
    fn from(error: &BackendError) -> Self {
        match error {
            BackendError::Unsupported(operation) => SessionRefusal::Unsupported(operation.number()),
            BackendError::Full { allowed } => SessionRefusal::Full { allowed: *allowed },
            other => SessionRefusal::Failed(chain(other)),
        }
    }
}

/// An error and its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
