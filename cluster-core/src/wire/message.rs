//! The kinds of messages, and the heads of the three that carry application payloads.
//!
//! A kind's number is never used again and never changes its meaning; a changed layout is a new version of the kind.
//! Enums that cross the wire are append-only.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::frame::Header;
use crate::id::ProcessId;

/// A message of the protocol: what its frames say of it.
pub(crate) trait WireMessage: Serialize + DeserializeOwned {
    const HEADER: Header;
}

/// Ties a type to its kind, version and lane.
macro_rules! wire_message {
    ($type:ty, kind $kind:literal, version $version:literal, $lane:ident) => {
        impl $crate::wire::message::WireMessage for $type {
            const HEADER: $crate::wire::frame::Header = $crate::wire::frame::Header {
                kind: $kind,
                version: $version,
                lane: $crate::wire::frame::Lane::$lane,
            };
        }
    };
}
pub(crate) use wire_message;

/// How a payload is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Format {
    /// bincode of the receiver's own type: only between equal fingerprints.
    Bincode,
    /// Self-describing: between different builds, and from the command line.
    Json,
}

/// Which type a payload is of: the hash of its stable name, and of its layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TypeTag {
    pub(crate) id: u64,
    pub(crate) fingerprint: u64,
    pub(crate) format: Format,
}

/// Where an event goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Destination {
    One(ProcessId),
    /// Every active worker but the sender, which has heard it already.
    Workers,
}

/// The head of an event; its payload is the rest of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventHead {
    pub(crate) from: ProcessId,
    pub(crate) to: Destination,
    pub(crate) tag: TypeTag,
}
wire_message!(EventHead, kind 6, version 1, Data);

/// The head of a question; its payload is the rest of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AskHead {
    pub(crate) from: ProcessId,
    pub(crate) to: ProcessId,
    pub(crate) correlation: u64,
    pub(crate) tag: TypeTag,
}
wire_message!(AskHead, kind 7, version 1, Data);

/// How an answer came about. Append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Verdict {
    /// The payload is the reply.
    Answered,
    /// Nobody there answers this kind of request.
    NoHandler,
    /// The receiver's queue is full.
    Overloaded,
    /// The request could not be read there.
    Undecodable,
    /// No such process, or it is gone.
    Dead,
    /// The handler gave up without an answer.
    Abandoned,
}

/// The head of an answer; a reply's payload is the rest of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AnswerHead {
    pub(crate) from: ProcessId,
    pub(crate) to: ProcessId,
    pub(crate) correlation: u64,
    pub(crate) verdict: Verdict,
    pub(crate) format: Format,
}
wire_message!(AnswerHead, kind 8, version 1, Data);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::WorkerId;
    use crate::wire::codec;

    fn golden<T: WireMessage + PartialEq + std::fmt::Debug>(value: T, bytes: &[u8]) {
        let mut out = Vec::new();
        codec::encode_into(&value, &mut out).unwrap();
        assert_eq!(out, bytes);
        assert_eq!(codec::decode::<T>(bytes).unwrap(), value);
    }

    const TAG: TypeTag = TypeTag {
        id: 1,
        fingerprint: 2,
        format: Format::Json,
    };

    #[test]
    fn golden_bytes() {
        golden(
            EventHead {
                from: ProcessId::Worker(WorkerId(7)),
                to: Destination::Workers,
                tag: TAG,
            },
            &[1, 7, 1, 1, 2, 1],
        );
        golden(
            EventHead {
                from: ProcessId::Master,
                to: Destination::One(ProcessId::CacheManager),
                tag: TAG,
            },
            &[0, 0, 2, 1, 2, 1],
        );
        golden(
            AskHead {
                from: ProcessId::Operator(3),
                to: ProcessId::Master,
                correlation: 300,
                tag: TAG,
            },
            &[3, 3, 0, 251, 44, 1, 1, 2, 1],
        );
        golden(
            AnswerHead {
                from: ProcessId::Master,
                to: ProcessId::Worker(WorkerId(1)),
                correlation: 9,
                verdict: Verdict::Overloaded,
                format: Format::Bincode,
            },
            &[0, 1, 1, 9, 2, 0],
        );
    }
}
