//! What clients and the cache manager tell each other. Enums are append-only: an old client meets a new manager in every upgrade.
//!
//! A client gives each of its questions a number and each namespace that it uses another, both its own; answers may come in any
//! order. Keys and values refer to the bytes that they were read from.
//!
//! A manager hands over to a successor on a connection of its own, to which the successor has introduced itself as such. It asks to
//! [`Op::HandOver`], and is answered; then come [`Part`]s; and when it has all of them, it asks to [`Op::TakeOver`]. With that
//! answer come the listening socket and the file of what is kept: from then on the successor serves, and nobody else.

mod by_hand;
mod document;
mod part;
mod session;

use cluster_core::Request;
use serde::{Deserialize, Serialize};

pub use document::DocumentRefusal;
pub(crate) use document::{Changing, DocumentOp, DocumentTold, Sequenced, Version, Whole};
pub(crate) use part::{Part, Stored};
pub use session::When;
pub(crate) use session::{PageEntry, SessionAnswer, SessionAsk, SessionOp, SessionRefusal};

/// Asks the cache manager's process about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Request)]
#[reply(MetaReply)]
#[request(name = "cluster.cache.meta")]
pub struct Meta {}

/// What the cache manager says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MetaReply {
    /// The pid of its process; the master's where it runs there.
    pub pid: u32,
    /// For how long it has been running, in milliseconds.
    pub uptime_ms: u64,
    /// How many namespaces there are.
    pub namespaces: u64,
    /// How many entries there are in all of them.
    pub entries: u64,
    /// What all entries take together, in bytes.
    pub bytes: u64,
}

/// A client's question.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ask<'a> {
    pub(crate) number: u64,
    /// The namespace, by the client's number for it; 0 where none is meant.
    pub(crate) space: u32,
    #[serde(borrow)]
    pub(crate) op: Op<'a>,
}

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Op<'a> {
    /// Ties the client's number to a namespace, which is made where there is none and it is said how it is to be.
    Open {
        name: &'a str,
        /// In a box, as what is rare and long in answers: questions and answers are moved often, and nearly all are short.
        options: Option<Box<SpaceOptions>>,
        /// When the client's program was built: the options of a newer build take the place of an older one's.
        built_ms: u64,
    },
    Get {
        key: &'a str,
        /// Finding nothing is no miss yet: the asker goes on to load it.
        probe: bool,
    },
    Set {
        key: &'a str,
        #[serde(with = "serde_bytes")]
        value: &'a [u8],
        keep: Keep,
        /// Only where there is none.
        if_absent: bool,
    },
    Del {
        key: &'a str,
    },
    Inspect {
        key: &'a str,
    },
    /// Asks for the value or, where there is none, for the right to load it; waits while another has it.
    Acquire {
        key: &'a str,
        /// How long the load may take.
        load_ms: u64,
    },
    /// Gives what was loaded under a lease.
    Fulfil {
        key: &'a str,
        lease: u64,
        /// Empty: there is no such thing.
        #[serde(with = "serde_bytes")]
        value: &'a [u8],
        keep: Keep,
    },
    /// Gives a lease up: the load failed, for a reason that all who wait are told, or it was given up, and the next one may load.
    Abandon {
        key: &'a str,
        lease: u64,
        failure: Option<&'a str>,
    },
    /// Claims a lease that an earlier manager granted.
    Claim {
        key: &'a str,
        lease: u64,
        left_ms: u64,
    },
    Keys {
        from: u64,
    },
    /// Tells this client of changes, under its number for the watch.
    Watch {
        key: Option<&'a str>,
        watch: u64,
    },
    Unwatch {
        watch: u64,
    },
    Stat,
    Clear,
    Destroy,
    Namespaces,
    Meta,
    /// Tells this client which keys have changed, of all, under its number for the watch: what it needs who keeps copies.
    Copy {
        watch: u64,
    },
    /// Asks the manager to hand everything over to the asker, which is to take its place.
    HandOver,
    /// All of it has come: the asker is ready to serve.
    TakeOver,
    /// A watch goes on that a manager knew which has [moved](Told::Moved): answered with whether no change was missed since. Where
    /// one was, a watch that is not for copies is told [`Changed::Resync`].
    Rewatch {
        key: Option<&'a str>,
        copies: bool,
        watch: u64,
        since: u64,
    },
    /// Something of a document.
    Document(#[serde(borrow)] DocumentOp<'a>),
    /// A question to a session store.
    Session(#[serde(borrow)] SessionAsk<'a>),
}

/// For how long a value is kept, and where; what is not said is as the namespace's options say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Keep {
    pub(crate) expire_ms: Option<u64>,
    pub(crate) persist: Option<bool>,
}

