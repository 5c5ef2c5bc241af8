//! What replicas of a document and its keeper, the cache manager, tell each other. Append-only, as all of the protocol.
//!
//! ```text
//! replica                 manager
//! Join ───────────────▶                its version comes along
//!          ◀──────────── Offer          where it may know more than the file does
//! Offer ──────────────▶
//!          ◀──────────── State          where it is behind
//!          ◀──────────── Document       the answer: it has joined, at this version
//! Change ─────────────▶                its own changes, numbered; sent again after a break
//!          ◀──────────── Changed        every change in the one order, also its own
//! Board ──────────────▶                of a manager of the same build alone
//!          ◀──────────── Board          where the changes stand before they are told, too
//! ```

use serde::{Deserialize, Serialize};

use crate::table::Millis;

/// How far a document is: how many changes were made under one manager, and which manager that is. A larger one knows more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
}

/// What a replica asks.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum DocumentOp<'a> {
    /// To be told of every change, from this version on.
    Join {
        /// The directory of its file, as the system knows it.
        directory: &'a str,
        name: &'a str,
        /// The number of the process, for this document.
        origin: u64,
        version: Version,
        /// After how many milliseconds a change is to be in the file.
        gc_ms: u64,
    },
    /// The document as it is confirmed here.
    Offer(#[serde(borrow)] Box<Whole<'a>>),
    Change {
        /// Of the replica's changes; they have no gaps.
        number: u64,
        #[serde(borrow)]
        change: Changing<'a>,
    },
    /// Answered when all before it is sequenced, and told.
    Sync,
    /// Answered when all before it is in the file, and on the disk.
    Flush,
    /// The file is to be removed; there is no such document any more.
    Destroy,
    /// To be told where the board is; nothing comes where there is none.
    Board,
}

/// A change that a replica wants.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Changing<'a> {
    Set {
        path: &'a str,
        #[serde(with = "serde_bytes")]
        value: &'a [u8],
        ttl_ms: Option<u64>,
    },
    Delete {
        path: &'a str,
    },
}

/// A document as a whole.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Whole<'a> {
    pub(crate) version: Version,
    #[serde(with = "serde_bytes")]
    pub(crate) root: &'a [u8],
    #[serde(borrow)]
    pub(crate) deadlines: Vec<(&'a str, Millis)>,
    /// Processes, the numbers of their last changes, and those in the document's order.
    pub(crate) origins: Vec<(u64, u64, u64)>,
}

/// What replicas are told.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum DocumentTold<'a> {
    /// Say what you have.
    Offer,
    State(#[serde(borrow)] Box<Whole<'a>>),
    Changed {
        /// Of the document's changes under this manager; they have no gaps.
        sequence: u64,
        /// The process that wanted it; 0 for the manager itself, whose changes have no number.
        origin: u64,
        number: u64,
        #[serde(borrow)]
        change: Sequenced<'a>,
    },
    /// There is no such document any more.
    Destroyed,
    /// The changes to come are published on this board, each as the bytes of what is told, before they are told.
    Board {
        /// Its number in the manager's process.
        descriptor: u32,
        key: u64,
    },
}

impl DocumentTold<'_> {
    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            DocumentTold::State(whole) => 32 + whole.root.len(),
            DocumentTold::Changed {
                change: Sequenced::Set { value, .. },
                ..
            } => 64 + value.len(),
            _ => 64,
        }
    }
}

/// A change as it was made.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Sequenced<'a> {
    /// It did not fit when its turn came.
    Nothing,
    Set {
        path: &'a str,
        #[serde(with = "serde_bytes")]
        value: &'a [u8],
        deadline: Option<Millis>,
    },
    Delete {
        path: &'a str,
    },
}

