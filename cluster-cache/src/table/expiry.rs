//! When entries end: a heap of times and places, without a look at what is not due.
//!
//! A time that an entry no longer has stays in the heap until it is due or until such leftovers outnumber the rest.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::entry::Millis;

/// Leftovers that are not worth a cleaning.
const FEW: usize = 1024;

#[derive(Default)]
pub(crate) struct Expiries(BinaryHeap<Reverse<(Millis, u32)>>);

impl Expiries {
    pub(crate) fn push(&mut self, at: Millis, place: usize) {
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        self.0.push(Reverse((at, place)));
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn first(&self) -> Option<Millis> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the first one that is due by now.
    pub(crate) fn pop(&mut self, now: Millis) -> Option<(Millis, usize)> {
        if self.first()? > now {
            return None;
        }
        let Reverse((at, place)) = self.0.pop()?;
        Some((at, place as usize))
    }

    /// Drops the leftovers where they outnumber the entries: on average a constant price for each push.
    pub(crate) fn tidy(&mut self, entries: usize, current: impl Fn(Millis, usize) -> bool) {
        if self.0.len() <= 2 * entries + FEW {
            return;
        }
        let mut kept: Vec<_> = std::mem::take(&mut self.0).into_vec();
        kept.retain(|Reverse((at, place))| current(*at, *place as usize));
        kept.sort_unstable();
        kept.dedup();
        self.0 = kept.into();
    }
}
