//! One entry.

/// Milliseconds since the Unix epoch, by the wall clock.
pub(crate) type Millis = u64;

/// Bytes that are fetched at most before they are needed: of longer values the processor sees itself that they are read on.
const FETCHED: usize = 256;

/// When an entry ends that has no end.
const NEVER: Millis = Millis::MAX;
/// Bytes of the version, which stands before the key.
const VERSION: usize = 8;

/// What is kept under a key. Half a line of the processor's cache, and never a part of two.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(align(32))]
pub(crate) struct Entry {
    /// The number of the change that made it, the key, and the value: one place to look at, and one allocation.
    bytes: Box<[u8]>,
    /// Until when it is fresh; it may be of use for longer.
    expires: Millis,
    key_bytes: u16,
    /// It outlives the manager.
    pub(crate) persist: bool,
    /// It was read since the hand of the eviction last came by.
    pub(crate) read: bool,
}

const _: () = assert!(size_of::<Option<Entry>>() == 32);

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
        let version = put.version.to_le_bytes();
        Entry {
            bytes: [&version, key.as_bytes(), put.value].concat().into(),
            expires: put.expires.unwrap_or(NEVER),
            // Longer ones are not let in.
            key_bytes: u16::try_from(key.len()).unwrap_or(u16::MAX),
            persist: put.persist,
            read: false,
        }
    }

    /// Where the value begins.
    fn value_at(&self) -> usize {
        VERSION + usize::from(self.key_bytes)
    }

    /// Takes on another value.
    pub(super) fn put(&mut self, put: &Put<'_>) {
        let at = self.value_at();
        let version = put.version.to_le_bytes();
        if self.bytes.len() == at + put.value.len() {
            self.bytes[..VERSION].copy_from_slice(&version);
            self.bytes[at..].copy_from_slice(put.value);
        } else {
            self.bytes = [&version, self.key_as_bytes(), put.value].concat().into();
        }
        self.persist = put.persist;
        self.expires = put.expires.unwrap_or(NEVER);
    }

    pub(super) fn has_key(&self, key: &str) -> bool {
        self.key_as_bytes() == key.as_bytes()
    }

    pub(super) fn key_as_bytes(&self) -> &[u8] {
        &self.bytes[VERSION..self.value_at()]
    }

    /// The key.
    pub(crate) fn key(&self) -> &str {
        // It was a text when the entry was made.
        std::str::from_utf8(self.key_as_bytes()).unwrap_or_default()
    }

    /// The value; empty where it is known that there is none.
    pub(crate) fn value(&self) -> &[u8] {
        &self.bytes[self.value_at()..]
    }

    /// Has the processor fetch the key, and the value or its beginning.
    pub(super) fn fetch(&self) {
        cluster_core::sys::fetch(&self.bytes[..self.bytes.len().min(FETCHED)]);
    }

    /// Bytes of key and value.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - VERSION
    }

    /// The number of the change that made it; larger ones are later.
    pub(crate) fn version(&self) -> u64 {
        self.bytes
            .first_chunk()
            .map_or(0, |version| u64::from_le_bytes(*version))
    }

    /// Until when it is fresh, where that has an end.
    pub(crate) fn expires(&self) -> Option<Millis> {
        (self.expires != NEVER).then_some(self.expires)
    }

    /// Whether its time is over.
    pub(crate) fn is_over(&self, now: Millis) -> bool {
        self.expires <= now
    }
}
