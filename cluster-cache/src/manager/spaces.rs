//! The namespaces: found by their place, by their name, and by when something of them is over.

use std::collections::{BTreeSet, HashMap};
use std::ops::{Index, IndexMut};

use slab::Slab;

use super::space::Space;
use crate::table::Millis;

/// A namespace as a connection knows it: its place may be another's by now. The birth is 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tie {
    place: u32,
    birth: u32,
}

struct Slot {
    space: Space,
    birth: u32,
    /// What stands of it among the ends.
    end: Option<Millis>,
}

#[derive(Default)]
pub(super) struct Spaces {
    slots: Slab<Slot>,
    names: HashMap<Box<str>, usize>,
    /// When an entry or a lease may be over next, and of which namespace.
    ends: BTreeSet<(Millis, usize)>,
    /// How many have been made.
    births: u32,
}

impl Spaces {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Space)> {
        self.slots.iter().map(|(place, slot)| (place, &slot.space))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Space)> {
        let slots = self.slots.iter_mut();
        slots.map(|(place, slot)| (place, &mut slot.space))
    }

    /// The place of the next one, from a place on.
    pub(super) fn next(&self, from: usize) -> Option<usize> {
        (from..self.slots.capacity()).find(|place| self.slots.contains(*place))
    }

    /// A number that no other one has, nor one that is gone.
    pub(super) fn number(&self, place: usize) -> u32 {
        self.slots[place].birth
    }

    /// The one of a name.
    pub(super) fn named(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// Adds one of a new name.
    pub(super) fn insert(&mut self, space: Space) -> usize {
        self.births = self.births.wrapping_add(1).max(1);
        let (name, birth) = (space.name.clone(), self.births);
        let place = self.slots.insert(Slot {
            space,
            birth,
            end: None,
        });
        self.names.insert(name, place);
        place
    }

    pub(super) fn remove(&mut self, place: usize) -> Space {
        let Slot { space, end, .. } = self.slots.remove(place);
        self.names.remove(&space.name);
        if let Some(at) = end {
            self.ends.remove(&(at, place));
        }
        space
    }

    /// What a connection is to keep of one.
    pub(super) fn tie(&self, place: usize) -> Tie {
        Tie {
            place: u32::try_from(place).unwrap_or(u32::MAX),
            birth: self.slots[place].birth,
        }
    }

    /// The place of the one that a connection means, if it is still there.
    pub(super) fn tied(&self, tie: Tie) -> Option<usize> {
        let place = tie.place as usize;
        let slot = self.slots.get(place)?;
        (slot.birth == tie.birth).then_some(place)
    }

    /// Notes when something of one is over next; to be called after what may bring that forward.
    pub(super) fn note_end(&mut self, place: usize) {
        let Some(slot) = self.slots.get_mut(place) else {
            return;
        };
        let next = slot.space.next_end();
        if next == slot.end {
            return;
        }
        if let Some(at) = std::mem::replace(&mut slot.end, next) {
            self.ends.remove(&(at, place));
        }
        if let Some(at) = next {
            self.ends.insert((at, place));
        }
    }

    /// When something may be over next, and of which one: no later than it is.
    pub(super) fn next_end(&self) -> Option<(Millis, usize)> {
        self.ends.first().copied()
    }
}

impl Index<usize> for Spaces {
    type Output = Space;

    fn index(&self, place: usize) -> &Space {
        &self.slots[place].space
    }
}

impl IndexMut<usize> for Spaces {
    fn index_mut(&mut self, place: usize) -> &mut Space {
        &mut self.slots[place].space
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::Waiter;
    use crate::protocol::SpaceOptions;

    fn space(name: &str) -> Space {
        Space::new(name, SpaceOptions::default(), 0)
    }

    fn load(spaces: &mut Spaces, place: usize, load_ms: u64) {
        let asker = Waiter {
            link: 1,
            number: 1,
            load_ms,
        };
        spaces[place].leases.acquire("k", asker, 1, 100);
        spaces.note_end(place);
    }

    #[test]
    fn a_place_that_is_taken_again_is_not_what_a_connection_meant() {
        let mut spaces = Spaces::default();
        let first = spaces.insert(space("a"));
        let tie = spaces.tie(first);
        assert_eq!(spaces.tied(tie), Some(first));
        assert_eq!(spaces.tied(Tie::default()), None);
        spaces.remove(first);
        assert_eq!((spaces.named("a"), spaces.tied(tie)), (None, None));
        let second = spaces.insert(space("b"));
        assert_eq!(first, second);
        assert_eq!((spaces.named("b"), spaces.tied(tie)), (Some(second), None));
    }

    #[test]
    fn the_next_end_is_the_first_of_all() {
        let mut spaces = Spaces::default();
        let (a, b) = (spaces.insert(space("a")), spaces.insert(space("b")));
        assert_eq!(spaces.next_end(), None);
        load(&mut spaces, a, 50);
        load(&mut spaces, b, 20);
        assert_eq!(spaces.next_end(), Some((120, b)));
        spaces[b].leases.overtake("k");
        spaces.note_end(b);
        assert_eq!(spaces.next_end(), Some((150, a)));
        spaces.remove(a);
        assert_eq!(spaces.next_end(), None);
    }
}
