//! How soon a worker that died by itself is started again, and when to say that this leads nowhere.
//!
//! The first accident is made good at once; after each further one the pause doubles, up to the slowest pace; a while
//! without any forgives all. Deaths that fall into a pause belong to the accident that began it, so that ten workers
//! killed together cost one doubling and not ten, and no stream of deaths can put off the next start for ever.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// How many accidents are remembered at most; older ones are forgotten first.
const REMEMBERED: usize = 64;

/// How many starts are tried at least before the cluster gives up on its very first worker.
const FIRST_ATTEMPTS: u32 = 3;

/// How a worker ended that nobody had dismissed. Equal accidents are of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Accident {
    /// It reported that it could not start.
    StartFailed,
    /// It did not listen in time.
    StartTimeout,
    /// Its process exited with this code.
    Exited(i32),
    /// Its process was ended by this signal.
    Signalled(i32),
    /// It left in good order, at the word of somebody else.
    Left,
    /// It was adopted, so that its exit status went elsewhere.
    Unknown,
}

impl fmt::Display for Accident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Accident::StartFailed => f.write_str("its start failed"),
            Accident::StartTimeout => f.write_str("its start took too long"),
            Accident::Exited(code) => write!(f, "exited with code {code}"),
            Accident::Signalled(signal) => write!(f, "ended by signal {signal}"),
            Accident::Left => f.write_str("left at the word of another"),
            Accident::Unknown => f.write_str("ended, how is not known"),
        }
    }
}

/// The figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// The pause after the second accident; it doubles from there.
    pub(crate) first: Duration,
    /// The longest pause, and the one in a crash loop.
    pub(crate) slowest: Duration,
    /// So long without an accident, and all is forgiven.
    pub(crate) forgiven_after: Duration,
    /// So many accidents of one kind within `window` are a crash loop.
    pub(crate) loop_deaths: usize,
    /// See `loop_deaths`.
    pub(crate) window: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            slowest: Duration::from_secs(10),
            forgiven_after: Duration::from_secs(60),
            loop_deaths: 5,
            window: Duration::from_secs(60),
        }
    }
}

/// What an accident leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Start another after this pause.
    Restart {
        /// From now; zero means at once.
        after: Duration,
    },
    /// The same as before, but it has become a pattern.
    CrashLoop {
        /// The kind of death that made it one.
        kind: Accident,
        /// From now.
        after: Duration,
        /// Whether this accident made it one: say so once.
        named: bool,
    },
}

/// The memory of accidents; see the module.
#[derive(Clone, Debug)]
pub(crate) struct Accidents {
    pace: Pace,
    recent: VecDeque<(Instant, Accident)>,
    streak: u32,
    hold: Option<Instant>,
    crash_loop: Option<Accident>,
    has_listened: bool,
    failed_starts: u32,
    /// Programs that could not even be run.
    not_run: u32,
}

impl Accidents {
    /// No accident yet.
    pub(crate) fn new(pace: Pace) -> Self {
        Self {
            pace,
            recent: VecDeque::with_capacity(REMEMBERED),
            streak: 0,
            hold: None,
            crash_loop: None,
            has_listened: false,
            failed_starts: 0,
            not_run: 0,
        }
    }

    /// A worker ended by itself; says when the next may start.
    pub(crate) fn note(&mut self, now: Instant, kind: Accident) -> Verdict {
        if self.is_forgiven(now) {
            self.recent.clear();
            self.streak = 0;
            self.hold = None;
            self.crash_loop = None;
        }
        if !self.has_listened {
            self.failed_starts = self.failed_starts.saturating_add(1);
        }
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back((now, kind));

        let named = self.crash_loop.is_none() && self.count(now, kind) >= self.pace.loop_deaths;
        if named {
            self.crash_loop = Some(kind);
        }
        if named || self.delay(now).is_zero() {
            self.streak = self.streak.saturating_add(1);
            self.hold = Some(now + self.pause());
        }
        let after = self.delay(now);
        match self.crash_loop {
            Some(kind) => Verdict::CrashLoop { kind, after, named },
            None => Verdict::Restart { after },
        }
    }

    /// The program cannot be run: the next attempts will not fare better, however many workers are wanted.
    pub(crate) fn cannot_start(&mut self) {
        self.not_run = self.not_run.saturating_add(1);
    }

    /// A worker listens, or one that does was adopted.
    pub(crate) fn listened(&mut self) {
        self.has_listened = true;
    }

    /// How long no worker may be started.
    pub(crate) fn delay(&self, now: Instant) -> Duration {
        match self.hold {
            Some(hold) if !self.is_forgiven(now) => hold.saturating_duration_since(now),
            _ => Duration::ZERO,
        }
    }

    /// Until when no worker may be started; `None` where one may be now.
    pub(crate) fn held_until(&self, now: Instant) -> Option<Instant> {
        self.hold.filter(|_| !self.delay(now).is_zero())
    }

    /// The kind of death that the cluster is caught in.
    pub(crate) fn crash_loop(&self, now: Instant) -> Option<Accident> {
        self.crash_loop.filter(|_| !self.is_forgiven(now))
    }

    /// Whether the first workers are still on trial: one has failed, and none has listened. Then no other is started
    /// before all of them have failed, and after that one at a time, until one listens.
    pub(crate) fn on_trial(&self) -> bool {
        !self.has_listened && self.failed_starts > 0
    }

    /// Whether there is no point in going on: none of `count` first workers ever listened, each of them failed, and
    /// at least three starts were tried. Ask only when no worker is left.
    pub(crate) fn hopeless(&self, count: u32) -> bool {
        let failed = self.failed_starts >= count.max(FIRST_ATTEMPTS);
        !self.has_listened && (failed || self.not_run >= FIRST_ATTEMPTS)
    }

