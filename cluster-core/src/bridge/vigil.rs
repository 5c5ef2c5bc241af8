//! Whether a link stays awake for what is about to come. Pure but for the one setting: times come from outside.
//!
//! To be woken costs a process 35 to 40 µs, more than all else that a short message takes. Where messages have lately followed each
//! other within that, the link's task does not let its thread fall asleep for up to its reach (`--spin`), but looks again after each turn
//! of the thread's other work, and leaves its core to whoever else is ready to run. It does so for as long as at least
//! [`WORTH`] of the latest waits, each counting a little less than the one after it, ended within reach: what is wasted is bounded, and a
//! link that is mostly idle never stays awake at all.
//!
//! Nor does one whose core is wanted by a process that computes: that takes its whole slice of time, while the system lets a process that
//! was asleep run at once. Each time that the core was away for longer than the reach, the link sleeps through so many waits, and
//! through twice as many the next time. Where the core is taken more briefly but often, others share it, and more is gathered before it is
//! written.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long the links of this process stay awake at most for one message, in microseconds; as `--spin` has it unless set, for processes
/// without options.
static REACH: AtomicU64 = AtomicU64::new(100);

/// Sets how long the links of this process that begin from now on stay awake at most for one message; for no time: never.
pub(crate) fn stay_awake(most: Duration) {
    let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
    REACH.store(micros, Ordering::Relaxed);
}

/// All waits ended within reach; shares are counted in parts of this.
const ALL: u32 = 1 << 16;
/// The share of waits within reach from which on it is worth staying awake: in vain it costs a whole reach, and saves a third of it.
const WORTH: u32 = ALL / 8 * 7;
/// The latest wait counts for one part in so many.
const MEMORY: u32 = 16;

/// Nobody else had the core where it was given back within this: the system looks for somebody, and finds none.
const ALONE: Duration = Duration::from_micros(2);
/// The share of offers of the core that somebody took from which on it is a shared one.
const SHARED: u32 = ALL / 8;

/// Waits that a link sleeps through after another process has had its core, at first and at most.
const REST: (u32, u32) = (64, 1 << 14);

/// What the last waits of a link say about the next one.
#[derive(Debug)]
pub(super) struct Vigil {
    reach: Duration,
    /// The share of waits that ended within reach.
    quick: u32,
    /// The share of the last offers of the core that another process took.
    taken: u32,
    /// Waits yet to be slept through.
    rest: u32,
    /// As many it is the next time.
    next_rest: u32,
    /// Waits since the last rest.
    undisturbed: u32,
}

impl Default for Vigil {
    fn default() -> Self {
        Vigil::new(Duration::from_micros(REACH.load(Ordering::Relaxed)))
    }
}

impl Vigil {
    fn new(reach: Duration) -> Self {
        Vigil {
            reach,
            quick: 0,
            taken: 0,
            rest: 0,
            next_rest: REST.0,
            undisturbed: 0,
        }
    }

    /// How long it stays awake at most; nothing where it never does.
    pub(super) fn reach(&self) -> Option<Duration> {
        (!self.reach.is_zero()).then_some(self.reach)
    }

    /// Whether it is worth staying awake now.
    pub(super) fn is_kept(&self) -> bool {
        self.quick >= WORTH && self.rest == 0
    }

    /// While it stayed awake it has offered its core to others, and was given it back after so long.
    pub(super) fn offered(&mut self, away: Duration) {
        let latest = if away > ALONE { ALL } else { 0 };
        self.taken = average(self.taken, latest);
        if away > self.reach {
            self.was_disturbed();
        }
    }

    /// Others want the core: what this process gathers keeps nobody waiting who could run meanwhile.
    pub(super) fn shares_its_core(&self) -> bool {
        self.taken >= SHARED
    }

