//! Places of entries: numbers that stay as long as the entry does; those that are free are taken again.
//!
//! A slab of a library gives places out, and cannot put an entry at the place that another process gave it.

use std::ops::{Index, IndexMut};

use super::entry::Entry;

#[derive(Default)]
pub(super) struct Places {
    all: Vec<Option<Entry>>,
    /// Those that are free; some may have been filled since.
    free: Vec<u32>,
    taken: usize,
}

impl Places {
    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.taken
    }

    pub(super) fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// No entry stands at this place, nor after it.
    pub(super) fn end(&self) -> usize {
        self.all.len()
    }

    pub(super) fn get(&self, place: usize) -> Option<&Entry> {
        self.all.get(place)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut Entry> {
        self.all.get_mut(place)?.as_mut()
    }

    /// Gives an entry a place.
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
    ///
    /// # Panics
    ///
    /// Where there is none.
    pub(super) fn remove(&mut self, place: usize) -> Entry {
        let Some(entry) = self.all[place].take() else {
            unreachable!("there is no entry at place {place}");
        };
        self.taken -= 1;
        self.set_free(place);
        entry
    }

    fn set_free(&mut self, place: usize) {
        self.free.push(u32::try_from(place).unwrap_or(u32::MAX));
    }
}

impl Index<usize> for Places {
    type Output = Entry;

    fn index(&self, place: usize) -> &Entry {
        match self.get(place) {
            Some(entry) => entry,
            None => unreachable!("there is no entry at place {place}"),
        }
    }
}

impl IndexMut<usize> for Places {
    fn index_mut(&mut self, place: usize) -> &mut Entry {
        match self.get_mut(place) {
            Some(entry) => entry,
            None => unreachable!("there is no entry at place {place}"),
        }
    }
}
