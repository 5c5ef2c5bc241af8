//! What clients and the owner of the session stores tell each other. A store is named in each question, so that nothing has to be opened.
//!
//! Values are tagged as all values of the cache are: a byte that names the format, then JSON as text.

use serde::{Deserialize, Serialize};

/// A question to a session store.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SessionAsk<'a> {
    pub(crate) store: &'a str,
    #[serde(borrow)]
    pub(crate) op: SessionOp<'a>,
}

/// What is asked of a session store.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum SessionOp<'a> {
    /// Which operations it has.
    Operations,
    Get {
        key: &'a str,
    },
    Set {
        key: &'a str,
        #[serde(with = "serde_bytes")]
        value: &'a [u8],
        /// As the store says where nothing is said.
        ttl_ms: Option<u64>,
        when: When,
    },
    Touch {
        key: &'a str,
        ttl_ms: Option<u64>,
    },
    Destroy {
        key: &'a str,
    },
    /// A page of all entries.
    All {
        from: u64,
    },
    Clear,
    Length,
    /// A worker may use the store from now on; said by anybody but a worker.
    AddWorker {
        worker: u32,
    },
    /// It may not any more.
    RemoveWorker {
        worker: u32,
    },
}

impl SessionOp<'_> {
    /// Whether it is about which workers reach the store.
    pub(crate) fn is_of_workers(&self) -> bool {
        matches!(
            self,
            SessionOp::AddWorker { .. } | SessionOp::RemoveWorker { .. }
        )
    }
}

/// Under which condition a value is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    /// Whether or not there is one.
    Always,
    /// Only where there is none.
    Absent,
    /// Only where there is one.
    Present,
}

impl When {
    /// Whether it is so, where there is a value or none.
    pub fn allows(self, there: bool) -> bool {
        match self {
            When::Always => true,
            When::Absent => !there,
            When::Present => there,
        }
    }
}

/// The answer of a session store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum SessionAnswer<'a> {
    /// Whether there was something to do it to, or a value was taken.
    Done(bool),
    Absent,
    Found {
        /// For how long it is kept; nothing where that has no end.
        left_ms: Option<u64>,
        #[serde(with = "serde_bytes")]
        value: &'a [u8],
    },
    Page {
        #[serde(borrow)]
        entries: Vec<PageEntry<'a>>,
        next: Option<u64>,
    },
    Count(u64),
    /// A bit for each, by its number.
    Operations(u32),
    Refused(SessionRefusal),
}

/// One of all entries.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PageEntry<'a> {
    pub(crate) key: &'a str,
    #[serde(with = "serde_bytes")]
    pub(crate) value: &'a [u8],
    pub(crate) left_ms: Option<u64>,
}

/// Why a store does not do what it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SessionRefusal {
    NoStore,
    /// The caller is a worker that the store is not for.
    Forbidden {
        worker: u32,
    },
    /// By the number of the operation.
    Unsupported(u32),
    Key(u64),
    Value {
        bytes: u64,
        allowed: u64,
    },
    Full {
        allowed: u64,
    },
    Busy,
    /// The store failed; the cause as text, as it comes from another process.
    Failed(String),
    /// The owner has just begun, and may not have been told of the caller yet: to be asked again in a moment.
    Settling,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Answer, Ask, Op, Told};

    fn bytes<T: Serialize>(value: &T) -> Vec<u8> {
        let mut out = Vec::new();
        cluster_core::__bench::encode(value, &mut out).unwrap();
        out
    }

    fn ask(op: SessionOp<'_>) -> Vec<u8> {
        let op = Op::Session(SessionAsk { store: "w", op });
        bytes(&Ask {
            number: 7,
            space: 0,
            op,
        })
    }

    #[test]
    fn golden_bytes() {
        let head = [7, 0, 22, 1, b'w'];
        let with = |rest: &[u8]| [&head[..], rest].concat();
        assert_eq!(ask(SessionOp::Operations), with(&[0]));
        assert_eq!(ask(SessionOp::Get { key: "k" }), with(&[1, 1, b'k']));
        let set = SessionOp::Set {
            key: "k",
            value: b"v",
            ttl_ms: Some(9),
            when: When::Present,
        };
        assert_eq!(ask(set), with(&[2, 1, b'k', 1, b'v', 1, 9, 2]));
        let touch = SessionOp::Touch {
            key: "k",
            ttl_ms: None,
        };
        assert_eq!(ask(touch), with(&[3, 1, b'k', 0]));
        assert_eq!(ask(SessionOp::Destroy { key: "k" }), with(&[4, 1, b'k']));
        assert_eq!(ask(SessionOp::All { from: 3 }), with(&[5, 3]));
        assert_eq!(ask(SessionOp::Clear), with(&[6]));
        assert_eq!(ask(SessionOp::Length), with(&[7]));
        assert_eq!(ask(SessionOp::AddWorker { worker: 4 }), with(&[8, 4]));
        assert_eq!(ask(SessionOp::RemoveWorker { worker: 4 }), with(&[9, 4]));
        let told = |answer| {
            bytes(&Told::Answer {
                number: 7,
                as_of: 0,
                answer: Answer::Session(answer),
            })
        };
        assert_eq!(told(SessionAnswer::Done(true)), [0, 7, 0, 14, 0, 1]);
        assert_eq!(told(SessionAnswer::Absent), [0, 7, 0, 14, 1]);
        let found = SessionAnswer::Found {
            left_ms: None,
            value: b"v",
        };
        assert_eq!(told(found), [0, 7, 0, 14, 2, 0, 1, b'v']);
        let refused = SessionAnswer::Refused(SessionRefusal::Busy);
        assert_eq!(told(refused), [0, 7, 0, 14, 6, 6]);
    }
}
