//! Whether a master that has ended is started anew, and when. Pure: the time is given.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::sys::Exit;

/// A master that ends sooner than this after its first start has not started.
const START: Duration = Duration::from_secs(2);
/// The pause after the second death; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A master that has lived so long has got somewhere: it takes over its workers in a tenth of it. Its own death is not its start's
/// failure, and the next one is started without a pause, however often that happens.
const SHORT: Duration = Duration::from_secs(1);
/// The time within which deaths are counted.
const COUNTED: Duration = Duration::from_secs(60);
/// Deaths within that time that are borne in silence.
const BORNE: usize = 5;

/// What to do about a master that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// End with this code.
    End(u8),
    /// Start it anew.
    Restart {
        /// After this pause.
        after: Duration,
        /// How many times it has died lately, where that is too often.
        deaths: Option<usize>,
    },
}

/// What is remembered of the masters so far.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    served: bool,
    stopping: bool,
    /// Short lives since the last one that was not.
    in_a_row: u32,
    recent: VecDeque<Instant>,
}

impl Restarts {
    /// Whether a master has lived long enough to have served.
    pub(super) fn has_served(&self) -> bool {
        self.served
    }

    /// Whether the master was told to stop.
    pub(super) fn was_told_to_stop(&self) -> bool {
        self.stopping
    }

    /// The master was told to stop: it is not started anew.
    pub(super) fn stop(&mut self) {
        self.stopping = true;
    }

    /// A master has ended, after so long.
    pub(super) fn ended(&mut self, exit: Exit, lived: Duration, now: Instant) -> Verdict {
        self.served |= lived >= START;
        if exit.is_success() || self.stopping || !self.served {
            return Verdict::End(code(exit));
        }
        if lived >= SHORT {
            self.in_a_row = 0;
        }
        let after = match self.in_a_row {
            0 => Duration::ZERO,
            // Doubled ten times it is past the longest.
            n => (FIRST_PAUSE * (1 << (n - 1).min(10))).min(LONGEST_PAUSE),
        };
        self.in_a_row += 1;
        self.recent
            .retain(|death| now.saturating_duration_since(*death) < COUNTED);
        // Bounded by itself: the pauses let some dozen deaths into the time.
        self.recent.push_back(now);
        let deaths = self.recent.len();
        Verdict::Restart {
            after,
            deaths: (deaths > BORNE).then_some(deaths),
        }
    }
}

/// The code to exit with for a master that ended like this.
pub(super) fn code(exit: Exit) -> u8 {
    let number = match exit {
        Exit::Code(code) => code,
        Exit::Signal(number) => 128 + number,
        Exit::Unknown => 1,
    };
    u8::try_from(number).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILLED: Exit = Exit::Signal(9);

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn pause(verdict: Verdict) -> Duration {
        match verdict {
            Verdict::Restart { after, .. } => after,
            Verdict::End(code) => panic!("ended with {code}"),
        }
    }

    #[test]
    fn a_start_that_fails_is_not_repeated() {
        for (exit, code) in [(Exit::Code(1), 1), (Exit::Code(77), 77), (KILLED, 137)] {
            let verdict = Restarts::default().ended(exit, secs(1), Instant::now());
            assert_eq!(verdict, Verdict::End(code));
        }
    }

    #[test]
    fn a_good_end_or_one_that_was_asked_for_is_the_end() {
        let now = Instant::now();
        assert_eq!(
            Restarts::default().ended(Exit::Code(0), secs(99), now),
            Verdict::End(0)
        );
        let mut stopped = Restarts::default();
        stopped.stop();
        assert_eq!(stopped.ended(KILLED, secs(99), now), Verdict::End(137));
    }

    #[test]
    fn once_it_has_served_even_a_short_life_is_followed_by_another() {
        let (mut restarts, now) = (Restarts::default(), Instant::now());
        assert!(!restarts.has_served());
        assert_eq!(pause(restarts.ended(KILLED, secs(2), now)), Duration::ZERO);
        assert!(restarts.has_served());
        let pauses: Vec<_> = (0..9)
            .map(|_| pause(restarts.ended(Exit::Code(1), Duration::ZERO, now)).as_millis())
            .collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000]);
    }

    #[test]
    fn who_has_got_somewhere_is_followed_at_once_however_often_it_dies() {
        let (mut restarts, now) = (Restarts::default(), Instant::now());
        for _ in 0..50 {
            assert_eq!(pause(restarts.ended(KILLED, secs(3), now)), Duration::ZERO);
        }
        let verdict = restarts.ended(KILLED, secs(60), now + secs(60));
        assert_eq!(
            verdict,
            Verdict::Restart {
                after: Duration::ZERO,
                deaths: None
            }
        );
    }

    #[test]
    fn what_dies_too_often_is_told() {
        let (mut restarts, now) = (Restarts::default(), Instant::now());
        let mut deaths = (0..7).map(|n| match restarts.ended(KILLED, secs(3), now + secs(n)) {
            Verdict::Restart { deaths, .. } => deaths,
            Verdict::End(_) => panic!("ended"),
        });
        assert!(deaths.by_ref().take(5).all(|deaths| deaths.is_none()));
        assert_eq!(deaths.collect::<Vec<_>>(), [Some(6), Some(7)]);
    }

    #[test]
    fn a_code_that_no_process_can_have_is_a_failure_all_the_same() {
        assert_eq!(code(Exit::Code(-1)), 1);
        assert_eq!(code(Exit::Unknown), 1);
        assert_eq!(code(Exit::Signal(15)), 143);
    }
}
