//! The entries of one namespace: found by key, ended at their time, bounded in bytes. Pure: the time comes from outside.
//!
//! Entries stand in a slab, so that a place is a stable number: the index holds places, the queue of expiries holds places, and
//! a listing of the keys goes on from a place. The entry that gives way when the namespace is full is found by the CLOCK algorithm
//! (Corbató, 1968) over the places: a hand passes over them, spares what was read since it last came by, and takes the first that
//! was not. A cache of a library would own the keys and values, with no versions, no places to list from, and no say in
//! what an entry weighs; what is kept here is the index ([`hashbrown`]) and the slab ([`slab`]).

mod entry;
mod expiry;

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use slab::Slab;

pub(crate) use entry::{Entry, Millis, Put};
use expiry::Expiries;

/// What an entry costs besides its key and value: its place, its part of the index, the allocator's own.
pub(crate) const OVERHEAD: usize = 96;

/// Where an entry stands, and a part of its key's hash: most others are told apart without a look at them.
struct Place {
    number: u32,
    tag: u32,
}

/// The part of the hash that the index does not use itself.
fn tag(hash: u64) -> u32 {
    (hash >> 20) as u32
}

/// The entries of a namespace.
pub(crate) struct Table {
    entries: Slab<Entry>,
    index: HashTable<Place>,
    hasher: DefaultHashBuilder,
    expiries: Expiries,
    bytes: usize,
    hand: usize,
}

impl Table {
    pub(crate) fn new() -> Self {
        Table {
            entries: Slab::new(),
            index: HashTable::new(),
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
        let found = self.index.find(hash, |place| {
            place.tag == tag(hash) && self.entries[place.number as usize].has_key(key)
        });
        found.map(|place| place.number as usize)
    }

    /// Where the entry of a key stands, as far as can be said without a look at it.
    pub(crate) fn likely_place(&self, key: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        let found = self.index.find(hash, |place| place.tag == tag(hash));
        found.map(|place| place.number)
    }

    /// Has the processor fetch what the entry at a place holds, which is needed soon.
    pub(crate) fn fetch(&self, place: u32) {
        if let Some(entry) = self.entries.get(place as usize) {
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
        (self.entries.get(place), place + 1 < self.entries.capacity())
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
            let before = entry.expires;
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
        let (entries, hasher) = (&self.entries, &self.hasher);
        let hash_of = |place: &Place| {
            let entry = &entries[place.number as usize];
            hasher.hash_one(entry.key_as_bytes())
        };
        let hash = hasher.hash_one(key.as_bytes());
        let indexed = Place {
            number: u32::try_from(place).unwrap_or(u32::MAX),
            tag: tag(hash),
        };
        self.index.insert_unique(hash, indexed, hash_of);
        self.expect(place);
    }

    fn expect(&mut self, place: usize) {
        if let Some(at) = self.entries[place].expires {
            self.expiries.push(at, place);
            let entries = &self.entries;
            self.expiries.tidy(entries.len(), |at, place| {
                entries.get(place).is_some_and(|e| e.expires == Some(at))
            });
        }
    }

    /// Takes an entry out, whatever its time.
    pub(crate) fn remove(&mut self, key: &str) -> Option<Entry> {
        let place = self.place(key)?;
        Some(self.take(place))
    }

    fn take(&mut self, place: usize) -> Entry {
        let entry = self.entries.remove(place);
        let hash = self.hasher.hash_one(entry.key_as_bytes());
        let is_it = |other: &Place| other.number as usize == place;
        if let Ok(found) = self.index.find_entry(hash, is_it) {
            found.remove();
        }
        self.bytes -= entry.len() + OVERHEAD;
        if self.entries.is_empty() {
            self.hand = 0;
        }
        entry
    }

    /// Takes the next entry out whose time is over.
    pub(crate) fn next_over(&mut self, now: Millis) -> Option<Entry> {
        while let Some((at, place)) = self.expiries.pop(now) {
            let current = self.entries.get(place).and_then(|e| e.expires) == Some(at);
            if current {
                return Some(self.take(place));
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
            if self.hand >= self.entries.capacity() {
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
            return Some(self.take(place));
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
        let end = self.entries.capacity() as u64;
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
