//! An answer, taken out of the bytes that it came in.

use crate::protocol::{Answer, MetaReply, Refusal, Stat};

/// An answer, and when it was true.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) got: Got,
    /// The version of the last change before it.
    pub(super) as_of: u64,
    /// On which connection of the thread it came.
    pub(super) connection: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Got {
    Done,
    Accepted(bool),
    Absent,
    Hit {
        value: Vec<u8>,
        left_ms: Option<u64>,
    },
    Removed(Vec<u8>),
    Inspected {
        value: Vec<u8>,
        persist: bool,
        left_ms: Option<u64>,
    },
    Lease {
        lease: u64,
        stale: Vec<u8>,
    },
    Failed(String),
    Keys {
        keys: Vec<String>,
        next: Option<u64>,
    },
    /// In a box, as the next: an answer is moved often, and nearly all are short.
    Stat(Box<Stat>),
    Namespaces(Vec<String>),
    Meta(Box<MetaReply>),
    Refused(Refusal),
}

impl From<Answer<'_>> for Got {
    fn from(answer: Answer<'_>) -> Self {
        let owned = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect();
        match answer {
            Answer::Done => Got::Done,
            Answer::Accepted(taken) => Got::Accepted(taken),
            Answer::Absent => Got::Absent,
            Answer::Hit { value, left_ms } => Got::Hit {
                value: value.to_vec(),
                left_ms,
            },
            Answer::Removed { value } => Got::Removed(value.to_vec()),
            Answer::Inspected {
                value,
                persist,
                left_ms,
                ..
            } => Got::Inspected {
                value: value.to_vec(),
                persist,
                left_ms,
            },
            Answer::Lease { lease, stale } => Got::Lease {
                lease,
                stale: stale.to_vec(),
            },
            Answer::Failed { cause } => Got::Failed(cause.to_owned()),
            Answer::Keys { keys, next } => Got::Keys {
                keys: owned(keys),
                next,
            },
            Answer::Stat(stat) => Got::Stat(Box::new(stat)),
            Answer::Namespaces { names } => Got::Namespaces(owned(names)),
            Answer::Meta(meta) => Got::Meta(Box::new(meta)),
            Answer::Refused(refusal) => Got::Refused(refusal),
        }
    }
}