/// The options of a namespace as the manager keeps them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SpaceOptions {
    pub(crate) persist: bool,
    pub(crate) expire_ms: Option<u64>,
    pub(crate) jitter_percent: u8,
    pub(crate) negative_ms: u64,
    pub(crate) stale_ms: u64,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) max_value_bytes: u64,
}

/// What the manager tells a client.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Told<'a> {
    Answer {
        number: u64,
        /// The version of the last change before it: what it says is true as of then.
        as_of: u64,
        #[serde(borrow)]
        answer: Answer<'a>,
    },
    Changed {
        watch: u64,
        #[serde(borrow)]
        change: Changed<'a>,
    },
    /// Another process serves now, at the same socket. What this one has not answered it has not done; what has changed up to this
    /// version it has told.
    Moved { as_of: u64 },
    /// Something of the document that this client has joined.
    Document(#[serde(borrow)] DocumentTold<'a>),
}

impl Told<'_> {
    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        let answer = match self {
            Told::Answer { answer, .. } => answer,
            Told::Changed {
                change: Changed::Set { value, .. },
                ..
            } => return 32 + value.len(),
            Told::Document(told) => return told.bytes(),
            Told::Changed { .. } | Told::Moved { .. } => return 32,
        };
        let content = match answer {
            Answer::Hit { value, .. }
            | Answer::Removed { value }
            | Answer::Inspected { value, .. } => value.len(),
            Answer::Lease { stale, .. } => stale.len(),
            Answer::Keys { keys, .. } => keys.iter().map(|key| key.len() + 2).sum(),
            Answer::Namespaces { names } => names.iter().map(|name| name.len() + 2).sum(),
            Answer::Session(SessionAnswer::Found { value, .. }) => value.len(),
            Answer::Session(SessionAnswer::Page { entries, .. }) => {
                let bytes = |entry: &PageEntry<'_>| entry.key.len() + entry.value.len() + 8;
                entries.iter().map(bytes).sum()
            }
            _ => 0,
        };
        32 + content
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Answer<'a> {
    Done,
    /// Whether it was taken.
    Accepted(bool),
    Absent,
    Hit {
        /// For how long it still counts as fresh; nothing where that has no end.
        left_ms: Option<u64>,
        #[serde(with = "serde_bytes")]
        value: &'a [u8],
    },
    /// The old value; empty where there was none.
    Removed {
        #[serde(with = "serde_bytes")]
        value: &'a [u8],
    },
    Inspected {
        #[serde(with = "serde_bytes")]
        value: &'a [u8],
        persist: bool,
        left_ms: Option<u64>,
        version: u64,
    },
    /// The right to load.
    Lease {
        lease: u64,
        /// The old value, which is served meanwhile; empty where there is none.
        #[serde(with = "serde_bytes")]
        stale: &'a [u8],
    },
    /// The load failed.
    Failed {
        cause: &'a str,
    },
    Keys {
        keys: Vec<&'a str>,
        next: Option<u64>,
    },
    Stat(Box<Stat>),
    Namespaces {
        names: Vec<&'a str>,
    },
    Meta(Box<MetaReply>),
    Refused(Refusal),
    /// It is done, and the document is so far.
    Document(Version),
    /// Of a session store.
    Session(#[serde(borrow)] SessionAnswer<'a>),
}

/// Why the manager does not do what it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The key is too short or too long.
    #[error("the key has {0} bytes (allowed: 1 to 1024)")]
    Key(usize),
    /// The value is too long.
    #[error("the value has {bytes} bytes (allowed: up to {allowed})")]
    Value {
        /// How long it is.
        bytes: u64,
        /// How long it may be.
        allowed: u64,
    },
    /// The name of the namespace is too short or too long.
    #[error("the name of the namespace has {0} bytes (allowed: 1 to 255)")]
    Name(usize),
    /// There are too many namespaces.
    #[error("there are {0} namespaces already (allowed: up to {0})")]
    Namespaces(usize),
    /// The namespace is not open on this connection; it may have been destroyed.
    #[error("the namespace is not open")]
    Closed,
    /// Too many watches.
    #[error("there are {0} watches already (allowed: up to {0})")]
    Watches(usize),
    /// Too many wait for the load of one key.
    #[error("{0} wait for this key already (allowed: up to {0})")]
    Waiters(usize),
    /// The manager does not know what it is asked.
    #[error("the cache manager is of another build, and does not know this question")]
    Unknown,
    /// The lease has passed to another, or is over.
    #[error("the right to load has passed to another")]
    Lease,
    /// It cannot be stored.
    #[error("it cannot be stored: {0}")]
    Store(String),
    /// There is no such namespace, and it was not to be made.
    #[error("there is no such namespace")]
    NoNamespace,
    /// The cache is being handed over to another process already.
    #[error("it is being handed over to another process already")]
    HandingOver,
    /// The manager is an actor among others of its process, and has no successor.
    #[error("it has no process of its own, and is not handed over")]
    NotHandedOver,
    /// It is about a document.
    #[error(transparent)]
    Document(#[from] DocumentRefusal),
    /// The namespace is that of a session store: only the store changes it.
    #[error("the namespace is that of a session store, which alone changes it")]
    OfSessions,
}

