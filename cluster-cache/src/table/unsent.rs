//! Which places of a table are yet to be sent to a successor: all at first, then those that have changed since they were sent.

/// A set of places: a bit for each.
pub(super) struct Unsent {
    bits: Vec<u64>,
    len: usize,
    /// From this place on nothing has ever been sent.
    fresh: usize,
    /// What was sent before is no more.
    cleared: bool,
}

impl Unsent {
    /// All places up to an end.
    pub(super) fn all(end: usize) -> Self {
        let mut bits = vec![u64::MAX; end / 64];
        if !end.is_multiple_of(64) {
            bits.push((1 << (end % 64)) - 1);
        }
        Unsent {
            bits,
            len: end,
            fresh: 0,
            cleared: false,
        }
    }

    /// None of a table that has lost all its entries.
    pub(super) fn cleared() -> Self {
        Unsent {
            cleared: true,
            ..Unsent::all(0)
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether it is to be said that the table was cleared; once.
    pub(super) fn take_cleared(&mut self) -> bool {
        std::mem::take(&mut self.cleared)
    }

    /// A place has changed.
    pub(super) fn add(&mut self, place: usize) {
        let (word, bit) = (place / 64, 1 << (place % 64));
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        self.len += usize::from(self.bits[word] & bit == 0);
        self.bits[word] |= bit;
    }

    fn first(&self, from: usize) -> Option<usize> {
        let (word, within) = (from / 64, u64::MAX << (from % 64));
        let first = self.bits.get(word)? & within;
        if first != 0 {
            return Some(word * 64 + first.trailing_zeros() as usize);
        }
        let rest = self.bits[word + 1..].iter().position(|bits| *bits != 0)?;
        let word = word + 1 + rest;
        Some(word * 64 + self.bits[word].trailing_zeros() as usize)
    }

    /// Takes the first place from this one on; says whether it may have been sent before.
    pub(super) fn take_next(&mut self, from: usize) -> Option<(usize, bool)> {
        let place = self.first(from)?;
        self.bits[place / 64] &= !(1 << (place % 64));
        self.len -= 1;
        let known = place < self.fresh;
        self.fresh = self.fresh.max(place + 1);
        Some((place, known))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let place = self.first(from)?;
            from = place + 1;
            Some(place)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a set of numbers.
        #[test]
        fn it_is_a_set(end in 0usize..200, steps in prop::collection::vec((any::<bool>(), 0usize..300), 0..100)) {
            let (mut unsent, mut model) = (Unsent::all(end), (0..end).collect::<BTreeSet<_>>());
            for (adds, place) in steps {
                if adds {
                    unsent.add(place);
                    model.insert(place);
                } else {
                    let next = model.range(place..).next().copied();
                    prop_assert_eq!(unsent.take_next(place).map(|(place, _)| place), next);
                    next.map(|next| model.remove(&next));
                }
                prop_assert_eq!(unsent.len(), model.len());
                prop_assert!(unsent.iter().eq(model.iter().copied()));
            }
        }
    }
}
