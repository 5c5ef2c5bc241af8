//! One entry.

/// Milliseconds since the Unix epoch, by the wall clock.
pub(crate) type Millis = u64;

/// Bytes that are fetched at most before they are needed: of longer values the processor sees itself that they are read on.
const FETCHED: usize = 256;

/// What is kept under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The key, and the value after it: one place to look at, and one allocation.
    bytes: Box<[u8]>,
    key_bytes: u32,
    /// It outlives the manager.
    pub(crate) persist: bool,
    /// It was read since the hand of the eviction last came by.
    pub(crate) read: bool,
    /// Until when it is fresh; it may be of use for longer.
    pub(crate) expires: Option<Millis>,
    /// The number of the change that made it; larger ones are later.
    pub(crate) version: u64,
}

/// What becomes of an entry that is put.
pub(crate) struct Put<'a> {
    /// Empty where it is known that there is no value: the negative result of a load.
    pub(crate) value: &'a [u8],
    pub(crate) expires: Option<Millis>,
    pub(crate) persist: bool,
    pub(crate) version: u64,
}

impl Entry {
    pub(super) fn new(key: &str, put: &Put<'_>) -> Self {
        Entry {
            bytes: [key.as_bytes(), put.value].concat().into(),
            key_bytes: u32::try_from(key.len()).unwrap_or(u32::MAX),
            persist: put.persist,
            read: false,
            expires: put.expires,
            version: put.version,
        }
    }

    /// Takes on another value.
    pub(super) fn put(&mut self, put: &Put<'_>) {
        let (key, value) = self.bytes.split_at_mut(self.key_bytes as usize);
        if value.len() == put.value.len() {
            value.copy_from_slice(put.value);
        } else {
            self.bytes = [key, put.value].concat().into();
        }
        self.persist = put.persist;
        self.expires = put.expires;
        self.version = put.version;
    }

    pub(super) fn has_key(&self, key: &str) -> bool {
        self.key_as_bytes() == key.as_bytes()
    }

    pub(super) fn key_as_bytes(&self) -> &[u8] {
        &self.bytes[..self.key_bytes as usize]
    }

    /// The key.
    pub(crate) fn key(&self) -> &str {
        // It was a text when the entry was made.
        std::str::from_utf8(self.key_as_bytes()).unwrap_or_default()
    }

    /// The value; empty where it is known that there is none.
    pub(crate) fn value(&self) -> &[u8] {
        &self.bytes[self.key_bytes as usize..]
    }

    /// Has the processor fetch the key, and the value or its beginning.
    pub(super) fn fetch(&self) {
        cluster_core::sys::fetch(&self.bytes[..self.bytes.len().min(FETCHED)]);
    }

    /// Bytes of key and value.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether its time is over.
    pub(crate) fn is_over(&self, now: Millis) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }
}
