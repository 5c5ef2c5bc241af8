//! The acts: from a seed to what is done to the cluster, and when. Pure.
//!
//! There is an act in every second. Workers die only in storms, [`STORM`] seconds of every [`CYCLE`]: where they die without end the cluster
//! starts others at its slowest pace and replaces nobody meanwhile, so that restarts and upgrades would never get their way. No act
//! comes so late that the cluster, by its own rules, might need more than [`CALM`] seconds after the last one to be as wanted again.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use fastrand::Rng;

/// How soon after the last act the cluster has to be as wanted.
pub(crate) const CALM: Duration = Duration::from_secs(10);
/// How long a storm lasts, and from one to the next, in seconds.
const STORM: u64 = 20;
const CYCLE: u64 = 80;
/// The number of workers that a scaling asks for.
pub(crate) const FEWEST: u32 = 2;
pub(crate) const MOST: u32 = 4;
/// A stop that is to end by the cluster's killing whom it hears no more, within this time at the latest.
const FOR_GOOD_MS: u64 = 25_000;
/// What the cluster waits for at most, at its slowest pace, before it starts who is missing; and how long such a start may take.
const PACE_MS: u64 = 10_000;
const START_MS: u64 = 3_000;

/// A kind of act, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    /// SIGKILL to a worker or the cache manager
    Kill,
    /// SIGSTOP to one, and SIGCONT later or never
    Stop,
    /// SIGTERM to one
    Term,
    /// A rolling restart
    Restart,
    /// More workers, or fewer
    Scale,
    /// A worker, or all, paused and resumed
    Pause,
    /// A link between two processes cut
    Cut,
    /// The disk full on which the cache keeps what is to last (needs root)
    Disk,
    /// A worker's event loop blocked, so that its heartbeats are late
    Late,
    /// Another program in the place of the old one, or one that is broken
    Upgrade,
    /// SIGKILL to the master, or SIGSTOP and SIGCONT
    Master,
}

/// A process, as far as it is known in advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Master,
    CacheManager,
    /// Of the workers that there are, in the order of their ids, the one at this place; counted on from the first, where there are fewer.
    Worker(usize),
}

/// A link that is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Between the master and this process.
    Master(Who),
    /// Between the cache manager and this process.
    Cache(Who),
}

/// What is put in the place of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    /// Another build, as good as the one that runs.
    Other,
    /// The beginning of one.
    Truncated,
    /// A program that does nothing but fail.
    Failing,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Kill(Who),
    Stop { who: Who, ms: u64 },
    Term(Who),
    Restart,
    Scale(u32),
    Pause { worker: Option<usize>, ms: u64 },
    Cut(Cut),
    Disk { ms: u64 },
    Late { ms: u64 },
    Upgrade(Build),
}

/// An act and its time, from the beginning of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) at_ms: u64,
    pub(crate) act: Act,
}

/// All acts of a run of so many seconds.
pub(crate) fn schedule(seed: u64, seconds: u64, kinds: &[Kind]) -> Vec<Planned> {
    let mut rng = Rng::with_seed(seed);
    let end_ms = seconds * 1000;
    let mut planned = Vec::new();
    for second in 0..seconds {
        let at_ms = second * 1000 + rng.u64(0..800);
        let storm = second % CYCLE < STORM;
        let fits = |act: &Act| {
            at_ms + act.lasts_ms() <= end_ms
                && at_ms + act.settles_ms() <= end_ms + CALM.as_millis() as u64
        };
        let drawn: Vec<(u32, Act)> = kinds
            .iter()
            .map(|kind| (weight(*kind, storm), draw(*kind, storm, &mut rng)))
            .collect();
        // Drawn before it is asked whether they fit: what comes early does not depend on how long the run is.
        let luck = rng.u32(..);
        let fitting: Vec<_> = drawn.into_iter().filter(|(_, act)| fits(act)).collect();
        planned.extend(pick(&fitting, luck).map(|act| Planned { at_ms, act }));
    }
    planned
}

fn weight(kind: Kind, storm: bool) -> u32 {
    match kind {
        Kind::Kill | Kind::Term if storm => 12,
        Kind::Stop if storm => 8,
        Kind::Kill | Kind::Term => 1,
        Kind::Master => 2,
        Kind::Stop
        | Kind::Restart
        | Kind::Scale
        | Kind::Pause
        | Kind::Cut
        | Kind::Disk
        | Kind::Late
        | Kind::Upgrade => 4,
    }
}

