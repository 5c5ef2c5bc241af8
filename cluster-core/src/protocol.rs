//! What the processes of a cluster tell each other: commands go down, reports go up, operators ask.
//!
//! Everything here is append-only; a changed layout is a new version of its kind. Protocol *n* speaks with *n - 1*.

mod adoption;
mod beat;
mod debugging;
mod operation;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{Generation, ProcessId, Role, WorkerId};
use crate::wire::message::wire_message;

pub(crate) use adoption::{Adopt, Heritage, Standing};
pub use beat::Beat;
pub use debugging::{DebugError, Debugging, Subject};
pub use operation::{Addressee, Operation, OperationError};
pub(crate) use operation::{Operate, Outcome, Progress};

/// The version of the protocol that this build speaks.
pub(crate) const PROTOCOL: u16 = 1;
/// The oldest version that it still understands.
pub(crate) const OLDEST: u16 = 1;

/// The longest message that an operator may send, in bytes: what operators are for is small.
pub(crate) const OPERATION_LIMIT: usize = 1024 * 1024;

/// The first frame of a link, from the side that connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) protocol: u16,
    pub(crate) build: String,
    pub(crate) role: Role,
    pub(crate) worker: Option<WorkerId>,
    pub(crate) generation: Generation,
    pub(crate) pid: u32,
}
wire_message!(Hello, kind 1, version 1, Control);

/// The answer to a hello that is let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Welcome {
    pub(crate) protocol: u16,
    pub(crate) build: String,
    pub(crate) pid: u32,
    /// Who the side that connected is, to this one.
    pub(crate) you: ProcessId,
}
wire_message!(Welcome, kind 2, version 1, Control);

/// The answer to a hello that is not let in. Append-only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The versions have nothing in common.
    #[error("it speaks protocol {theirs}, this side {OLDEST} to {PROTOCOL}")]
    Protocol {
        /// The version that was offered.
        theirs: u16,
    },
    /// The process belongs to another user.
    #[error("it belongs to user {uid}, the cluster does not")]
    NotOurs {
        /// The user of the process that connected.
        uid: u32,
    },
    /// The master does not know the worker, or has replaced it.
    #[error("the master does not expect it")]
    Unexpected,
    /// The cluster is stopping.
    #[error("the cluster is stopping")]
    Stopping,
    /// Too many operators are linked.
    #[error("{most} operators are linked already (allowed: up to {most})")]
    Crowded {
        /// How many may be.
        most: u16,
    },
}
wire_message!(Refused, kind 3, version 1, Control);

/// What the master tells a process. Append-only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Stop accepting, finish what there is within the time, and exit.
    Retire { within_ms: u64 },
    /// Stop accepting and finish what there is, but stay.
    Pause,
    /// Accept again.
    Resume,
    /// End at once.
    Abort,
    /// Stop accepting where the others do, and serve at an address of your own.
    Isolate,
}
wire_message!(Command, kind 4, version 1, Control);

/// What a process tells the master of itself. Append-only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The warm-up went well.
    Warmed,
    /// It serves.
    Listening { addresses: Vec<String> },
    /// A step of its start failed; it exits.
    StartFailed { step: StartStep, cause: String },
    /// It has stopped accepting and finished what it had.
    Paused,
    /// It accepts again.
    Resumed,
    /// It has begun to drain.
    Retiring,
    /// It is alive, and how it does.
    Beat(Box<Beat>),
    /// It offers a status of this name.
    StatusOffered { name: String },
    /// It no longer does.
    StatusWithdrawn { name: String },
    /// It serves nobody but whoever comes to this address; or why it cannot.
    Isolated { address: Result<String, String> },
}
wire_message!(Report, kind 5, version 1, Control);

/// The steps of a start that can fail. Append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StartStep {
    /// The application's `configure`.
    Configure,
    /// Building the application, or its private listener.
    Build,
    /// The application's `warm_up`.
    WarmUp,
    /// Accepting on the shared sockets.
    Listen,
    /// Taking over from the process that serves.
    TakeOver,
}

impl fmt::Display for StartStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StartStep::Configure => "configure",
            StartStep::Build => "building the application",
            StartStep::WarmUp => "warm-up",
            StartStep::Listen => "listening",
            StartStep::TakeOver => "taking over",
        })
    }
}

/// The workers that hear what is emitted to all, as the master last told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Roster {
    /// Active workers, and the pid of each.
    pub(crate) active: Vec<(WorkerId, u32)>,
    /// Other workers that can be addressed: still warming, paused or retiring.
    pub(crate) others: Vec<(WorkerId, u32)>,
    /// Whether a cache manager is linked.
    pub(crate) cache_manager: bool,
    /// The cache manager is an actor of the master, and has no process of its own.
    pub(crate) cache_in_master: bool,
    /// Processes of different builds are linked: payloads are to be self-describing.
    pub(crate) mixed_builds: bool,
}
wire_message!(Roster, kind 9, version 1, Control);

