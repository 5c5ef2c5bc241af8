//! Which change of each process was applied last: one that is sent again is not applied again. Pure.

use std::collections::{BTreeSet, HashMap};

/// Processes that are known at most. Of more, those are forgotten whose last change is the oldest.
const MOST: usize = 8192;

/// The last change of each process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origins {
    /// The number of its last change, and that of the change in the document's order.
    last: HashMap<u64, (u64, u64)>,
    order: BTreeSet<(u64, u64)>,
}

impl Origins {
    /// The number of the last change of a process; 0 where none is known.
    pub(crate) fn last(&self, origin: u64) -> u64 {
        self.last.get(&origin).map_or(0, |(number, _)| *number)
    }

    /// A change of a process was applied as this one of the document's.
    pub(crate) fn note(&mut self, origin: u64, number: u64, sequence: u64) {
        if let Some((_, before)) = self.last.insert(origin, (number, sequence)) {
            self.order.remove(&(before, origin));
        }
        self.order.insert((sequence, origin));
        if self.order.len() > MOST
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.last.remove(&oldest);
        }
    }

    /// The processes, the numbers of their last changes, and those in the document's order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        let in_order = self.order.iter();
        in_order.map(|(sequence, origin)| (*origin, self.last(*origin), *sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let mut origins = Origins::default();
        let most = MOST as u64;
        for origin in 1..=most {
            origins.note(origin, 7, origin);
        }
        origins.note(1, 8, most + 1);
        origins.note(most + 1, 1, most + 2);
        assert_eq!((origins.last(1), origins.last(2)), (8, 0));
        assert_eq!(origins.iter().count(), MOST);
        assert_eq!(origins.iter().next(), Some((3, 7, 3)));
    }
}