fn pick(weighed: &[(u32, Act)], luck: u32) -> Option<Act> {
    let all: u32 = weighed.iter().map(|(weight, _)| weight).sum();
    let mut left = luck.checked_rem(all)?;
    for (weight, act) in weighed {
        match left.checked_sub(*weight) {
            Some(rest) => left = rest,
            None => return Some(*act),
        }
    }
    None
}

fn draw(kind: Kind, storm: bool, rng: &mut Rng) -> Act {
    let worker = rng.usize(0..MOST as usize);
    let one_in = |rng: &mut Rng, n: u32| rng.u32(0..n) == 0;
    let victim = |rng: &mut Rng, of: u32| match one_in(rng, of) {
        true => Who::CacheManager,
        false => Who::Worker(worker),
    };
    match kind {
        Kind::Kill | Kind::Term => {
            let who = if storm {
                victim(rng, 6)
            } else {
                Who::CacheManager
            };
            match kind {
                Kind::Kill => Act::Kill(who),
                _ => Act::Term(who),
            }
        }
        Kind::Stop => {
            let who = victim(rng, 5);
            let for_good = one_in(rng, 4) && who != Who::CacheManager;
            let ms = rng.u64(300..1700);
            Act::Stop {
                who,
                ms: if for_good { FOR_GOOD_MS } else { ms },
            }
        }
        Kind::Restart => Act::Restart,
        Kind::Scale => Act::Scale(rng.u32(FEWEST..=MOST)),
        Kind::Pause => Act::Pause {
            worker: (!one_in(rng, 4)).then_some(worker),
            ms: rng.u64(500..2500),
        },
        Kind::Cut => Act::Cut(match rng.u32(0..6) {
            0 => Cut::Master(Who::CacheManager),
            1 | 2 => Cut::Cache(Who::Worker(worker)),
            _ => Cut::Master(Who::Worker(worker)),
        }),
        Kind::Disk => Act::Disk {
            ms: rng.u64(1000..3000),
        },
        Kind::Late => Act::Late {
            ms: match one_in(rng, 4) {
                true => rng.u64(2500..4000),
                false => rng.u64(300..1800),
            },
        },
        Kind::Upgrade => Act::Upgrade(match rng.u32(0..6) {
            0 => Build::Truncated,
            1 => Build::Failing,
            _ => Build::Other,
        }),
        Kind::Master => match one_in(rng, 3) {
            true => Act::Stop {
                who: Who::Master,
                ms: rng.u64(500..2500),
            },
            false => Act::Kill(Who::Master),
        },
    }
}

impl Act {
    /// How long the act itself goes on.
    pub(crate) fn lasts_ms(&self) -> u64 {
        match *self {
            // It ends when the cluster has ended the process, hardly ever by itself.
            Act::Stop { ms, .. } if ms == FOR_GOOD_MS => 0,
            Act::Stop { ms, .. } | Act::Pause { ms, .. } | Act::Disk { ms } | Act::Late { ms } => {
                ms
            }
            _ => 0,
        }
    }