/// Why the manager does not keep a document, or not as it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentRefusal {
    /// It has not joined.
    #[error("this process has not joined the document")]
    NotJoined,
    /// The name cannot be a file's.
    #[error(
        "the name of the document is none (allowed: 1 to 64 letters, digits, `.`, `_` and `-`, no `.` at its beginning)"
    )]
    Name,
    /// The directory cannot be one.
    #[error("the directory of the document is not absolute, or has more than 4096 bytes")]
    Directory,
    /// There are too many documents.
    #[error("there are {0} documents already (allowed: up to {0})")]
    Documents(usize),
    /// Another cache manager keeps it: processes of two clusters use the same file.
    #[error("another cache manager keeps it: {0}")]
    Held(String),
    /// The file cannot be read or written.
    #[error("{0}")]
    File(String),
    /// What was offered is no document.
    #[error("what was offered is no document")]
    Offer,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Answer, Ask, Op, Refusal, Told};

    fn golden(op: DocumentOp<'_>, bytes: &[u8]) {
        let ask = Ask {
            number: 7,
            space: 0,
            op: Op::Document(op),
        };
        let mut out = Vec::new();
        ask.write(&mut out).unwrap();
        assert_eq!(out[..3], [7, 0, 21]);
        assert_eq!(&out[3..], bytes);
        let read = Ask::read(&out).unwrap();
        assert_eq!(format!("{read:?}"), format!("{ask:?}"));
    }

    fn golden_told(told: DocumentTold<'_>, bytes: &[u8]) {
        let told = Told::Document(told);
        let mut out = Vec::new();
        told.write(&mut out).unwrap();
        assert_eq!(out[0], 3);
        assert_eq!(&out[1..], bytes);
        let read = Told::read(&out).unwrap();
        assert_eq!(format!("{read:?}"), format!("{told:?}"));
    }

    fn whole() -> Box<Whole<'static>> {
        Box::new(Whole {
            version: Version {
                epoch: 1,
                sequence: 2,
            },
            root: b"r",
            deadlines: vec![("p", 9)],
            origins: vec![(3, 4, 5)],
        })
    }

    #[test]
    fn golden_bytes() {
        let join = DocumentOp::Join {
            directory: "/d",
            name: "n",
            origin: 3,
            version: Version {
                epoch: 1,
                sequence: 2,
            },
            gc_ms: 9,
        };
        golden(join, &[0, 2, b'/', b'd', 1, b'n', 3, 1, 2, 9]);
        let offered = [1, 2, 1, b'r', 1, 1, b'p', 9, 1, 3, 4, 5];
        golden(DocumentOp::Offer(whole()), &[&[1], &offered[..]].concat());
        let set = Changing::Set {
            path: "p",
            value: b"v",
            ttl_ms: Some(9),
        };
        let change = |change| DocumentOp::Change { number: 4, change };
        golden(change(set), &[2, 4, 0, 1, b'p', 1, b'v', 1, 9]);
        let delete = Changing::Delete { path: "p" };
        golden(change(delete), &[2, 4, 1, 1, b'p']);
        golden(DocumentOp::Sync, &[3]);
        golden(DocumentOp::Flush, &[4]);
        golden(DocumentOp::Destroy, &[5]);
        golden(DocumentOp::Board, &[6]);

        golden_told(DocumentTold::Offer, &[0]);
        let state = DocumentTold::State(whole());
        golden_told(state, &[&[1], &offered[..]].concat());
        let changed = |change| DocumentTold::Changed {
            sequence: 6,
            origin: 3,
            number: 4,
            change,
        };
        golden_told(changed(Sequenced::Nothing), &[2, 6, 3, 4, 0]);
        let set = Sequenced::Set {
            path: "p",
            value: b"v",
            deadline: None,
        };
        golden_told(changed(set), &[2, 6, 3, 4, 1, 1, b'p', 1, b'v', 0]);
        let delete = Sequenced::Delete { path: "p" };
        golden_told(changed(delete), &[2, 6, 3, 4, 2, 1, b'p']);
        golden_told(DocumentTold::Destroyed, &[3]);
        let (descriptor, key) = (7, 8);
        let board = DocumentTold::Board { descriptor, key };
        golden_told(board, &[4, 7, 8]);
    }

    #[test]
    fn golden_bytes_of_answers() {
        let told = |answer| {
            let mut out = Vec::new();
            let told = Told::Answer {
                number: 7,
                as_of: 5,
                answer,
            };
            told.write(&mut out).unwrap();
            out
        };
        let version = Version {
            epoch: 1,
            sequence: 2,
        };
        assert_eq!(told(Answer::Document(version)), [0, 7, 5, 13, 1, 2]);
        let refused = |refusal| told(Answer::Refused(Refusal::Document(refusal)));
        assert_eq!(refused(DocumentRefusal::NotJoined)[3..], [12, 13, 0]);
        assert_eq!(refused(DocumentRefusal::Name)[3..], [12, 13, 1]);
        assert_eq!(refused(DocumentRefusal::Directory)[3..], [12, 13, 2]);
        assert_eq!(refused(DocumentRefusal::Documents(9))[3..], [12, 13, 3, 9]);
        let held = DocumentRefusal::Held("p".into());
        assert_eq!(refused(held)[3..], [12, 13, 4, 1, b'p']);
        let file = DocumentRefusal::File("p".into());
        assert_eq!(refused(file)[3..], [12, 13, 5, 1, b'p']);
        assert_eq!(refused(DocumentRefusal::Offer)[3..], [12, 13, 6]);
    }
}
