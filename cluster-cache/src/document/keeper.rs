//! A document as the manager keeps it: the one place where changes are put in their order. Pure.

use serde_json::Value;

use super::ledger::{Done, Ledger, Made};
use super::limits::LONGEST_TTL_MS;
use super::replica::{Change, What};
use super::tree::Tree;
use crate::protocol::Version;
use crate::table::Millis;

/// A document, and how far it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Keeper {
    pub(crate) tree: Tree,
    pub(crate) ledger: Ledger,
}

impl Keeper {
    pub(crate) fn version(&self) -> Version {
        self.ledger.version
    }

    pub(crate) fn root(&self) -> &Value {
        self.tree.root()
    }

    /// From now on changes are this manager's: no other manager's have the same number.
    pub(crate) fn begin(&mut self, epoch: u64) {
        self.ledger.version = Version { epoch, sequence: 0 };
    }

    /// Gives a change its place in the order, and makes it; nothing where it has been made already. One that does not fit here, or that
    /// this build cannot read, changes nothing, for all.
    pub(crate) fn make(
        &mut self,
        origin: u64,
        number: u64,
        change: Option<Change>,
        now: Millis,
    ) -> Option<Made> {
        if number <= self.ledger.origins.last(origin) {
            return None;
        }
        let done = change.map_or(Done::Nothing, |change| self.done(change, now));
        Some(self.noted(origin, number, done))
    }

    fn done(&mut self, Change { path, what }: Change, now: Millis) -> Done {
        match what {
            What::Set { value, ttl_ms } => {
                let deadline = ttl_ms.map(|ttl| now.saturating_add(ttl.min(LONGEST_TTL_MS)));
                let fits = deadline.is_none() || self.ledger.deadlines.has_room(&path);
                match fits && self.tree.set(&path, value.clone()).is_ok() {
                    true => Done::Set {
                        path,
                        value,
                        deadline,
                    },
                    false => Done::Nothing,
                }
            }
            What::Delete => {
                self.tree.delete(&path);
                Done::Delete { path }
            }
        }
    }

    /// Deletes a path whose time is over, as a change like all others; nothing where there is none.
    pub(crate) fn expire(&mut self, now: Millis) -> Option<Made> {
        let (at, path) = self.ledger.deadlines.next()?;
        if at > now {
            return None;
        }
        let path = path.clone();
        self.tree.delete(&path);
        Some(self.noted(0, 0, Done::Delete { path }))
    }

    fn noted(&mut self, origin: u64, number: u64, done: Done) -> Made {
        let made = Made {
            sequence: self.ledger.version.sequence + 1,
            origin,
            number,
            done,
        };
        self.ledger.note(&made);
        made
    }
}
