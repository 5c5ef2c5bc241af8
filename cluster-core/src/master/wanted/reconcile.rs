//! The reconciler: from what is wanted and what is, the one next step.
//!
//! In this order:
//!
//! 1. *stop* overrides everything;
//! 2. workers too many are dismissed: first those that do not serve yet, then paused ones, then those that wait to be
//!    replaced anyway, then the youngest (the oldest are the warmest);
//! 3. missing workers are started, all at once, but not before the accidents allow it, and while it is open whether
//!    any worker can start, one at a time;
//! 4. workers are paused and resumed;
//! 5. outdated workers join the death queue;
//! 6. the head of the death queue is replaced: its successor serves before it is dismissed, one for one, so that a
//!    replacement never lowers the number of serving workers.
//!
//! The caller carries the step out, enters it in the view, and asks again, until it is told to wait or that all is well;
//! and then again at every event and at the time named.

use std::cmp::Reverse;
use std::time::Instant;

use super::super::death_queue::{Phase, Reason};
use super::super::proxy_state::State;
use super::view::{View, WorkerView};
use super::{Stopping, Wanted};
use crate::id::WorkerId;

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Start a worker of the wanted generation; as a successor, enter it in the queue (`started`).
    Start {
        /// The worker it will replace.
        as_successor_of: Option<WorkerId>,
    },
    /// Dismiss a worker, and tell the queue (`dismissed`). It may have begun to go by itself.
    Dismiss {
        /// Which.
        worker: WorkerId,
    },
    /// Pause a worker.
    Pause {
        /// Which.
        worker: WorkerId,
    },
    /// Resume a worker.
    Resume {
        /// Which.
        worker: WorkerId,
    },
    /// Isolate a worker in whose place another serves now, and tell the queue (`gone`).
    Isolate {
        /// Which.
        worker: WorkerId,
    },
    /// Push a worker on the queue.
    Enqueue {
        /// Which.
        worker: WorkerId,
        /// Why.
        reason: Reason,
    },
    /// Kill a worker, tell the queue (`dismissed`), and note that it was killed.
    Kill {
        /// Which.
        worker: WorkerId,
    },
    /// The roll is complete: enter it (`roll_done`), and tell those who wait for it.
    RollDone,
    /// Nothing now: ask again at the next event.
    Wait {
        /// Or at this time, if it comes first.
        until: Option<Instant>,
    },
    /// All is as wanted.
    Settled,
    /// No worker has ever served, and none will: say so and exit.
    Hopeless,
    /// All workers have ended, as wanted.
    Stopped,
}

/// The next step towards what is wanted.
pub(crate) fn next(wanted: &Wanted, view: &View<'_>) -> Step {
    if let Some(stopping) = &wanted.stopping {
        return stop(stopping, view);
    }
    if view.living().next().is_none() && view.accidents.hopeless(wanted.count) {
        return Step::Hopeless;
    }
    let count = usize::try_from(wanted.count).unwrap_or(usize::MAX);
    let staying = view.staying().count();
    if staying > count
        && let Some(worker) = surplus(view)
    {
        return Step::Dismiss { worker };
    }

    let held = view.accidents.held_until(view.now);
    let on_trial = view.accidents.on_trial() && view.living().next().is_some();
    let missing = staying < count;
    if missing && !on_trial && held.is_none() {
        return Step::Start {
            as_successor_of: None,
        };
    }
    if let Some(step) = pause_or_resume(wanted, view).or_else(|| outdated(wanted, view)) {
        return step;
    }
    let complete = !missing && view.staying().all(|worker| worker.state.is_up());
    if complete && is_rolled(wanted, view) {
        return Step::RollDone;
    }
    // The dead first: no replacement is begun while a worker is missing.
    let may_begin = !missing && held.is_none();
    if let Some(step) = replace(view, may_begin) {
        return step;
    }

    let is_up = |worker: &WorkerView| worker.apart || worker.state.is_up();
    let all_up = view.workers.iter().all(is_up);
    if complete && all_up && view.queue.is_empty() {
        return Step::Settled;
    }
    let wants_to_start = (missing && !on_trial) || begins(view);
    Step::Wait {
        until: held.filter(|_| wants_to_start),
    }
}

fn stop(stopping: &Stopping, view: &View<'_>) -> Step {
    let forced = stopping.forced || stopping.deadline.is_some_and(|at| at <= view.now);
    let mut left = view
        .workers
        .iter()
        .filter(|worker| worker.state != State::Died)
        .peekable();
    if left.peek().is_none() {
        return Step::Stopped;
    }
    let next = left.find(|worker| match forced {
        true => !worker.killed,
        false => worker.state.is_living(),
    });
    match next.map(|worker| worker.id) {
        Some(worker) if forced => Step::Kill { worker },
        Some(worker) => Step::Dismiss { worker },
        None => Step::Wait {
            until: stopping.deadline.filter(|_| !forced),
        },
    }
}

fn surplus(view: &View<'_>) -> Option<WorkerId> {
    let order = |worker: &&WorkerView| {
        (
            worker.state.is_up(),
            worker.state == State::Active,
            !view.queue.contains(worker.id),
            Reverse(worker.id),
        )
    };
    view.living().min_by_key(order).map(|worker| worker.id)
}

fn pause_or_resume(wanted: &Wanted, view: &View<'_>) -> Option<Step> {
    view.living().find_map(|worker| {
        let id = worker.id;
        match worker.state {
            State::Active if wanted.pauses(id) => Some(Step::Pause { worker: id }),
            State::Paused if !wanted.pauses(id) => Some(Step::Resume { worker: id }),
            _ => None,
        }
    })
}

/// Of the workers that a roll is to replace, the oldest that is not queued.
fn outdated(wanted: &Wanted, view: &View<'_>) -> Option<Step> {
    let roll = wanted.roll?;
    let oldest = view
        .living()
        .filter(|worker| worker.generation < roll.to && !view.queue.contains(worker.id))
        .min_by_key(|worker| worker.id)?;
    Some(Step::Enqueue {
        worker: oldest.id,
        reason: roll.kind.reason(),
    })
}

/// Whether there is a roll with nobody left to replace: a worker that drains still counts while it heads the queue,
/// whatever it was queued for.
fn is_rolled(wanted: &Wanted, view: &View<'_>) -> bool {
    wanted.roll.is_some_and(|roll| {
        let mut outdated = view
            .workers
            .iter()
            .filter(|worker| worker.generation < roll.to && !worker.apart);
        outdated.all(|worker| !worker.state.is_living() && !view.queue.contains(worker.id))
    })
}

fn replace(view: &View<'_>, may_begin: bool) -> Option<Step> {
    let (entry, phase) = view.queue.head()?;
    let worker = entry.worker;
    let is_up = |id| view.worker(id).is_some_and(|worker| worker.state.is_up());
    let is_living = view
        .worker(worker)
        .is_some_and(|worker| worker.state.is_living());
    match phase {
        Phase::Dismissing => None,
        // It goes by itself, and what it leaves behind is a missing worker.
        _ if !is_living => Some(Step::Dismiss { worker }),
        Phase::Starting { successor, .. } => is_up(successor).then_some(match entry.reason {
            Reason::Isolate => Step::Isolate { worker },
            _ => Step::Dismiss { worker },
        }),
        Phase::Waiting { .. } => may_begin.then_some(Step::Start {
            as_successor_of: Some(worker),
        }),
    }
}

/// Whether the head of the queue waits for a successor to be started.
fn begins(view: &View<'_>) -> bool {
    matches!(view.queue.head(), Some((_, Phase::Waiting { .. })))
}