    /// How long, from its beginning, the cluster may take until it is as wanted again.
    fn settles_ms(&self) -> u64 {
        match *self {
            // Four workers, one after the other, and whoever has died before them.
            Act::Restart => PACE_MS + 18_000,
            // As many, the cache manager and the master.
            Act::Upgrade(_) => PACE_MS + 25_000,
            Act::Kill(_) | Act::Term(_) | Act::Scale(_) => PACE_MS + START_MS,
            // One that is condemned has a successor before it goes.
            Act::Stop { ms, .. } if ms == FOR_GOOD_MS => FOR_GOOD_MS + 2 * START_MS,
            Act::Late { ms } => ms + PACE_MS + START_MS + 4_000,
            // A cache manager that dies meanwhile does not start.
            Act::Disk { ms } => ms + PACE_MS + START_MS,
            Act::Stop { ms, .. } | Act::Pause { ms, .. } => ms + START_MS,
            Act::Cut(_) => START_MS,
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Master => f.write_str("master"),
            Who::CacheManager => f.write_str("cache manager"),
            Who::Worker(place) => write!(f, "worker at place {place}"),
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Act::Kill(who) => write!(f, "SIGKILL to the {who}"),
            Act::Stop { who, ms } if *ms == FOR_GOOD_MS => {
                write!(f, "SIGSTOP to the {who}, until it is killed")
            }
            Act::Stop { who, ms } => write!(f, "SIGSTOP to the {who}, for {ms} ms"),
            Act::Term(who) => write!(f, "SIGTERM to the {who}"),
            Act::Restart => f.write_str("rolling restart"),
            Act::Scale(workers) => write!(f, "scale to {workers}"),
            Act::Pause {
                worker: Some(place),
                ms,
            } => write!(f, "pause of the worker at place {place}, for {ms} ms"),
            Act::Pause { worker: None, ms } => write!(f, "pause of all workers, for {ms} ms"),
            Act::Cut(Cut::Master(who)) => write!(f, "cut between the master and the {who}"),
            Act::Cut(Cut::Cache(who)) => write!(f, "cut between the cache manager and the {who}"),
            Act::Disk { ms } => write!(f, "full disk, for {ms} ms"),
            Act::Late { ms } => write!(f, "event loop of a worker blocked, for {ms} ms"),
            Act::Upgrade(Build::Other) => f.write_str("upgrade to another build"),
            Act::Upgrade(Build::Truncated) => f.write_str("upgrade to the beginning of a program"),
            Act::Upgrade(Build::Failing) => f.write_str("upgrade to a program that fails"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_schedule() {
        let all = Kind::value_variants();
        assert_eq!(schedule(7, 600, all), schedule(7, 600, all));
        assert_ne!(schedule(7, 600, all), schedule(8, 600, all));
        let early = |planned: &Planned| planned.at_ms < 20_000;
        let beginning = |seconds| -> Vec<_> {
            schedule(7, seconds, all)
                .into_iter()
                .filter(early)
                .collect()
        };
        assert_eq!(
            beginning(60),
            beginning(600),
            "a longer run begins like a short one"
        );
    }

    #[test]
    fn there_is_an_act_in_every_second_and_each_kind_gets_its_turn() {
        for seed in 0..20 {
            let planned = schedule(seed, 600, Kind::value_variants());
            let seconds: Vec<u64> = planned.iter().map(|planned| planned.at_ms / 1000).collect();
            // At the very end there may be none that fits.
            assert!(
                seconds
                    .iter()
                    .zip(0..597)
                    .all(|(second, expected)| *second == expected)
            );
            let has = |wanted: fn(&Act) -> bool| planned.iter().any(|planned| wanted(&planned.act));
            assert!(has(|act| matches!(act, Act::Kill(Who::Master))));
            assert!(has(|act| matches!(act, Act::Kill(Who::CacheManager))));
            assert!(has(|act| matches!(act, Act::Term(Who::Worker(_)))));
            assert!(has(|act| matches!(act, Act::Upgrade(Build::Truncated))));
            assert!(has(
                |act| matches!(act, Act::Stop { ms, .. } if *ms == FOR_GOOD_MS)
            ));
        }
    }

    #[test]
    fn workers_die_in_storms_only_and_nothing_needs_longer_than_there_is() {
        for (seed, seconds) in (0..50).zip([5, 30, 60, 200, 600].into_iter().cycle()) {
            let end_ms = seconds * 1000;
            for Planned { at_ms, act } in schedule(seed, seconds, Kind::value_variants()) {
                let dies = matches!(act, Act::Kill(Who::Worker(_)) | Act::Term(Who::Worker(_)));
                assert!(!dies || (at_ms / 1000) % CYCLE < STORM, "{act} at {at_ms}");
                assert!(at_ms + act.lasts_ms() <= end_ms, "{act} at {at_ms}");
                assert!(
                    at_ms + act.settles_ms() <= end_ms + 10_000,
                    "{act} at {at_ms}"
                );
            }
        }
    }

    #[test]
    fn only_what_was_asked_for_is_done() {
        let planned = schedule(1, 100, &[Kind::Scale, Kind::Cut]);
        assert!(!planned.is_empty());
        assert!(
            planned
                .iter()
                .all(|planned| matches!(planned.act, Act::Scale(_) | Act::Cut(_)))
        );
        assert_eq!(schedule(1, 100, &[]), []);
    }
}
