//! What operators may ask for, and what they are told.

use std::time::Instant;

use super::super::proxy_state::State;
use super::view::View;
use super::{Roll, RollKind, Stopping, Wanted};
use crate::id::{Generation, WorkerId};

/// The largest number of workers.
pub(crate) const MOST_WORKERS: u32 = 512;

/// A change of the wanted state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// So many workers, from the next step on.
    Scale(u32),
    /// Replace all workers.
    Roll(RollKind),
    /// Stop accepting, and keep the processes.
    Pause {
        /// Which one; `None` means all.
        worker: Option<WorkerId>,
        /// Even if it is the last one that accepts. Whoever pauses all has said so already.
        force: bool,
    },
    /// Accept again.
    Resume {
        /// Which one; `None` means all.
        worker: Option<WorkerId>,
    },
    /// End all workers.
    Stop {
        /// When to stop waiting for them; of several, the earliest stands.
        deadline: Option<Instant>,
        /// Do not wait at all.
        force: bool,
    },
}

/// What became of a command that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// The wanted state has changed.
    Begun,
    /// The same is under way already: its end is the end of this one too.
    Joined,
    /// Nothing else was wanted before.
    Unchanged,
}

/// Why a command was not accepted. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Refused {
    /// Another roll is under way.
    #[error("busy with another task ({running}), which has to end first")]
    Busy {
        /// Which.
        running: RollKind,
    },
    /// The cluster is about to end.
    #[error("the cluster is stopping, and accepts nothing but another stop")]
    Stopping,
    /// A number of workers that cannot be.
    #[error("{asked} workers are asked for, 1 to {MOST_WORKERS} are allowed")]
    Count {
        /// How many were asked for.
        asked: u32,
    },
    /// There is no such worker, or it is leaving.
    #[error("there is no worker {worker}, or it is leaving")]
    Unknown {
        /// Which was asked for.
        worker: WorkerId,
    },
    /// Nobody would accept connections any more.
    #[error("worker {worker} is the last one that accepts connections; it is paused only by force")]
    LastActive {
        /// Which was asked for.
        worker: WorkerId,
    },
}

/// Changes the wanted state as commanded.
///
/// # Errors
///
/// Says why the command was refused; the wanted state is as before.
pub(crate) fn command(
    wanted: &mut Wanted,
    command: Command,
    view: &View<'_>,
) -> Result<Accepted, Refused> {
    if let Command::Stop { deadline, force } = command {
        return Ok(stop(wanted, deadline, force));
    }
    if wanted.stopping.is_some() {
        return Err(Refused::Stopping);
    }
    let before = wanted.clone();
    match command {
        Command::Scale(asked @ 1..=MOST_WORKERS) => wanted.count = asked,
        Command::Scale(asked) => return Err(Refused::Count { asked }),
        Command::Roll(kind) => return roll(wanted, kind),
        Command::Pause { worker: None, .. } => wanted.paused = true,
        Command::Pause {
            worker: Some(worker),
            force,
        } => pause(wanted, worker, force, view)?,
        Command::Resume { worker: None } => {
            wanted.paused = false;
            wanted.paused_workers.clear();
        }
        Command::Resume {
            worker: Some(worker),
        } => resume(wanted, worker, view)?,
        Command::Stop { .. } => {}
    }
    Ok(if *wanted == before {
        Accepted::Unchanged
    } else {
        Accepted::Begun
    })
}

fn stop(wanted: &mut Wanted, deadline: Option<Instant>, force: bool) -> Accepted {
    match &mut wanted.stopping {
        Some(stopping) => {
            stopping.forced |= force;
            stopping.deadline = match (stopping.deadline, deadline) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            Accepted::Joined
        }
        None => {
            wanted.roll = None;
            wanted.stopping = Some(Stopping {
                forced: force,
                deadline,
            });
            Accepted::Begun
        }
    }
}

fn roll(wanted: &mut Wanted, kind: RollKind) -> Result<Accepted, Refused> {
    match wanted.roll {
        Some(running) if running.kind == kind => Ok(Accepted::Joined),
        Some(running) => Err(Refused::Busy {
            running: running.kind,
        }),
        None => {
            wanted.generation = Generation(wanted.generation.0.saturating_add(1));
            wanted.roll = Some(Roll {
                to: wanted.generation,
                kind,
            });
            Ok(Accepted::Begun)
        }
    }
}

fn pause(
    wanted: &mut Wanted,
    worker: WorkerId,
    force: bool,
    view: &View<'_>,
) -> Result<(), Refused> {
    known(worker, view)?;
    let another_accepts = view.living().any(|other| {
        other.id != worker && other.state == State::Active && !wanted.pauses(other.id)
    });
    if !wanted.pauses(worker) && !another_accepts && !force {
        return Err(Refused::LastActive { worker });
    }
    if !wanted.paused {
        wanted.paused_workers.insert(worker);
    }
    Ok(())
}

fn resume(wanted: &mut Wanted, worker: WorkerId, view: &View<'_>) -> Result<(), Refused> {
    known(worker, view)?;
    if wanted.paused {
        // All but one are paused from now on; those to come are not.
        wanted.paused = false;
        wanted.paused_workers = view.living().map(|other| other.id).collect();
    }
    wanted.paused_workers.remove(&worker);
    Ok(())
}

