//! The number of the last change or lease.

use std::cell::Cell;
use std::rc::Rc;

/// Numbers that only rise: every change and every lease takes one, and every answer says which was the last.
#[derive(Clone)]
pub(super) struct Sequence(Rc<Cell<u64>>);

impl Sequence {
    /// Goes on after this number.
    pub(super) fn after(last: u64) -> Self {
        Sequence(Rc::new(Cell::new(last)))
    }

    /// A number that is larger than all before.
    pub(super) fn next(&self) -> u64 {
        self.0.set(self.0.get() + 1);
        self.0.get()
    }

    /// The last one.
    pub(super) fn last(&self) -> u64 {
        self.0.get()
    }
}
