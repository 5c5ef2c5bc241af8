//! What an operator asks of the master, and what comes of it.

use serde::{Deserialize, Serialize};

use super::debugging::{DebugError, Debugging};
use crate::id::WorkerId;
use crate::wire::message::wire_message;

/// What an operator asks of the master. Append-only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// The cluster as JSON.
    Status,
    /// Stop the cluster.
    Stop {
        /// How long workers may drain, in milliseconds; the cluster's own `stop-timeout` by default.
        timeout_ms: Option<u64>,
    },
    /// Replace every worker, one at a time.
    Restart {
        /// Answer only when it is done.
        wait: bool,
    },
    /// Change the number of workers.
    Scale {
        /// The number wanted (1 to 512).
        workers: u32,
    },
    /// Stop accepting, in one worker or in all.
    Pause {
        /// Its id or pid; all without one.
        worker: Option<u32>,
        /// Also where it is the last active one.
        force: bool,
    },
    /// Accept again, in one worker or in all.
    Resume {
        /// Its id or pid; all without one.
        worker: Option<u32>,
    },
    /// Mark the node up: probes are answered by its true state again.
    MarkUp,
    /// Mark the node down: probes are answered with "down" until it is marked up.
    MarkDown,
    /// Emit an event.
    Emit {
        /// The stable name of the event.
        name: String,
        /// Its value.
        json: String,
        /// Whom it is told; the master's default audience where empty.
        to: Vec<Addressee>,
    },
    /// Move all processes to the program that now lies on disk.
    Upgrade {
        /// Answer only when it is done. The master is exchanged in place at its end, and with it goes the link: what became of it is
        /// then told by the status.
        wait: bool,
    },
    /// Replace one worker: its successor serves first.
    Recycle {
        /// Its id or pid.
        worker: u32,
    },
    /// The names of all registered statuses.
    Statuses,
    /// The values of a registered status.
    ReadStatus {
        /// Its name.
        name: String,
        /// How the values of all processes are made one: `list`, `sum`, `min`, `max`, `merge`.
        reduce: String,
    },
    /// Set a registered status in all processes.
    SetStatus {
        /// Its name.
        name: String,
        /// Its new value.
        json: String,
    },
    /// See into one process.
    Debug(Debugging),
}

/// Whom an operator's event is told. Append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Addressee {
    /// The master.
    Master,
    /// All active workers.
    Workers,
    /// One worker, by id or pid.
    Worker(u32),
    /// The cache manager.
    CacheManager,
}

/// A numbered [`Operation`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Operate {
    pub(crate) number: u64,
    pub(crate) operation: Operation,
}
wire_message!(Operate, kind 10, version 1, Data);

/// The one answer to an [`Operate`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) number: u64,
    /// JSON on success.
    pub(crate) result: Result<String, OperationError>,
}
wire_message!(Outcome, kind 11, version 1, Data);

/// How far a long [`Operation`] has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) number: u64,
    pub(crate) done: u32,
    pub(crate) of: u32,
    pub(crate) note: String,
}
wire_message!(Progress, kind 12, version 1, Data);

/// Why an operation was not carried out. Append-only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum OperationError {
    /// Something that excludes it is under way.
    #[error("busy: {0} is under way")]
    Busy(String),
    /// No worker has this id or pid.
    #[error("no worker has the id or pid {0}")]
    NoSuchWorker(u32),
    /// A value is out of range.
    #[error("{what}: {value} is out of range (allowed: {allowed})")]
    OutOfRange {
        /// Which value.
        what: String,
        /// What it was.
        value: String,
        /// What it may be.
        allowed: String,
    },
    /// It would leave no worker active.
    #[error("worker {0} is the last active one (--force pauses it all the same)")]
    LastActive(WorkerId),
    /// The worker is in a state in which this cannot be done.
    #[error("worker {worker} is {state}")]
    WrongState {
        /// Which worker.
        worker: WorkerId,
        /// Its state.
        state: String,
    },
    /// A rolling restart gave up and kept the old workers.
    #[error("the restart failed: {0}")]
    RestartFailed(String),
    /// The event could not be delivered.
    #[error("{0}")]
    Emit(String),
    /// The cluster is stopping.
    #[error("the cluster is stopping")]
    Stopping,
    /// This process is not the master.
    #[error("only the master carries out operations")]
    NotMaster,
    /// The program on disk would not start; nothing has been changed.
    #[error("the upgrade is refused: {0}")]
    UpgradeRefused(String),
    /// The program on disk has failed; the old build serves on.
    #[error("the upgrade failed, and the old build serves on: {0}")]
    UpgradeFailed(String),
    /// A registered status could not be read or set.
    #[error("{0}")]
    Status(String),
    /// A process could not be seen into.
    #[error(transparent)]
    Debug(#[from] DebugError),
}
