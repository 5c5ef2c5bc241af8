//! What is known of a document besides its tree, and the changes that were made of it. Pure.

use serde_json::Value;

use super::deadlines::Deadlines;
use super::limits::MOST_NESTING;
use super::origins::Origins;
use super::path::Path;
use super::tree::{self, Misfit, Tree, Undo};
use crate::protocol::{DocumentTold, Sequenced, Version, Whole};
use crate::table::Millis;
use crate::value;

/// What came from elsewhere is no document, or no change of one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// How far a document is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ledger {
    pub(crate) version: Version,
    pub(crate) deadlines: Deadlines,
    pub(crate) origins: Origins,
}

/// A change that has its place in the order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Made {
    pub(crate) sequence: u64,
    /// The process that wanted it; 0 for the manager.
    pub(crate) origin: u64,
    pub(crate) number: u64,
    pub(crate) done: Done,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Done {
    Nothing,
    Set {
        path: Path,
        value: Value,
        deadline: Option<Millis>,
    },
    Delete {
        path: Path,
    },
}

impl Made {
    /// A change as it was told.
    pub(crate) fn read(told: &DocumentTold<'_>) -> Result<Self, Unreadable> {
        let DocumentTold::Changed {
            sequence,
            origin,
            number,
            ref change,
        } = *told
        else {
            return Err(Unreadable);
        };
        Ok(Made {
            sequence,
            origin,
            number,
            done: Done::read(change)?,
        })
    }
}

impl Done {
    fn read(sequenced: &Sequenced<'_>) -> Result<Self, Unreadable> {
        Ok(match *sequenced {
            Sequenced::Nothing => Done::Nothing,
            Sequenced::Set {
                path,
                value,
                deadline,
            } => Done::Set {
                path: read_path(path)?,
                value: read_value(value)?,
                deadline,
            },
            Sequenced::Delete { path } => Done::Delete {
                path: read_path(path)?,
            },
        })
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Done::Nothing => None,
            Done::Set { path, .. } | Done::Delete { path } => Some(path),
        }
    }

    pub(crate) fn into_path(self) -> Option<Path> {
        match self {
            Done::Nothing => None,
            Done::Set { path, .. } | Done::Delete { path } => Some(path),
        }
    }

    /// Makes it in a tree, which the value moves to.
    pub(crate) fn apply(&mut self, tree: &mut Tree) -> Result<Option<Undo>, Misfit> {
        match self {
            Done::Nothing => Ok(None),
            Done::Set { path, value, .. } => tree.set(path, std::mem::take(value)).map(Some),
            Done::Delete { path } => Ok(tree.delete(path)),
        }
    }
}

pub(crate) fn read_path(text: &str) -> Result<Path, Unreadable> {
    Path::read(text).map_err(|_| Unreadable)
}

/// A value as it came; its path is known to be within bounds.
pub(crate) fn read_value(bytes: &[u8]) -> Result<Value, Unreadable> {
    // A few more, as what is exactly too deep is told by the next look.
    let value = value::decode_nested(bytes, MOST_NESTING + 8);
    let value: Value = value.map_err(|_| Unreadable)?;
    match tree::depth(&value) <= MOST_NESTING {
        true => Ok(value),
        false => Err(Unreadable),
    }
}

impl Ledger {
    /// Notes a change that was made.
    pub(crate) fn note(&mut self, made: &Made) {
        self.version.sequence = made.sequence;
        if made.origin != 0 {
            self.origins.note(made.origin, made.number, made.sequence);
        }
        match &made.done {
            Done::Nothing => {}
            Done::Set { path, deadline, .. } => self.deadlines.renew(path, *deadline),
            Done::Delete { path } => self.deadlines.renew(path, None),
        }
    }

    /// The paths that have a time, as they are written.
    pub(crate) fn deadlines(&self) -> Vec<(String, Millis)> {
        let deadlines = self.deadlines.iter();
        deadlines.map(|(path, at)| (path.to_string(), at)).collect()
    }

    /// All of a document, of its root as it is encoded and its deadlines as they are written.
    pub(crate) fn whole<'a>(
        &self,
        root: &'a [u8],
        deadlines: &'a [(String, Millis)],
    ) -> Box<Whole<'a>> {
        let deadlines = deadlines.iter();
        Box::new(Whole {
            version: self.version,
            root,
            deadlines: deadlines.map(|(path, at)| (path.as_str(), *at)).collect(),
            origins: self.origins.iter().collect(),
        })
    }

    /// A document that came as a whole.
    pub(crate) fn read(whole: &Whole<'_>) -> Result<(Tree, Self), Unreadable> {
        let tree = Tree::of(read_value(whole.root)?);
        let mut ledger = Ledger {
            version: whole.version,
            ..Ledger::default()
        };
        // In the order of paths: what is below another comes after it.
        let mut deadlines = Vec::new();
        for (path, at) in &whole.deadlines {
            deadlines.push((read_path(path)?, *at));
        }
        deadlines.sort();
        for (path, at) in deadlines {
            if !ledger.deadlines.has_room(&path) {
                return Err(Unreadable);
            }
            ledger.deadlines.renew(&path, Some(at));
        }
        for (origin, number, sequence) in &whole.origins {
            ledger.origins.note(*origin, *number, *sequence);
        }
        Ok((tree, ledger))
    }
}
