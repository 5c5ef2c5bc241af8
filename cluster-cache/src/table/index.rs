//! Where the entry of a key stands: places by the hash of the key, in an open table with linear probing.
//!
//! A look-up reads one line of memory, where it would be two in a table of a library, and it is known ahead which one. A part of the
//! hash stands beside each place: other keys are told apart without a look at them, and a table that grows looks at no entry.

/// No place has this number.
const NONE: u32 = u32::MAX;
/// Slots at first.
const FEW: usize = 16;

#[derive(Clone, Copy)]
struct Slot {
    tag: u32,
    place: u32,
}

const EMPTY: Slot = Slot {
    tag: 0,
    place: NONE,
};

/// The places of a table's entries.
#[derive(Default)]
pub(super) struct Index {
    /// A power of two of them, or none; a quarter at least is empty.
    slots: Box<[Slot]>,
    taken: usize,
}

/// The part of the hash that counts here.
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

impl Index {
    /// How many places it holds.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.taken
    }

    /// Where the search for a tag begins: the more slots there are, the more of its first bits count.
    fn home(&self, tag: u32) -> usize {
        ((u64::from(tag) * self.slots.len() as u64) >> 32) as usize
    }

    fn after(&self, slot: usize) -> usize {
        (slot + 1) & (self.slots.len() - 1)
    }

    /// Has the processor fetch where the search for a hash begins.
    #[inline]
    pub(super) fn fetch(&self, hash: u64) {
        if let Some(slot) = self.slots.get(self.home(tag(hash))) {
            cluster_core::sys::fetch_value(slot);
        }
    }

    #[inline]
    fn slot(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        let tag = tag(hash);
        let mut at = self.home(tag);
        loop {
            let slot = self.slots[at];
            if slot.place == NONE {
                return None;
            }
            if slot.tag == tag && is_it(slot.place) {
                return Some(at);
            }
            at = self.after(at);
        }
    }

    /// The place with this hash that is the right one.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<usize> {
        self.slot(hash, is_it)
            .map(|at| self.slots[at].place as usize)
    }

    /// Adds a place that is not in it.
    ///
    /// # Panics
    ///
    /// Where the number of the place is no 32-bit number, or the largest one.
    pub(super) fn insert(&mut self, hash: u64, place: usize) {
        let place = u32::try_from(place).unwrap_or(NONE);
        assert!(place != NONE, "there are fewer than 2^32 - 1 entries");
        if self.taken * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        self.add(Slot {
            tag: tag(hash),
            place,
        });
        self.taken += 1;
    }

    fn add(&mut self, slot: Slot) {
        let mut at = self.home(slot.tag);
        while self.slots[at].place != NONE {
            at = self.after(at);
        }
        self.slots[at] = slot;
    }

    /// Twice as many slots. What stands in order goes where it stands in order: memory is passed over once.
    fn grow(&mut self) {
        let slots = vec![EMPTY; (2 * self.slots.len()).max(FEW)];
        for slot in std::mem::replace(&mut self.slots, slots.into()) {
            if slot.place != NONE {
                self.add(slot);
            }
        }
    }

    /// Takes a place out.
    pub(super) fn remove(&mut self, hash: u64, place: usize) {
        let is_it = |other: u32| other as usize == place;
        let Some(mut gap) = self.slot(hash, is_it) else {
            return;
        };
        self.taken -= 1;
        let mask = self.slots.len() - 1;
        let mut at = gap;
        loop {
            at = self.after(at);
            let slot = self.slots[at];
            if slot.place == NONE {
                break;
            }
            // It is found only from its home on: it may fill the gap if that is not between its home and itself.
            let way = at.wrapping_sub(self.home(slot.tag)) & mask;
            if way >= at.wrapping_sub(gap) & mask {
                self.slots[gap] = slot;
                gap = at;
            }
        }
        self.slots[gap] = EMPTY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Against a map; few first bits, so that many keys begin their search at the same slots, also at the last ones.
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((any::<bool>(), 0u64..40), 0..300)) {
            let spread = |key: u64| (key % 7).wrapping_mul(0x2492_4924 << 32) | ((key % 3) << 33) | key;
            let (mut index, mut model) = (Index::default(), BTreeMap::new());
            for (n, (insert, key)) in steps.into_iter().enumerate() {
                let hash = spread(key);
                match (insert, model.get(&key).copied()) {
                    (true, None) => {
                        index.insert(hash, n);
                        model.insert(key, n);
                    }
                    (false, Some(place)) => {
                        index.remove(hash, place);
                        model.remove(&key);
                    }
                    _ => {}
                }
                prop_assert_eq!(index.taken, model.len());
                prop_assert!(index.slots.iter().filter(|slot| slot.place != NONE).count() == model.len());
                for key in 0..40 {
                    let place = model.get(&key).copied();
                    let found = index.find(spread(key), |other| Some(other as usize) == place);
                    prop_assert_eq!(found, place);
                }
            }
        }
    }

    #[test]
    fn a_quarter_is_always_empty() {
        let mut index = Index::default();
        for n in 0..1000_usize {
            index.insert((n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15), n);
            assert!(index.taken * 4 <= index.slots.len() * 3);
        }
        assert_eq!(index.slots.len(), 2048);
    }
}