impl Roster {
    /// The worker of this id or, where no such id is known, of this pid.
    pub(crate) fn find(&self, number: u32) -> Option<WorkerId> {
        let all = || self.active.iter().chain(&self.others);
        all()
            .find(|(id, _)| id.0 == number)
            .or_else(|| all().find(|(_, pid)| *pid == number))
            .map(|(id, _)| *id)
    }

    /// Whether a process can be addressed at present.
    pub(crate) fn knows(&self, process: ProcessId) -> bool {
        match process {
            ProcessId::Master | ProcessId::Operator(_) => true,
            ProcessId::CacheManager => self.cache_manager,
            ProcessId::Worker(id) => self
                .active
                .iter()
                .chain(&self.others)
                .any(|(other, _)| *other == id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec;
    use crate::wire::message::WireMessage;

    pub(super) fn golden<T: WireMessage + PartialEq + fmt::Debug>(
        kind: u16,
        value: T,
        bytes: &[u8],
    ) {
        assert_eq!(T::HEADER.kind, kind);
        let mut out = Vec::new();
        codec::encode_into(&value, &mut out).unwrap();
        assert_eq!(
            out, bytes,
            "the layout of kind {kind} has changed: make it a new version"
        );
        assert_eq!(codec::decode::<T>(bytes).unwrap(), value);
    }

    #[test]
    fn golden_bytes() {
        let hello = Hello {
            protocol: 1,
            build: "b".into(),
            role: Role::Worker,
            worker: Some(WorkerId(2)),
            generation: Generation(1),
            pid: 9,
        };
        golden(1, hello, &[1, 1, b'b', 1, 1, 2, 1, 9]);
        let you = ProcessId::Worker(WorkerId(2));
        let welcome = Welcome {
            protocol: 1,
            build: "b".into(),
            pid: 8,
            you,
        };
        golden(2, welcome, &[1, 1, b'b', 8, 1, 2]);
        golden(3, Refused::Protocol { theirs: 7 }, &[0, 7]);
        golden(3, Refused::Stopping, &[3]);
        golden(3, Refused::Crowded { most: 9 }, &[4, 9]);
        golden(4, Command::Retire { within_ms: 5 }, &[0, 5]);
        golden(4, Command::Abort, &[3]);
        golden(4, Command::Isolate, &[4]);
        golden(
            5,
            Report::Isolated {
                address: Ok("a".into()),
            },
            &[9, 0, 1, b'a'],
        );
        golden(
            5,
            Report::Listening {
                addresses: vec!["a".into()],
            },
            &[1, 1, 1, b'a'],
        );
        golden(
            5,
            Report::StartFailed {
                step: StartStep::WarmUp,
                cause: "c".into(),
            },
            &[2, 2, 1, b'c'],
        );
        golden(
            5,
            Report::StartFailed {
                step: StartStep::TakeOver,
                cause: "c".into(),
            },
            &[2, 4, 1, b'c'],
        );
        let beat = Beat {
            uptime_ms: 1,
            tps: 1.0,
            ..Beat::default()
        };
        golden(
            5,
            Report::Beat(Box::new(beat)),
            &[
                6, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0,
                0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            ],
        );
        let roster = Roster {
            active: vec![(WorkerId(1), 10)],
            others: vec![],
            cache_manager: true,
            cache_in_master: false,
            mixed_builds: false,
        };
        golden(9, roster, &[1, 1, 10, 0, 1, 0, 0]);
        golden(
            10,
            Operate {
                number: 1,
                operation: Operation::Scale { workers: 3 },
            },
            &[1, 3, 3],
        );
        let recycle = Operate {
            number: 1,
            operation: Operation::Recycle { worker: 3 },
        };
        golden(10, recycle, &[1, 10, 3]);
        let read = Operate {
            number: 1,
            operation: Operation::ReadStatus {
                name: "os".into(),
                reduce: "sum".into(),
            },
        };
        golden(10, read, &[1, 12, 2, b'o', b's', 3, b's', b'u', b'm']);
        golden(
            11,
            Outcome {
                number: 1,
                result: Err(OperationError::NoSuchWorker(4)),
            },
            &[1, 1, 1, 4],
        );
        golden(
            12,
            Progress {
                number: 1,
                done: 1,
                of: 2,
                note: "n".into(),
            },
            &[1, 1, 2, 1, b'n'],
        );
    }

    #[test]
    fn a_worker_is_found_by_id_before_pid() {
        let roster = Roster {
            active: vec![(WorkerId(1), 7), (WorkerId(2), 8)],
            others: vec![(WorkerId(7), 9)],
            ..Roster::default()
        };
        assert_eq!(roster.find(7), Some(WorkerId(7)));
        assert_eq!(roster.find(8), Some(WorkerId(2)));
        assert_eq!(roster.find(6), None);
    }
}
