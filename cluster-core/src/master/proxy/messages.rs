//! What a proxy hears, and what it tells.

use std::sync::Arc;
use std::time::Duration;

use actix::Message;

use super::super::accidents::Accident;
use super::super::proxy_state::{Event, State};
use crate::bridge::outbox::Outbox;
use crate::id::ProcessId;
use crate::protocol::{Beat, Report, StartStep};
use crate::sys::Exit;

/// What the master hears of a process.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Told {
    pub(crate) process: ProcessId,
    /// Its pid: during an upgrade there are two cache managers.
    pub(crate) pid: u32,
    /// All that one event led to, in order: the master decides only when it has heard it all.
    pub(crate) what: Vec<What>,
}

pub(crate) enum What {
    /// It is in another state.
    State(State),
    /// Something that the cluster is to hear of.
    Happened(Happening),
    /// It ends, though nobody wanted it to.
    Accident(Accident),
    /// It is linked; the build that it runs, and its link.
    Linked { build: String, outbox: Arc<Outbox> },
    /// Its link is gone.
    Unlinked,
    /// It is alive.
    Beat(Box<Beat>),
    /// It serves at this address of its own alone; or why it cannot.
    Isolated(Result<String, String>),
    /// It has ended; nothing more comes from it.
    Ended,
}

/// A [`Lifecycle`] with what belongs to it.
pub(crate) enum Happening {
    Warming,
    Warmed,
    WarmUpFailed {
        step: Option<StartStep>,
        cause: String,
    },
    Listening {
        addresses: Vec<String>,
    },
    Paused,
    Resumed,
    Retiring,
    Died {
        exit: Exit,
        accident: bool,
    },
}

/// The nanny hears that a process is alive.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Alive {
    pub(crate) process: ProcessId,
    /// How long ago the thread last ran that has not run for the longest.
    pub(crate) silent: Duration,
}

/// The master wants to know what a process is doing that hangs: it is to write its stacks to its log.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ShowStacks;

/// The master wants something of the process.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Want(pub(crate) Event);

/// The master dismisses the process, with this long to drain.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Dismiss {
    pub(crate) within: Duration,
}

/// Another process has taken this one's place: it is dismissed, and what it offered is the other's.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Supersede;

/// Whether the process has the place that its name stands for: during an upgrade there are two cache managers.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Place(pub(crate) bool);

/// A process that was taken over has said how far it is.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Settle(pub(crate) State);

/// The process has linked.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Linked {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) build: String,
}

/// A link of the process has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Unlinked {
    pub(crate) outbox: Arc<Outbox>,
}

/// The process has reported something.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Reported(pub(crate) Report);