    fn pause(&self) -> Duration {
        if self.crash_loop.is_some() {
            return self.pace.slowest;
        }
        let Some(doublings) = self.streak.checked_sub(2) else {
            return Duration::ZERO;
        };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.pace
            .first
            .saturating_mul(factor)
            .min(self.pace.slowest)
    }

    fn count(&self, now: Instant, kind: Accident) -> usize {
        self.recent
            .iter()
            .filter(|(at, k)| *k == kind && now.saturating_duration_since(*at) < self.pace.window)
            .count()
    }

    fn is_forgiven(&self, now: Instant) -> bool {
        self.recent.back().is_none_or(|(last, _)| {
            now.saturating_duration_since(*last) >= self.pace.forgiven_after
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const S: Duration = Duration::from_secs(1);

    fn accidents() -> (Accidents, Instant) {
        (Accidents::new(Pace::default()), Instant::now())
    }

    #[test]
    fn at_once_then_doubling_to_the_slowest_pace() {
        let (mut accidents, mut now) = accidents();
        let mut pauses = Vec::new();
        for code in 0..12 {
            // Each of a kind of its own, so that the pace is that of the backoff alone.
            let Verdict::Restart { after } = accidents.note(now, Accident::Exited(code)) else {
                panic!("no crash loop here");
            };
            assert_eq!(accidents.delay(now), after);
            assert_eq!(
                accidents.held_until(now),
                (!after.is_zero()).then(|| now + after)
            );
            pauses.push(after.as_millis());
            now += after;
            assert_eq!(accidents.delay(now), Duration::ZERO);
            assert_eq!(accidents.held_until(now), None);
        }
        assert_eq!(
            pauses,
            [
                0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000, 10_000
            ]
        );
    }

    #[test]
    fn a_minute_without_one_forgives() {
        let (mut accidents, now) = accidents();
        for code in 0..4 {
            accidents.note(now, Accident::Exited(code));
        }
        let later = now + 60 * S;
        assert_eq!(
            accidents.note(later, Accident::Exited(9)),
            Verdict::Restart {
                after: Duration::ZERO
            }
        );
    }

    #[test]
    fn deaths_within_a_pause_cost_nothing_more() {
        let (mut accidents, now) = accidents();
        accidents.note(now, Accident::Exited(0));
        for code in 1..40 {
            let now = now + MS * (code as u32 - 1);
            let verdict = accidents.note(now, Accident::Exited(code));
            let after = now_plus(now, &accidents);
            assert_eq!(verdict, Verdict::Restart { after });
        }
        assert_eq!(accidents.held_until(now), Some(now + 100 * MS));
    }

    fn now_plus(now: Instant, accidents: &Accidents) -> Duration {
        accidents.held_until(now).unwrap() - now
    }

    #[test]
    fn five_of_one_kind_in_a_minute_are_a_crash_loop_until_forgiven() {
        let (mut accidents, mut now) = accidents();
        let kind = Accident::Signalled(11);
        for _ in 0..4 {
            assert!(matches!(accidents.note(now, kind), Verdict::Restart { .. }));
            now += 2 * S;
        }
        accidents.note(now, Accident::Exited(1));
        assert_eq!(accidents.crash_loop(now), None);
        let verdict = accidents.note(now, kind);
        let expected = Verdict::CrashLoop {
            kind,
            after: 10 * S,
            named: true,
        };
        assert_eq!(verdict, expected);
        // It stays one at its own slow pace, though five no longer fit into a minute, and is named but once.
        for _ in 0..6 {
            now += 25 * S;
            let verdict = accidents.note(now, kind);
            let expected = Verdict::CrashLoop {
                kind,
                after: 10 * S,
                named: false,
            };
            assert_eq!(verdict, expected);
        }
        assert_eq!(accidents.crash_loop(now + 59 * S), Some(kind));
        assert_eq!(accidents.crash_loop(now + 60 * S), None);
    }

    #[test]
    fn a_stream_of_deaths_cannot_put_off_the_next_start() {
        let (mut accidents, start) = accidents();
        let mut started = 0;
        for second in 0..60 {
            let now = start + second * S;
            started += u32::from(accidents.delay(now).is_zero());
            accidents.note(now, Accident::Signalled(9));
        }
        assert!(started >= 6, "{started}");
    }

    #[test]
    fn five_of_one_kind_over_more_than_a_minute_are_none() {
        let (mut accidents, now) = accidents();
        for n in 0..20 {
            let now = now + 15 * S * n;
            accidents.note(now, Accident::Left);
            assert_eq!(accidents.crash_loop(now), None);
        }
    }

    #[test]
    fn memory_is_bounded() {
        let (mut accidents, now) = accidents();
        for code in 0..10_000 {
            accidents.note(now, Accident::Exited(code));
        }
        assert_eq!(accidents.recent.len(), REMEMBERED);
    }

    #[test]
    fn hopeless_when_each_first_worker_failed_and_three_starts_did() {
        for (count, needed) in [(1, 3), (2, 3), (3, 3), (8, 8)] {
            let (mut accidents, now) = accidents();
            assert!(!accidents.on_trial());
            for _ in 1..needed {
                accidents.note(now, Accident::StartFailed);
                assert!(!accidents.hopeless(count), "{count}");
                assert!(accidents.on_trial());
            }
            accidents.note(now, Accident::StartFailed);
            assert!(accidents.hopeless(count), "{count}");
            accidents.listened();
            assert!(!accidents.hopeless(count) && !accidents.on_trial());
        }
    }
}
