//! When each process was last heard, and which has been silent for too long.
//!
//! The clocks are the caller's. A tick that comes late itself says that this process was stopped or starved, not that
//! they were silent: it restarts all clocks and condemns nobody.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::id::ProcessId;

/// What is thought of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Heard in time.
    Well,
    /// Has missed two beats; one beat clears it.
    Suspect,
    /// Silent past the tolerance; nothing but [`Silence::pardon`] clears it.
    Condemned,
}

/// A process whose standing has become worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overdue {
    /// Which.
    pub(crate) process: ProcessId,
    /// For how long it has been silent.
    pub(crate) silent: Duration,
    /// Suspect or condemned.
    pub(crate) standing: Standing,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    last: Instant,
    standing: Standing,
    exempt: bool,
}

/// The table. It holds the processes it was told to watch and no others.
#[derive(Clone, Debug)]
pub(crate) struct Silence {
    interval: Duration,
    tolerance: Duration,
    last_tick: Option<Instant>,
    heard: BTreeMap<ProcessId, Heard>,
}

impl Silence {
    /// `interval` is that of the beats and of the ticks.
    pub(crate) fn new(interval: Duration, tolerance: Duration) -> Self {
        Self {
            interval,
            tolerance,
            last_tick: None,
            heard: BTreeMap::new(),
        }
    }

    /// Watches a process from now on.
    pub(crate) fn watch(&mut self, process: ProcessId, now: Instant) {
        self.heard.entry(process).or_insert(Heard {
            last: now,
            standing: Standing::Well,
            exempt: false,
        });
    }

    /// Watches a process no longer.
    pub(crate) fn forget(&mut self, process: ProcessId) {
        self.heard.remove(&process);
    }

    /// A process was heard, and one of its threads has not run for so long: it counts as heard then. True where it was suspect and is so
    /// no longer. One that is not watched is ignored.
    pub(crate) fn beat(&mut self, process: ProcessId, now: Instant, silent: Duration) -> bool {
        let two_beats = self.two_beats();
        let Some(heard) = self.heard.get_mut(&process) else {
            return false;
        };
        let ran = now.checked_sub(silent).unwrap_or(heard.last);
        heard.last = heard.last.max(ran);
        let cleared = heard.standing == Standing::Suspect && silent <= two_beats;
        if cleared {
            heard.standing = Standing::Well;
        }
        cleared
    }

    /// A worker is paused: its silence is nobody's business. One condemned before stays so.
    pub(crate) fn exempt(&mut self, process: ProcessId) {
        if let Some(heard) = self.heard.get_mut(&process) {
            heard.exempt = true;
            if heard.standing == Standing::Suspect {
                heard.standing = Standing::Well;
            }
        }
    }

    /// A worker is no longer paused; its clock begins anew.
    pub(crate) fn include(&mut self, process: ProcessId, now: Instant) {
        if let Some(heard) = self.heard.get_mut(&process) {
            heard.exempt = false;
            heard.last = heard.last.max(now);
        }
    }

    /// A condemned process was kept for want of a successor: it may be condemned once more.
    pub(crate) fn pardon(&mut self, process: ProcessId, now: Instant) {
        if let Some(heard) = self.heard.get_mut(&process) {
            heard.standing = Standing::Well;
            heard.last = heard.last.max(now);
        }
    }

    /// What is thought of a process; `None` for one that is not watched.
    #[cfg(test)]
    pub(crate) fn standing(&self, process: ProcessId) -> Option<Standing> {
        self.heard.get(&process).map(|heard| heard.standing)
    }

    /// Two intervals, and half of one for the way, so that a beat that is merely on it makes nobody suspect.
    fn two_beats(&self) -> Duration {
        self.interval * 2 + self.interval / 2
    }

