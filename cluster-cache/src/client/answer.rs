//! An answer, taken out of the bytes that it came in.

use std::cell::RefCell;
use std::ops::Deref;

use crate::protocol::{Answer, MetaReply, Refusal, SessionRefusal, Stat};
use crate::sessions::Outcome;

/// Buffers of values that a thread keeps at most for the next ones, and how long they may be.
const SPARES: (usize, usize) = (64, 4096);

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// The bytes of a value on its way. As many are under way at once, more than an allocator keeps at hand, their buffers are used again.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bytes(Vec<u8>);

impl Bytes {
    /// None yet, in a buffer that has been used where there is one.
    pub(super) fn none() -> Self {
        // A thread that ends keeps no buffers any more.
        let spare = SPARE.try_with(|spare| spare.borrow_mut().pop());
        Bytes(spare.ok().flatten().unwrap_or_default())
    }

    /// To be appended to.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        if bytes.len() > SPARES.1 {
            return Bytes(bytes.to_vec());
        }
        let mut copy = Bytes::none();
        copy.0.extend_from_slice(bytes);
        copy
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes(bytes)
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        if !(1..=SPARES.1).contains(&self.0.capacity()) {
            return;
        }
        let mut buffer = std::mem::take(&mut self.0);
        buffer.clear();
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < SPARES.0 {
                spare.push(buffer);
            }
        });
    }
}

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
        value: Bytes,
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
    Stat(Box<Stat>),
    Namespaces(Vec<String>),
    Meta(Box<MetaReply>),
    Refused(Refusal),
    /// Of a session store.
    Session(Result<Outcome, SessionRefusal>),
    /// Of nothing that this build asks for.
    Strange,
}

impl From<Answer<'_>> for Got {
    fn from(answer: Answer<'_>) -> Self {
        let owned = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect();
        match answer {
            Answer::Done => Got::Done,
            Answer::Accepted(taken) => Got::Accepted(taken),
            Answer::Absent => Got::Absent,
            Answer::Hit { value, left_ms } => Got::Hit {
                value: value.into(),
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
            Answer::Stat(stat) => Got::Stat(stat),
            Answer::Namespaces { names } => Got::Namespaces(owned(names)),
            Answer::Meta(meta) => Got::Meta(meta),
            Answer::Refused(refusal) => Got::Refused(refusal),
            Answer::Document(_) => Got::Strange,
            Answer::Session(answer) => Got::Session(answer.into()),
        }
    }
}
