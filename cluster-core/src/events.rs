//! What happens to workers and to the node, told as events: listen to them like to any other.
//!
//! The master tells itself and all active workers; [`Heartbeat`] it tells itself alone, as there are many.

use cluster_macros::Event;
use serde::{Deserialize, Serialize};

use crate::id::{Generation, WorkerId};
use crate::protocol::{Beat, StartStep};
use crate::sys::Exit;

/// A worker has connected and warms up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "cluster.worker.warming")]
#[non_exhaustive]
pub struct WorkerWarming {
    /// Which worker.
    pub worker: WorkerId,
    /// Its pid.
    pub pid: u32,
    /// Its generation.
    pub generation: Generation,
}

/// A worker has warmed up; it does not serve yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "cluster.worker.warmed")]
#[non_exhaustive]
pub struct Warmed {
    /// Which worker.
    pub worker: WorkerId,
    /// Its pid.
    pub pid: u32,
}

/// A worker's start has failed; it will never serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "cluster.worker.warm-up-failed")]
#[non_exhaustive]
pub struct WarmUpFailed {
    /// Which worker.
    pub worker: WorkerId,
    /// Its pid.
    pub pid: u32,
    /// The step that failed, where the worker could say so.
    pub step: Option<StartStep>,
    /// Why.
    pub cause: String,
}

/// A worker serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "cluster.worker.listening")]
#[non_exhaustive]
pub struct Listening {
    /// Which worker.
    pub worker: WorkerId,
    /// Its pid.
    pub pid: u32,
    /// The addresses that it serves.
    pub addresses: Vec<String>,
}

/// A worker has stopped accepting, and stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "cluster.worker.paused")]
#[non_exhaustive]
pub struct Paused {
    /// Which worker.
    pub worker: WorkerId,
    /// Its pid.
    pub pid: u32,
}

/// A worker accepts again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "cluster.worker.resumed")]
#[non_exhaustive]
pub struct Resumed {
    /// Which worker.
    pub worker: WorkerId,
    /// Its pid.
    pub pid: u32,
}

/// A worker finishes what it has, and exits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "cluster.worker.retiring")]
#[non_exhaustive]
pub struct Retiring {
    /// Which worker.
    pub worker: WorkerId,
    /// Its pid.
    pub pid: u32,
    /// Why it is replaced, as people read it; none where it ends by itself, or there is to be one less.
    pub reason: Option<String>,
    /// The same as a word of few, for whoever counts: `roll`, `upgrade`, `put-back`, `operator`, `silent`, the name of a rule (`max-age` and
    /// its like, `should_retire`), or `scale` where none is put in its place.
    #[serde(default)]
    pub kind: String,
}

/// A worker's process has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "cluster.worker.died")]
#[non_exhaustive]
pub struct Died {
    /// Which worker.
    pub worker: WorkerId,
    /// Its pid.
    pub pid: u32,
    /// How it ended.
    pub exit: Exit,
    /// Whether it ended by itself, and not because it was told to.
    pub accident: bool,
}

/// A worker is alive, and how it does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "cluster.worker.heartbeat")]
#[non_exhaustive]
pub struct Heartbeat {
    /// Which worker.
    pub worker: WorkerId,
    /// Its pid.
    pub pid: u32,
    /// Its generation.
    pub generation: Generation,
    /// The build that it runs.
    pub build: String,
    /// Its figures.
    pub beat: Beat,
}

/// The node was marked up: health probes get its true state again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "cluster.marked-up")]
pub struct MarkedUp {}

/// The node was marked down: health probes are told "down".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "cluster.marked-down")]
pub struct MarkedDown {}
