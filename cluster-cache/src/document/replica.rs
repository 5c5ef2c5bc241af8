//! A replica of a document: what is confirmed, and on top of it the changes of this process that are not. Pure.
//!
//! There is one tree, the visible one. A change of this process is made in it at once, and how to undo it is kept, until the change comes
//! back in the order that the manager has put all changes in. Where nobody else's came between there is nothing to do then. Where
//! somebody else's did, this process's own are undone, that one is made, and they are made again on top of it.

use std::collections::VecDeque;

use serde_json::Value;

use super::ledger::{Ledger, Made};
use super::limits::{MOST_PENDING, MOST_PENDING_BYTES};
use super::path::Path;
use super::tree::{self, Misfit, Tree, Undo};
use crate::protocol::Version;

/// What each change takes besides its path and value.
const PLACE: usize = 128;

/// With more changes of its own on their way a replica is at work with them: each change of another process, taken by itself, would have all of
/// them undone and made again.
const MOST_REWOUND: usize = 16;

/// A change of this process.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) path: Path,
    pub(crate) what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    Set { value: Value, ttl_ms: Option<u64> },
    Delete,
}

impl Change {
    fn apply(&self, tree: &mut Tree) -> Result<Option<Undo>, Misfit> {
        match &self.what {
            What::Set { value, .. } => tree.set(&self.path, value.clone()).map(Some),
            What::Delete => Ok(tree.delete(&self.path)),
        }
    }

    fn bytes(&self) -> usize {
        let value = match &self.what {
            What::Set { value, .. } => tree::bytes(value),
            What::Delete => 0,
        };
        PLACE + self.path.bytes() + value
    }
}

/// Why a change is not made.
#[derive(Debug, PartialEq)]
pub(crate) enum Unwritten {
    /// Too many wait to be confirmed.
    Backlogged,
    Misfit(Misfit),
}

/// What was told does not go on from what was told before: all of the document is to be asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Torn;

/// A change that is not confirmed.
#[derive(Debug)]
struct Pending {
    number: u64,
    change: Change,
    /// Nothing where it is not made, or has changed nothing.
    undo: Option<Undo>,
    bytes: usize,
}

/// All of a replica but its visible tree.
#[derive(Debug)]
pub(crate) struct Replica {
    origin: u64,
    /// The number of the last change of this process.
    last: u64,
    ledger: Ledger,
    pending: VecDeque<Pending>,
    bytes: usize,
}

impl Replica {
    /// One that knows nothing yet, of a process of this number.
    pub(crate) fn new(origin: u64) -> Self {
        Replica {
            origin,
            last: 0,
            ledger: Ledger::default(),
            pending: VecDeque::new(),
            bytes: 0,
        }
    }

    pub(crate) fn origin(&self) -> u64 {
        self.origin
    }

    pub(crate) fn version(&self) -> Version {
        self.ledger.version
    }

    /// Many changes of this process are on their way.
    pub(crate) fn is_at_work(&self) -> bool {
        self.pending.len() > MOST_REWOUND
    }

    /// What is here is what a manager has at this version.
    pub(crate) fn is_at(&mut self, version: Version) {
        self.ledger.version = version;
    }

    /// The changes that are not confirmed, after one of them.
    pub(crate) fn pending_after(&self, number: u64) -> impl Iterator<Item = (u64, &Change)> {
        // They have no gaps.
        let first = self.pending.front().map_or(0, |first| first.number);
        let skipped = (number + 1).saturating_sub(first);
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let left = self.pending.iter().skip(skipped);
        left.map(|pending| (pending.number, &pending.change))
    }

    /// Makes a change of this process; nothing where it would change nothing.
    pub(crate) fn write(
        &mut self,
        tree: &mut Tree,
        change: Change,
    ) -> Result<Option<u64>, Unwritten> {
        if self.changes_nothing(tree, &change) {
            return Ok(None);
        }
        let bytes = change.bytes();
        // A single one may be as large as a document.
        let is_first = self.pending.is_empty();
        if self.pending.len() >= MOST_PENDING
            || (self.bytes + bytes > MOST_PENDING_BYTES && !is_first)
        {
            return Err(Unwritten::Backlogged);
        }
        let undo = change.apply(tree).map_err(Unwritten::Misfit)?;
        self.last += 1;
        self.bytes += bytes;
        self.pending.push_back(Pending {
            number: self.last,
            change,
            undo,
            bytes,
        });
        Ok(Some(self.last))
    }

    fn changes_nothing(&self, tree: &Tree, change: &Change) -> bool {
        let found = tree.get(&change.path);
        let What::Set { value, ttl_ms } = &change.what else {
            return found.is_none();
        };
        // A time that there is would end with it.
        let timed = |pending: &Pending| {
            let has_ttl = matches!(
                pending.change.what,
                What::Set {
                    ttl_ms: Some(_),
                    ..
                }
            );
            has_ttl && change.path.holds(&pending.change.path)
        };
        ttl_ms.is_none()
            && found == Some(value)
            && !self.ledger.deadlines.has(&change.path)
            && !self.pending.iter().any(timed)
    }

    /// Takes changes as they were made, in their order; gives back where the tree may have changed. Those that are known already have come by
    /// another way.
    pub(crate) fn confirm(
        &mut self,
        tree: &mut Tree,
        all: impl IntoIterator<Item = Made>,
    ) -> Result<Vec<Path>, Torn> {
        let (mut changed, mut unwound, mut torn) = (Vec::new(), false, false);
        for mut made in all {
            let known = self.ledger.version.sequence;
            if made.sequence <= known {
                continue;
            }
            if made.sequence != known + 1 {
                torn = true;
                break;
            }
            let own = made.origin == self.origin;
            let front = self.pending.front().filter(|_| own);
            let as_it_was_made = front.is_some_and(|front| {
                let is_made = front.undo.is_some() && made.done.path().is_some();
                front.number == made.number && is_made
            });
            if as_it_was_made && !unwound {
                self.retire(made.number);
                self.ledger.note(&made);
                continue;
            }
            if !unwound && !self.pending.is_empty() {
                self.unwind(tree);
                unwound = true;
            }
            if own {
                self.retire(made.number);
            }
            if made.done.apply(tree).is_err() {
                torn = true;
                break;
            }
            self.ledger.note(&made);
            changed.extend(made.done.into_path());
        }
        if unwound {
            self.rewind(tree);
        }
        match torn {
            true => Err(Torn),
            false => Ok(changed),
        }
    }

    /// The document is this as a whole; what of this process's own it does not know is made on top of it.
    pub(crate) fn adopt(&mut self, tree: &mut Tree, confirmed: Tree, ledger: Ledger) {
        self.retire(ledger.origins.last(self.origin));
        *tree = confirmed;
        self.ledger = ledger;
        self.rewind(tree);
    }

    /// The document without what is not confirmed.
    pub(crate) fn confirmed(&mut self, tree: &mut Tree) -> (Value, &Ledger) {
        self.unwind(tree);
        let root = tree.root().clone();
        self.rewind(tree);
        (root, &self.ledger)
    }

    fn retire(&mut self, number: u64) {
        while let Some(pending) = self.pending.front()
            && pending.number <= number
        {
            self.bytes -= pending.bytes;
            self.pending.pop_front();
        }
    }

    fn unwind(&mut self, tree: &mut Tree) {
        for pending in self.pending.iter_mut().rev() {
            if let Some(undo) = pending.undo.take() {
                tree.undo(&pending.change.path, undo);
            }
        }
    }

    fn rewind(&mut self, tree: &mut Tree) {
        for pending in &mut self.pending {
            pending.undo = pending.change.apply(tree).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests;