fn known(worker: WorkerId, view: &View<'_>) -> Result<(), Refused> {
    if view.living().any(|other| other.id == worker) {
        Ok(())
    } else {
        Err(Refused::Unknown { worker })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::accidents::{Accidents, Pace};
    use super::super::super::death_queue::DeathQueue;
    use super::super::view::WorkerView;
    use super::*;

    const PAUSE_ALL: Command = Command::Pause {
        worker: None,
        force: false,
    };
    const STOP: Command = Command::Stop {
        deadline: None,
        force: false,
    };

    /// Gives the commands in turn, to a cluster of three active workers; says the last answer and what is wanted then.
    fn give(commands: &[Command]) -> (Result<Accepted, Refused>, Wanted) {
        let workers = [1, 2, 3].map(|id| WorkerView {
            id: WorkerId(id),
            state: State::Active,
            generation: Generation(1),
            killed: false,
            apart: false,
        });
        let view = View {
            workers: &workers,
            queue: &DeathQueue::default(),
            accidents: &Accidents::new(Pace::default()),
            now: Instant::now(),
        };
        let mut wanted = Wanted::new(3);
        let mut last = Ok(Accepted::Unchanged);
        for one in commands {
            let before = wanted.clone();
            last = command(&mut wanted, *one, &view);
            assert!(last.is_ok() || wanted == before, "{one:?}");
        }
        (last, wanted)
    }

    fn one(id: u32, force: bool) -> Command {
        Command::Pause {
            worker: Some(WorkerId(id)),
            force,
        }
    }

    #[test]
    fn scale_has_bounds() {
        for asked in [0, MOST_WORKERS + 1, u32::MAX] {
            assert_eq!(
                give(&[Command::Scale(asked)]).0,
                Err(Refused::Count { asked })
            );
        }
        let (answer, wanted) = give(&[Command::Scale(MOST_WORKERS)]);
        assert_eq!((answer, wanted.count), (Ok(Accepted::Begun), MOST_WORKERS));
        assert_eq!(give(&[Command::Scale(3)]).0, Ok(Accepted::Unchanged));
    }

    #[test]
    fn an_equal_roll_joins_and_another_one_has_to_wait() {
        let restart = Command::Roll(RollKind::Restart);
        let (answer, wanted) = give(&[restart, restart]);
        assert_eq!(
            (answer, wanted.generation),
            (Ok(Accepted::Joined), Generation(2))
        );
        let running = RollKind::Restart;
        let (answer, wanted) = give(&[restart, Command::Roll(RollKind::Upgrade)]);
        assert_eq!(answer, Err(Refused::Busy { running }));
        assert_eq!(wanted.generation, Generation(2));
    }

    #[test]
    fn stop_overrides_and_nothing_overrides_stop() {
        let (answer, wanted) = give(&[Command::Roll(RollKind::Restart), STOP]);
        assert_eq!((answer, wanted.roll), (Ok(Accepted::Begun), None));
        for refused in [
            Command::Scale(2),
            Command::Roll(RollKind::Restart),
            PAUSE_ALL,
        ] {
            assert_eq!(give(&[STOP, refused]).0, Err(Refused::Stopping));
        }
    }

    #[test]
    fn a_second_stop_can_only_hasten_the_first() {
        let soon = Instant::now();
        let late = soon + Duration::from_secs(9);
        let stop = |deadline, force| Command::Stop { deadline, force };
        let (answer, wanted) = give(&[stop(Some(soon), true), stop(Some(late), false)]);
        assert_eq!(answer, Ok(Accepted::Joined));
        let expected = Stopping {
            forced: true,
            deadline: Some(soon),
        };
        assert_eq!(wanted.stopping, Some(expected));
        let (_, wanted) = give(&[STOP, stop(Some(late), false), stop(Some(soon), false)]);
        assert_eq!(wanted.stopping.unwrap().deadline, Some(soon));
    }

    #[test]
    fn the_last_one_that_accepts_is_paused_by_force_only() {
        let worker = WorkerId(3);
        let two = [one(1, false), one(2, false)];
        assert_eq!(give(&two).0, Ok(Accepted::Begun));
        let (answer, _) = give(&[two[0], two[1], one(3, false)]);
        assert_eq!(answer, Err(Refused::LastActive { worker }));
        let (answer, wanted) = give(&[two[0], two[1], one(3, true)]);
        assert_eq!((answer, wanted.pauses(worker)), (Ok(Accepted::Begun), true));
        assert_eq!(give(&[two[0], one(1, false)]).0, Ok(Accepted::Unchanged));
        let worker = WorkerId(9);
        assert_eq!(give(&[one(9, true)]).0, Err(Refused::Unknown { worker }));
    }

    #[test]
    fn one_may_be_resumed_out_of_all() {
        let resume = |id| Command::Resume {
            worker: Some(WorkerId(id)),
        };
        let paused = |wanted: &Wanted| [1, 2, 3, 4].map(|id| wanted.pauses(WorkerId(id)));
        let (_, wanted) = give(&[PAUSE_ALL]);
        assert_eq!(paused(&wanted), [true, true, true, true]);
        let (answer, wanted) = give(&[PAUSE_ALL, resume(2)]);
        assert_eq!(answer, Ok(Accepted::Begun));
        assert_eq!(paused(&wanted), [true, false, true, false]);
        let (_, wanted) = give(&[one(1, false), PAUSE_ALL, Command::Resume { worker: None }]);
        assert_eq!(paused(&wanted), [false; 4]);
    }
}
