//! How much of a document is possible.

/// A path has no more bytes.
pub const MOST_PATH_BYTES: usize = 1024;
/// A path has no more keys.
pub const MOST_PATH_KEYS: usize = 64;
/// Nothing in a document is nested deeper: the keys of its path and what it holds itself, together.
pub const MOST_NESTING: usize = 100;
/// A path makes no array longer than this; of one that is longer by itself, each element that there is can be set.
pub const MOST_GROWN: usize = 10_000;
/// A document takes no more bytes, about as it is written in JSON without spaces.
pub const MOST_DOCUMENT_BYTES: usize = 8 * 1024 * 1024;
/// No more changes of one process wait for the manager.
pub const MOST_PENDING: usize = 4096;
/// The changes of one process that wait for the manager take no more bytes.
pub const MOST_PENDING_BYTES: usize = 8 * 1024 * 1024;
/// The name of a document has no more bytes: the names of its files are made of it.
pub const MOST_DOCUMENT_NAME_BYTES: usize = 64;
/// What paths with a time take together, in bytes, at most.
pub(crate) const MOST_DEADLINE_BYTES: usize = 1024 * 1024;
/// A time that a path is given is no longer: ten years, in milliseconds.
pub(crate) const LONGEST_TTL_MS: u64 = 10 * 365 * 86_400_000;
