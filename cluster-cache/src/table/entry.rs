//! One entry.

/// Milliseconds since the Unix epoch, by the wall clock.
pub(crate) type Millis = u64;

/// What is kept under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: Box<str>,
    /// Empty where it is known that there is no value: the negative result of a load.
    pub(crate) value: Box<[u8]>,
    /// Until when it is fresh; it may be of use for longer.
    pub(crate) expires: Option<Millis>,
    /// The number of the change that made it; larger ones are later.
    pub(crate) version: u64,
    pub(crate) persist: bool,
    /// It was read since the hand of the eviction last came by.
    pub(crate) read: bool,
}

impl Entry {
    /// Whether its time is over.
    pub(crate) fn is_over(&self, now: Millis) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }
}
