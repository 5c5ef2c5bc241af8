//! The entries of one namespace: found by key, ended at their time, bounded in bytes. Pure: the time comes from outside.
//!
//! Entries stand at places, which are stable numbers: the index holds places, the queue of expiries holds places, a listing of the
//! keys goes on from a place, also with a successor, and what is yet to be sent to one is a set of places. The entry that gives way
//! when the namespace is full is found by the CLOCK algorithm (Corbató, 1968) over the places: a hand passes over them, spares what
//! was read since it last came by, and takes the first that was not. A cache of a library would own the keys and values, with no
//! versions, no places to list from, and no say in what an entry weighs; what is a library's here is the hash ([`hashbrown`]'s).

mod entry;
mod expiry;
mod index;
mod places;
mod unsent;

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

pub(crate) use entry::{Entry, Millis, Put};
use expiry::Expiries;
use index::Index;
use places::Places;
use unsent::Unsent;

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
    /// While everything is sent to a successor.
    unsent: Option<Unsent>,
}

/// What is to be sent to a successor.
pub(crate) enum Sent<'a> {
    /// All that was sent of this table is no more.
    Cleared,
    Entry(usize, &'a Entry),
    /// There is nothing at the place any more.
    Vacant(usize),
}

impl Default for Table {
    fn default() -> Self {
        Table::new()
    }
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
            unsent: None,
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
            self.changed(place);
            if before != put.expires {
                self.expect(place);
            }
            return;
        }
        let entry = Entry::new(key, put);
        self.bytes += entry.len() + OVERHEAD;
        let place = self.entries.insert(entry);
        self.changed(place);
        self.find_from_now_on(place);
        self.expect(place);
    }

    /// Puts an entry into the index.
    fn find_from_now_on(&mut self, place: usize) {
        let hash = self.hasher.hash_one(self.entries[place].key_as_bytes());
        self.index.insert(hash, place);
    }

    fn changed(&mut self, place: usize) {
        if let Some(unsent) = &mut self.unsent {
            unsent.add(place);
        }
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
        self.changed(place);
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

    /// Entries from a place on, of about so many bytes, and the place to go on from; none at the end.
    pub(crate) fn page(
        &self,
        from: u64,
        most_bytes: usize,
        now: Millis,
    ) -> (Vec<&Entry>, Option<u64>) {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        for place in from..self.entries.end() as u64 {
            let Some(entry) = self.entries.get(place as usize) else {
                continue;
            };
            if entry.is_over(now) {
                continue;
            }
            if bytes >= most_bytes {
                return (entries, Some(place));
            }
            bytes += entry.len() + OVERHEAD;
            entries.push(entry);
        }
        (entries, None)
    }

    /// Takes all entries out.
    pub(crate) fn clear(&mut self) {
        let unsent = self.unsent.take().map(|_| Unsent::cleared());
        *self = Table {
            unsent,
            ..Table::new()
        };
    }

    /// From now on it is known what is yet to be sent to a successor: everything at first.
    pub(crate) fn begin_sending(&mut self) {
        self.unsent = Some(Unsent::all(self.entries.end()));
    }

    /// There is no successor after all.
    pub(crate) fn end_sending(&mut self) {
        self.unsent = None;
    }

    /// The next that is to be sent from a place on; it counts as sent from then on, until it changes.
    pub(crate) fn next_unsent(&mut self, from: usize) -> Option<Sent<'_>> {
        let unsent = self.unsent.as_mut()?;
        if unsent.take_cleared() {
            return Some(Sent::Cleared);
        }
        let mut from = from;
        loop {
            let (place, known) = unsent.take_next(from)?;
            match self.entries.get(place) {
                Some(entry) => return Some(Sent::Entry(place, entry)),
                None if known => return Some(Sent::Vacant(place)),
                // The successor has never heard of it.
                None => from = place + 1,
            }
        }
    }

    /// How many places are yet to be sent.
    pub(crate) fn unsent(&self) -> usize {
        self.unsent.as_ref().map_or(0, Unsent::len)
    }

    /// What the entries that are yet to be sent take, in bytes.
    pub(crate) fn unsent_bytes(&self) -> usize {
        let places = self.unsent.iter().flat_map(Unsent::iter);
        let entries = places.filter_map(|place| self.entries.get(place));
        entries.map(|entry| entry.len() + OVERHEAD).sum()
    }

    /// Puts an entry at the place that it had with a predecessor. While not all that changed there has come, a key may stand at
    /// two places.
    pub(crate) fn fill(&mut self, place: usize, key: &str, put: &Put<'_>, read: bool) {
        self.vacate(place);
        let mut entry = Entry::new(key, put);
        entry.read = read;
        self.bytes += entry.len() + OVERHEAD;
        self.entries.fill(place, entry);
        self.find_from_now_on(place);
        self.expect(place);
    }

    /// Takes out what is at a place.
    pub(crate) fn vacate(&mut self, place: usize) {
        if self.entries.get(place).is_some() {
            self.take(place);
        }
    }
}

#[cfg(test)]
mod tests;