/// A change of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Changed<'a> {
    Set {
        key: &'a str,
        version: u64,
        #[serde(with = "serde_bytes")]
        value: &'a [u8],
    },
    Deleted {
        key: &'a str,
        version: u64,
    },
    Expired {
        key: &'a str,
        version: u64,
    },
    Evicted {
        key: &'a str,
        version: u64,
    },
    /// All entries are gone.
    Cleared {
        version: u64,
    },
    /// The namespace is gone.
    Destroyed,
    /// Changes were missed.
    Resync,
    /// A value was set, and who is told keeps no more than copies.
    Stale {
        key: &'a str,
        version: u64,
    },
}

impl Changed<'_> {
    /// The key that has changed, and the version of the change; nothing where it is not of one key.
    pub(crate) fn of_key(&self) -> Option<(&str, u64)> {
        match *self {
            Changed::Set { key, version, .. }
            | Changed::Stale { key, version }
            | Changed::Deleted { key, version }
            | Changed::Expired { key, version }
            | Changed::Evicted { key, version } => Some((key, version)),
            Changed::Cleared { .. } | Changed::Destroyed | Changed::Resync => None,
        }
    }
}

/// The figures of a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stat {
    /// Reads that found a value.
    pub hits: u64,
    /// Reads that found none.
    pub misses: u64,
    /// Loads that brought a value, or that there is none.
    pub loads: u64,
    /// Loads that failed.
    pub errors: u64,
    /// Entries that gave way to others.
    pub evicted: u64,
    /// Entries whose time was over.
    pub expired: u64,
    /// Entries now.
    pub entries: u64,
    /// What they take, in bytes.
    pub bytes: u64,
    /// Loads under way.
    pub loading: u64,
    /// Who wait for them.
    pub waiting: u64,
    /// Watches.
    pub watches: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<T: Serialize>(value: &T) -> Vec<u8> {
        let mut out = Vec::new();
        cluster_core::__bench::encode(value, &mut out).unwrap();
        out
    }

    #[test]
    fn golden_bytes() {
        let ask = |op| Ask {
            number: 7,
            space: 2,
            op,
        };
        assert_eq!(
            bytes(&ask(Op::Get {
                key: "k",
                probe: false
            })),
            [7, 2, 1, 1, b'k', 0]
        );
        let keep = Keep {
            expire_ms: Some(9),
            persist: None,
        };
        let set = Op::Set {
            key: "k",
            value: b"v",
            keep,
            if_absent: true,
        };
        assert_eq!(bytes(&ask(set)), [7, 2, 2, 1, b'k', 1, b'v', 1, 9, 0, 1]);
        assert_eq!(bytes(&ask(Op::Meta))[2], 16);
        assert_eq!(bytes(&ask(Op::Copy { watch: 4 })), [7, 2, 17, 4]);
        assert_eq!(bytes(&ask(Op::HandOver)), [7, 2, 18]);
        assert_eq!(bytes(&ask(Op::TakeOver)), [7, 2, 19]);
        let rewatch = Op::Rewatch {
            key: Some("k"),
            copies: false,
            watch: 4,
            since: 9,
        };
        assert_eq!(bytes(&ask(rewatch)), [7, 2, 20, 1, 1, b'k', 0, 4, 9]);
        assert_eq!(bytes(&Told::Moved { as_of: 5 }), [2, 5]);
        let stale = Changed::Stale {
            key: "k",
            version: 3,
        };
        assert_eq!(bytes(&stale), [7, 1, b'k', 3]);
        let told = Told::Answer {
            number: 7,
            as_of: 5,
            answer: Answer::Hit {
                left_ms: Some(3),
                value: b"v",
            },
        };
        assert_eq!(bytes(&told), [0, 7, 5, 3, 1, 3, 1, b'v']);
        let refused = Answer::Refused(Refusal::Lease);
        assert_eq!(bytes(&refused), [12, 8]);
        assert_eq!(bytes(&Answer::Refused(Refusal::HandingOver)), [12, 11]);
        assert_eq!(bytes(&Answer::Refused(Refusal::NotHandedOver)), [12, 12]);
    }
}
