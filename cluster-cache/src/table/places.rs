//! The entries by their places: numbers that stay theirs for as long as they are there, and are given to others afterwards.
//!
//! A slab of a library gives places out, and cannot put an entry at the place that another process gave it.

use std::ops::{Index, IndexMut};

use super::entry::Entry;

#[derive(Default)]
pub(super) struct Places {
    all: Vec<Option<Entry>>,
    /// Those that are free, the next one last; some may have been filled since.
    free: Vec<u32>,
    taken: usize,
}

impl Places {
    /// How many are taken.
    pub(super) fn len(&self) -> usize {
        self.taken
    }

    /// All places are below this one.
    pub(super) fn end(&self) -> usize {
        self.all.len()
    }

    pub(super) fn get(&self, place: usize) -> Option<&Entry> {
        self.all.get(place)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut Entry> {
        self.all.get_mut(place)?.as_mut()
    }

    /// Has the processor fetch the entry at a place, without a look at it.
    #[inline]
    pub(super) fn fetch(&self, place: usize) {
        if let Some(entry) = self.all.get(place) {
            cluster_core::sys::fetch_value(entry);
        }
    }

    /// Adds an entry; gives back its place.
    pub(super) fn insert(&mut self, entry: Entry) -> usize {
        self.taken += 1;
        while let Some(place) = self.free.pop() {
            let place = place as usize;
            if self.all[place].is_none() {
                self.all[place] = Some(entry);
                return place;
            }
        }
        self.all.push(Some(entry));
        self.all.len() - 1
    }

    /// Puts an entry at a free place.
    pub(super) fn fill(&mut self, place: usize, entry: Entry) {
        while self.all.len() <= place {
            self.set_free(self.all.len());
            self.all.push(None);
        }
        self.taken += usize::from(self.all[place].is_none());
        self.all[place] = Some(entry);
    }

    /// Takes the entry of a place out.
    pub(super) fn remove(&mut self, place: usize) -> Option<Entry> {
        let entry = self.all.get_mut(place)?.take()?;
        self.taken -= 1;
        self.set_free(place);
        if self.taken == 0 {
            *self = Places::default();
        }
        Some(entry)
    }

    fn set_free(&mut self, place: usize) {
        // The index has made sure that there are fewer than 2^32.
        self.free.push(u32::try_from(place).unwrap_or(u32::MAX));
    }
}

impl Index<usize> for Places {
    type Output = Entry;

    /// # Panics
    ///
    /// Where the place is free.
    fn index(&self, place: usize) -> &Entry {
        self.get(place).expect("the place is taken")
    }
}

impl IndexMut<usize> for Places {
    /// # Panics
    ///
    /// Where the place is free.
    fn index_mut(&mut self, place: usize) -> &mut Entry {
        self.get_mut(place).expect("the place is taken")
    }
}

#[cfg(test)]
mod tests {
    use super::super::Put;
    use super::*;

    #[test]
    fn a_place_is_given_again_when_it_is_free() {
        let put = Put {
            value: b"v",
            expires: None,
            persist: false,
            version: 7,
        };
        let mut places = Places::default();
        let [a, b, c] = ["a", "b", "c"].map(|key| places.insert(Entry::new(key, &put)));
        assert_eq!((a, b, c, places.len(), places.end()), (0, 1, 2, 3, 3));
        assert_eq!(places.remove(b).unwrap().key(), "b");
        assert!(places.remove(b).is_none() && places.get(b).is_none());
        assert_eq!((places.len(), places.end()), (2, 3));
        assert_eq!(places.insert(Entry::new("d", &put)), b);
        assert_eq!(places[b].key(), "d");
        for place in [a, b, c] {
            assert!(places.remove(place).is_some());
        }
        assert_eq!((places.len(), places.end()), (0, 0));
    }
}
