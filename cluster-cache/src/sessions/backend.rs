//! What a real store is: blocking, and run on a thread of its own.

use std::fmt;
use std::path::PathBuf;

use crate::protocol::When;

/// An operation of a session store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Reads a value.
    Get,
    /// Sets a value.
    Set,
    /// Gives a value more time.
    Touch,
    /// Removes a value.
    Destroy,
    /// Lists all values.
    All,
    /// Removes all values.
    Clear,
    /// Counts the values.
    Length,
}

impl Operation {
    const ALL: [Operation; 7] = [
        Operation::Get,
        Operation::Set,
        Operation::Touch,
        Operation::Destroy,
        Operation::All,
        Operation::Clear,
        Operation::Length,
    ];

    pub(crate) fn number(self) -> u32 {
        self as u32
    }

    pub(crate) fn of_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.number() == number)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Get => "get",
            Operation::Set => "set",
            Operation::Touch => "touch",
            Operation::Destroy => "destroy",
            Operation::All => "all",
            Operation::Clear => "clear",
            Operation::Length => "length",
        })
    }
}

/// The operations that a store has.
///
/// ```
/// use cluster_cache::{Operation, Operations};
///
/// let few = Operations::ALL.without(Operation::All);
/// assert!(few.has(Operation::Length) && !few.has(Operation::All));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operations(u32);

impl Operations {
    /// All there are.
    pub const ALL: Operations = Operations(0b111_1111);

    /// The same but for one.
    #[must_use]
    pub const fn without(self, operation: Operation) -> Self {
        Operations(self.0 & !(1 << operation as u32))
    }

    /// Whether this one is among them.
    pub const fn has(self, operation: Operation) -> bool {
        self.0 & (1 << operation as u32) != 0
    }

    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    /// Those of a newer build this one has no use for.
    pub(crate) fn of_bits(bits: u32) -> Self {
        Operations(bits & Self::ALL.0)
    }
}

/// A value that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// JSON, as text.
    pub value: String,
    /// Until when it is kept, in milliseconds since the Unix epoch; none where that has no end.
    pub expires_ms: Option<u64>,
}

/// A part of all records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordPage {
    /// Records with their keys.
    pub records: Vec<(String, Record)>,
    /// From where the next part goes on; none at the end.
    pub next: Option<u64>,
}

/// Why a real store has not done something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// It has no such operation.
    #[error("it has no operation {0:?}")]
    Unsupported(Operation),
    /// There is no room.
    #[error("it is full (allowed: up to {allowed} bytes)")]
    Full {
        /// How many bytes it may take.
        allowed: u64,
    },
    /// A file cannot be used.
    #[error("{} cannot be {done}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What was tried: read, written, made, removed.
        done: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What is on disk is of a version that this build does not know.
    #[error("{} has version {found} (this build knows: {known})", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that it says.
        found: i64,
        /// The version that is known.
        known: i64,
    },
    /// What is on disk is something else.
    #[error("{} is no store of sessions: {why}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What tells.
        why: &'static str,
    },
    /// The store's own error.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl BackendError {
    /// The store's own error.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        BackendError::Other(error.into())
    }
}

/// A real store. It blocks, and is called by one thread alone, which is its own; one that panics ends its process, as nobody knows what
/// it has left half-done. While it is busy, all that is asked of this store waits, and nothing else; a handover of its owner is broken off where a
/// single question takes more than two seconds. `now_ms` and ends of times are milliseconds since the Unix epoch; a record whose end has come is as good as none, whether or not it has been removed.
///
/// `get`, `set` and `destroy` a store must have; of the others it says by [`operations`](Self::operations) which it has.
///
/// # Errors
///
/// Each operation says why it was not done; nothing has changed then.
pub trait SessionBackend: Send {
    /// The operations that it has. Unless said otherwise, those that it must have.
    fn operations(&self) -> Operations {
        Operations::ALL
            .without(Operation::Touch)
            .without(Operation::All)
            .without(Operation::Clear)
            .without(Operation::Length)
    }

    /// Reads a record.
    fn get(&mut self, key: &str, now_ms: u64) -> Result<Option<Record>, BackendError>;

    /// Sets a record under a condition; says whether it did.
    fn set(
        &mut self,
        key: &str,
        record: Record,
        when: When,
        now_ms: u64,
    ) -> Result<bool, BackendError>;

    /// Removes a record; says whether there was one.
    fn destroy(&mut self, key: &str, now_ms: u64) -> Result<bool, BackendError>;

    /// Has a record end at another time; says whether there is one.
    fn touch(
        &mut self,
        key: &str,
        expires_ms: Option<u64>,
        now_ms: u64,
    ) -> Result<bool, BackendError> {
        let _ = (key, expires_ms, now_ms);
        Err(BackendError::Unsupported(Operation::Touch))
    }

    /// Lists records, from where the last page says or from 0: up to about `most_bytes` of them. One that is there from the
    /// beginning to the end comes once.
    fn all(
        &mut self,
        from: u64,
        most_bytes: usize,
        now_ms: u64,
    ) -> Result<RecordPage, BackendError> {
        let _ = (from, most_bytes, now_ms);
        Err(BackendError::Unsupported(Operation::All))
    }

    /// Removes all records.
    fn clear(&mut self) -> Result<(), BackendError> {
        Err(BackendError::Unsupported(Operation::Clear))
    }

    /// Counts the records; those may count whose time has just ended.
    fn length(&mut self, now_ms: u64) -> Result<u64, BackendError> {
        let _ = now_ms;
        Err(BackendError::Unsupported(Operation::Length))
    }

    /// Removes records whose time has ended, looking at no more than `most`; says how many it removed. It is called in the
    /// background, about once a second, and again at once where it removed `most`.
    fn sweep(&mut self, most: usize, now_ms: u64) -> Result<usize, BackendError> {
        let _ = (most, now_ms);
        Ok(0)
    }

    /// Several operations follow, some of which change something: what they do may be made lasting with [`commit`](Self::commit), and is answered after it.
    fn begin(&mut self) -> Result<(), BackendError> {
        Ok(())
    }

    /// Makes lasting what was done since [`begin`](Self::begin).
    fn commit(&mut self) -> Result<(), BackendError> {
        Ok(())
    }
}
