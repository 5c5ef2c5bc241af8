//! The entries of one namespace: found by key, ended at their time, bounded in bytes. Pure: the time comes from outside.
//!
//! Entries stand in a list, so that a place is a stable number: the index holds places, the queue of expiries holds places, and
//! a listing of the keys goes on from a place. The entry that gives way when the namespace is full is found by the CLOCK algorithm
//! (Corbató, 1968) over the places: a hand passes over them, spares what was read since it last came by, and takes the first that
//! was not. A cache of a library would own the keys and values, with no versions, no places to list from, and no say in
//! what an entry weighs; what is a library's here is the hash ([`hashbrown`]'s).

mod entry;
mod expiry;
mod index;
mod places;

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

pub(crate) use entry::{Entry, Millis, Put};
use expiry::Expiries;
use index::Index;
use places::Places;

/// What an entry costs besides its key and value: its place, its part of the index, the allocator's own.
pub(crate) const OVERHEAD: usize = 96;

/// The entries of a namespace.
pub(crate) struct Table {
    entries: Places,
    index: Index,
    hasher: DefaultHashBuilder,
    expiries: Expiries,
    bytes: usize,
    hand: usize,
}

impl Table {
    pub(crate) fn new() -> Self {
        Table {
            entries: Places::default(),
            index: Index::default(),
            hasher: DefaultHashBuilder::default(),
            expiries: Expiries::default(),
            bytes: 0,
            hand: 0,
        }
    }

    /// How many entries there are, those included whose time is over and that nobody has come across yet.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What keys, values and their places take, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn place(&self, key: &str) -> Option<usize> {
        let hash = self.hasher.hash_one(key.as_bytes());
        let is_it = |place: u32| self.entries[place as usize].has_key(key);
        self.index.find(hash, is_it)
    }

    /// Has the processor fetch where the place of a key stands, which is needed soon; gives back what tells the key.
    #[inline]
    pub(crate) fn fetch_place(&self, key: &[u8]) -> u64 {
        let hash = self.hasher.hash_one(key);
        self.index.fetch(hash);
        hash
    }

    /// The same with the entry, as far as it can be found without a look at it; gives back its place.
    #[inline]
    pub(crate) fn fetch_entry(&self, hash: u64) -> Option<usize> {
        let place = self.index.find(hash, |_| true)?;
        self.entries.fetch(place);
        Some(place)
    }

    /// The same with what the entry of a place holds.
    #[inline]
    pub(crate) fn fetch_bytes(&self, place: usize) {
        if let Some(entry) = self.entries.get(place) {
            entry.fetch();
        }
    }

    /// An entry whose time is not over; that it was read counts for it when others have to give way.
    pub(crate) fn read(&mut self, key: &str, now: Millis) -> Option<&Entry> {
        let place = self.place(key)?;
        let entry = &mut self.entries[place];
        if entry.is_over(now) {
            return None;
        }
        entry.read = true;
        Some(entry)
    }

    /// An entry, whether or not its time is over.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        Some(&self.entries[self.place(key)?])
    }

    /// The entry at a place, and whether there are places after it.
    pub(crate) fn at(&self, place: usize) -> (Option<&Entry>, bool) {
        (self.entries.get(place), place + 1 < self.entries.end())
    }

    /// The same without any trace.
    pub(crate) fn peek(&self, key: &str, now: Millis) -> Option<&Entry> {
        let entry = &self.entries[self.place(key)?];
        (!entry.is_over(now)).then_some(entry)
    }

    /// Sets an entry.
    pub(crate) fn put(&mut self, key: &str, put: &Put<'_>) {
        if let Some(place) = self.place(key) {
            let entry = &mut self.entries[place];
            let before = entry.expires();
            self.bytes -= entry.len();
            entry.put(put);
            self.bytes += entry.len();
            if before != put.expires {
                self.expect(place);
            }
            return;
        }
        let entry = Entry::new(key, put);
        self.bytes += entry.len() + OVERHEAD;
        let place = self.entries.insert(entry);
        self.index
            .insert(self.hasher.hash_one(key.as_bytes()), place);
        self.expect(place);
    }

    fn expect(&mut self, place: usize) {
        if let Some(at) = self.entries[place].expires() {
            self.expiries.push(at, place);
            let entries = &self.entries;
            self.expiries.tidy(entries.len(), |at, place| {
                entries.get(place).is_some_and(|e| e.expires() == Some(at))
            });
        }
    }

    /// Takes an entry out, whatever its time.
    pub(crate) fn remove(&mut self, key: &str) -> Option<Entry> {
        self.take(self.place(key)?)
    }

    fn take(&mut self, place: usize) -> Option<Entry> {
        let entry = self.entries.remove(place)?;
        let hash = self.hasher.hash_one(entry.key_as_bytes());
        self.index.remove(hash, place);
        self.bytes -= entry.len() + OVERHEAD;
        if self.entries.len() == 0 {
            self.hand = 0;
        }
        Some(entry)
    }

    /// Takes the next entry out whose time is over.
    pub(crate) fn next_over(&mut self, now: Millis) -> Option<Entry> {
        while let Some((at, place)) = self.expiries.pop(now) {
            let current = self.entries.get(place).and_then(Entry::expires) == Some(at);
            if current {
                return self.take(place);
            }
        }
        None
    }

    /// When the next entry may be over: no later than it is.
    pub(crate) fn next_expiry(&self) -> Option<Millis> {
        self.expiries.first()
    }

    /// Takes out the entry that is to give way: any but the one of this key.
    pub(crate) fn evict(&mut self, but: &str) -> Option<Entry> {
        if self.entries.len() <= usize::from(self.place(but).is_some()) {
            return None;
        }
        // Twice round at most: after the first round nothing counts as read.
        loop {
            if self.hand >= self.entries.end() {
                self.hand = 0;
            }
            let place = self.hand;
            self.hand += 1;
            let Some(entry) = self.entries.get_mut(place) else {
                continue;
            };
            if entry.has_key(but) || std::mem::take(&mut entry.read) {
                continue;
            }
            return self.take(place);
        }
    }

    /// Keys from a place on, and the place to go on from; none at the end. A key that is there all the while comes exactly once.
    pub(crate) fn keys(
        &self,
        from: u64,
        most: usize,
        most_bytes: usize,
        now: Millis,
    ) -> (Vec<&str>, Option<u64>) {
        let (mut keys, mut bytes) = (Vec::new(), 0);
        let end = self.entries.end() as u64;
        for place in from..end {
            let Some(entry) = self.entries.get(place as usize) else {
                continue;
            };
            if entry.is_over(now) {
                continue;
            }
            if keys.len() >= most || bytes + entry.key().len() > most_bytes {
                return (keys, Some(place));
            }
            bytes += entry.key().len();
            keys.push(entry.key());
        }
        (keys, None)
    }
}

#[cfg(test)]
mod tests;