    /// Looks at all clocks; says whose standing has become worse, each time once.
    pub(crate) fn tick(&mut self, now: Instant) -> Vec<Overdue> {
        let before = self.last_tick.replace(now);
        let late = |before| now.saturating_duration_since(before) > self.interval * 2;
        if before.is_some_and(late) {
            for heard in self.heard.values_mut() {
                heard.last = now;
                if heard.standing == Standing::Suspect {
                    heard.standing = Standing::Well;
                }
            }
            return Vec::new();
        }

        let two_beats = self.two_beats();
        let mut overdue = Vec::new();
        for (process, heard) in &mut self.heard {
            let silent = now.saturating_duration_since(heard.last);
            let standing = if silent > self.tolerance {
                Standing::Condemned
            } else if silent > two_beats {
                Standing::Suspect
            } else {
                Standing::Well
            };
            let worse = match heard.standing {
                Standing::Well => standing != Standing::Well,
                Standing::Suspect => standing == Standing::Condemned,
                Standing::Condemned => false,
            };
            if worse && !heard.exempt {
                heard.standing = standing;
                overdue.push(Overdue {
                    process: *process,
                    silent,
                    standing,
                });
            }
        }
        overdue
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::WorkerId;

    const S: Duration = Duration::from_secs(1);
    const NOW: Duration = Duration::ZERO;
    const A: ProcessId = ProcessId::CacheManager;
    const B: ProcessId = ProcessId::Worker(WorkerId(2));

    /// Both watched, beats and ticks every 5 s, 30 s of tolerance.
    fn silence() -> (Silence, Instant) {
        let now = Instant::now();
        let mut silence = Silence::new(5 * S, 30 * S);
        silence.watch(A, now);
        silence.watch(B, now);
        (silence, now)
    }

    /// Ticks every 5 s in `(from, to]`, with a beat of B just before each; gives what was said of A, and when.
    fn run(
        silence: &mut Silence,
        start: Instant,
        from: u32,
        to: u32,
    ) -> Vec<(u32, Duration, Standing)> {
        let mut said = Vec::new();
        for second in (from + 5..=to).step_by(5) {
            silence.beat(B, start + second * S, NOW);
            for overdue in silence.tick(start + second * S) {
                assert_eq!(overdue.process, A);
                said.push((second, overdue.silent, overdue.standing));
            }
        }
        said
    }

    #[test]
    fn suspect_after_two_missed_beats_condemned_past_the_tolerance_each_once() {
        let (mut silence, start) = silence();
        let said = run(&mut silence, start, 0, 100);
        assert_eq!(
            said,
            [
                (15, 15 * S, Standing::Suspect),
                (35, 35 * S, Standing::Condemned)
            ]
        );
        assert_eq!(silence.standing(B), Some(Standing::Well));
    }

    #[test]
    fn a_beat_clears_a_suspect_but_not_a_condemned_one() {
        let (mut silence, start) = silence();
        run(&mut silence, start, 0, 15);
        assert_eq!(silence.standing(A), Some(Standing::Suspect));
        assert!(silence.beat(A, start + 16 * S, NOW));
        assert!(!silence.beat(A, start + 16 * S, NOW));
        assert_eq!(silence.standing(A), Some(Standing::Well));
        run(&mut silence, start, 15, 50);
        assert_eq!(silence.standing(A), Some(Standing::Condemned));
        assert!(!silence.beat(A, start + 51 * S, NOW));
        assert_eq!(silence.standing(A), Some(Standing::Condemned));
        silence.pardon(A, start + 51 * S);
        let said = run(&mut silence, start, 50, 200);
        assert_eq!(said.last().unwrap().2, Standing::Condemned);
    }

    #[test]
    fn a_worker_that_beats_while_one_of_its_threads_is_stuck_is_silent_like_that_one() {
        let (mut silence, start) = silence();
        let mut said = Vec::new();
        for second in (5..=100).step_by(5) {
            // The thread has last run at 2 s.
            let (now, stuck) = (start + second * S, (second - 2) * S);
            assert!(!silence.beat(A, now, stuck));
            silence.beat(B, now, NOW);
            let overdue = silence.tick(now).into_iter();
            said.extend(overdue.map(|overdue| (second, overdue.process, overdue.standing)));
        }
        assert_eq!(
            said,
            [(15, A, Standing::Suspect), (35, A, Standing::Condemned)]
        );
    }

    #[test]
    fn a_late_tick_restarts_all_clocks() {
        let (mut silence, start) = silence();
        run(&mut silence, start, 0, 15);
        assert!(silence.tick(start + 1000 * S).is_empty());
        assert_eq!(silence.standing(A), Some(Standing::Well));
        let said = run(&mut silence, start, 1000, 1100);
        assert_eq!(
            said,
            [
                (1015, 15 * S, Standing::Suspect),
                (1035, 35 * S, Standing::Condemned)
            ]
        );
    }

    #[test]
    fn a_tick_twice_as_late_as_it_should_be_is_still_in_time() {
        let (mut silence, start) = silence();
        for second in [10, 20] {
            silence.beat(B, start + second * S, NOW);
            silence.tick(start + second * S);
        }
        assert_eq!(silence.standing(A), Some(Standing::Suspect));
    }

    #[test]
    fn a_paused_worker_is_left_alone_and_starts_anew() {
        let (mut silence, start) = silence();
        run(&mut silence, start, 0, 15);
        silence.exempt(A);
        assert_eq!(silence.standing(A), Some(Standing::Well));
        assert_eq!(run(&mut silence, start, 15, 500), []);
        silence.include(A, start + 500 * S);
        let said = run(&mut silence, start, 500, 600);
        assert_eq!(said[0], (515, 15 * S, Standing::Suspect));
    }

    #[test]
    fn strangers_and_the_forgotten_are_ignored() {
        let (mut silence, start) = silence();
        assert!(!silence.beat(ProcessId::Master, start, NOW));
        silence.forget(A);
        assert_eq!(run(&mut silence, start, 0, 100), []);
        assert_eq!(
            (silence.standing(A), silence.standing(ProcessId::Master)),
            (None, None)
        );
    }
}