    /// While it stayed awake another process had the core, for longer than the reach.
    fn was_disturbed(&mut self) {
        self.rest = self.next_rest;
        self.next_rest = (self.next_rest * 2).min(REST.1);
        self.undisturbed = 0;
    }

    /// A message has come, so long after the wait for it began.
    pub(super) fn waited(&mut self, time: Duration) {
        let latest = if time <= self.reach { ALL } else { 0 };
        self.quick = average(self.quick, latest);
        if self.rest > 0 {
            self.rest -= 1;
            return;
        }
        self.undisturbed += 1;
        // It has gone well for as long as it rested before: the last disturbance counts less.
        if self.undisturbed >= self.next_rest {
            self.undisturbed = 0;
            self.next_rest = (self.next_rest / 2).max(REST.0);
        }
    }
}

fn average(before: u32, latest: u32) -> u32 {
    before - before / MEMORY + latest / MEMORY
}

#[cfg(test)]
mod tests {
    use super::*;

    const REACHED: Duration = Duration::from_micros(100);
    const QUICK: Duration = Duration::from_micros(5);
    const SLOW: Duration = Duration::from_millis(1);

    #[test]
    fn a_link_whose_messages_come_slowly_never_stays_awake() {
        let mut vigil = Vigil::new(REACHED);
        for n in 0..10_000 {
            vigil.waited(if n % 4 == 0 { SLOW } else { QUICK });
            assert!(!vigil.is_kept());
        }
    }

    #[test]
    fn a_link_whose_messages_come_quickly_stays_awake_until_they_do_not() {
        let mut vigil = Vigil::new(REACHED);
        (0..64).for_each(|_| vigil.waited(QUICK));
        assert!(vigil.is_kept());
        vigil.waited(SLOW);
        assert!(vigil.is_kept(), "one is late now and then");
        (0..MEMORY).for_each(|_| vigil.waited(SLOW));
        assert!(!vigil.is_kept());
    }

    #[test]
    fn a_link_whose_core_others_want_sleeps_ever_longer() {
        let mut vigil = Vigil::new(REACHED);
        let mut rests = Vec::new();
        for _ in 0..10 {
            while !vigil.is_kept() {
                vigil.waited(QUICK);
            }
            vigil.offered(SLOW);
            let mut rest = 0;
            while !vigil.is_kept() {
                vigil.waited(QUICK);
                rest += 1;
            }
            rests.push(rest);
        }
        assert_eq!(rests[..3], [64, 128, 256]);
        assert_eq!(rests[9], REST.1);
        (0..10 * REST.1).for_each(|_| vigil.waited(QUICK));
        vigil.offered(SLOW);
        (0..REST.0).for_each(|_| vigil.waited(QUICK));
        assert!(vigil.is_kept(), "it is forgotten again");
    }

    #[test]
    fn a_core_is_shared_that_others_take_now_and_then() {
        let mut vigil = Vigil::new(REACHED);
        let mut offers = |times: u32, away| {
            (0..times).for_each(|_| vigil.offered(away));
            vigil.shares_its_core()
        };
        assert!(!offers(100, ALONE));
        assert!(!offers(1, QUICK), "once is nothing");
        assert!(offers(2, QUICK));
        assert!(!offers(100, ALONE));
        let each_eighth = (0..100).map(|n| if n % 8 == 0 { QUICK } else { ALONE });
        let shared: Vec<_> = each_eighth.map(|away| offers(1, away)).collect();
        assert!(shared[90..].iter().any(|shared| *shared));
    }

    #[test]
    fn what_is_wasted_stays_a_small_part() {
        let mut vigil = Vigil::new(REACHED);
        let mut wasted = 0;
        // The worst that can be: each time that it stays awake, nothing comes.
        for _ in 0..1_000_000 {
            let kept = vigil.is_kept();
            wasted += u32::from(kept);
            vigil.waited(if kept { SLOW } else { QUICK });
        }
        assert!(wasted < 1_000_000 / 6, "{wasted}");
    }
}
