//! What operators have asked for: one record, changed by commands only and never by events of the world.
//!
//! The record is small and is written down (`master/record.rs`), so that a new master goes on where the last one died.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::death_queue::{DeathQueue, Reason};
use crate::id::{Generation, WorkerId};

pub(crate) mod command;
pub(crate) mod reconcile;
#[cfg(test)]
mod simulation;
pub(crate) mod view;

/// Why all workers are being replaced. Equal ones may be joined while they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RollKind {
    /// The same build again.
    Restart,
    /// Another build.
    Upgrade,
}

impl RollKind {
    /// The reason under which its workers are queued.
    pub(crate) fn reason(self) -> Reason {
        match self {
            RollKind::Restart => Reason::Roll,
            RollKind::Upgrade => Reason::Upgrade,
        }
    }
}

impl fmt::Display for RollKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason().fmt(f)
    }
}

/// A replacement of all workers that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Roll {
    /// Workers of an older generation are to be replaced.
    pub(crate) to: Generation,
    /// Why.
    pub(crate) kind: RollKind,
}

/// All is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stopping {
    /// Without waiting for anything.
    pub(crate) forced: bool,
    /// When it becomes forced by itself. A clock of this process: no other one is told.
    #[serde(skip)]
    pub(crate) deadline: Option<Instant>,
}

/// The wanted state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    /// How many workers; at least 1.
    pub(crate) count: u32,
    /// The generation in which workers are started now.
    pub(crate) generation: Generation,
    /// Until it is done or has failed.
    pub(crate) roll: Option<Roll>,
    /// All workers are paused, those to come too.
    pub(crate) paused: bool,
    /// These are paused, even if not all are.
    pub(crate) paused_workers: BTreeSet<WorkerId>,
    /// These serve nobody but whoever debugs them, and count for nothing else.
    #[serde(default)]
    pub(crate) isolated: BTreeSet<WorkerId>,
    /// Overrides all else, and is never taken back.
    pub(crate) stopping: Option<Stopping>,
}

impl Wanted {
    /// So many workers of the first generation.
    pub(crate) fn new(count: u32) -> Self {
        Self {
            count,
            generation: Generation(1),
            roll: None,
            paused: false,
            paused_workers: BTreeSet::new(),
            isolated: BTreeSet::new(),
            stopping: None,
        }
    }

    /// Whether this worker is to be paused.
    pub(crate) fn pauses(&self, worker: WorkerId) -> bool {
        self.paused || self.paused_workers.contains(&worker)
    }

    /// A worker has ended: what was decided about it has no object any more. A successor does not inherit its pause.
    pub(crate) fn forget(&mut self, worker: WorkerId) {
        self.paused_workers.remove(&worker);
        self.isolated.remove(&worker);
    }

    /// This one is to serve nobody but whoever debugs it.
    pub(crate) fn isolate(&mut self, worker: WorkerId) {
        self.paused_workers.remove(&worker);
        self.isolated.insert(worker);
    }

    /// The roll has come to its end.
    pub(crate) fn roll_done(&mut self) -> Option<Roll> {
        self.roll.take()
    }

    /// The queue gave up on an entry of this reason. If the roll was behind it, then the roll has failed: no further
    /// worker is put at risk, and the old ones that are left stay. Gives the failed roll.
    pub(crate) fn gave_up(&mut self, reason: &Reason, queue: &mut DeathQueue) -> Option<Roll> {
        let failed = self.roll.take_if(|roll| roll.kind.reason() == *reason)?;
        queue.abandon(reason);
        Some(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_survives_being_written_down() {
        let mut wanted = Wanted::new(4);
        wanted.paused_workers.insert(WorkerId(7));
        wanted.roll = Some(Roll {
            to: Generation(3),
            kind: RollKind::Upgrade,
        });
        let json = serde_json::to_string(&wanted).unwrap();
        assert_eq!(serde_json::from_str::<Wanted>(&json).unwrap(), wanted);
    }

    #[test]
    fn giving_up_ends_the_roll_behind_it_and_no_other() {
        let now = Instant::now();
        let mut queue = DeathQueue::default();
        queue.push(WorkerId(1), Reason::Roll, now);
        queue.push(WorkerId(2), Reason::Operator, now);
        let mut wanted = Wanted::new(2);
        let roll = Roll {
            to: Generation(2),
            kind: RollKind::Restart,
        };
        wanted.roll = Some(roll);
        assert_eq!(wanted.gave_up(&Reason::Operator, &mut queue), None);
        assert_eq!((wanted.roll, queue.len()), (Some(roll), 2));
        assert_eq!(wanted.gave_up(&Reason::Roll, &mut queue), Some(roll));
        assert_eq!((wanted.roll, queue.len()), (None, 1));
    }
}
