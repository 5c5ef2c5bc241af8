//! Whether a link stays awake for what is about to come. Pure but for the one setting: times come from outside.
//!
//! To be woken costs a process 35 to 40 µs, more than all else that a short message takes. Where messages have lately followed each
//! other within that, the link's task does not let its thread fall asleep for up to its reach (`--spin`), but looks again after each turn
//! of the thread's other work. Where nothing comes within it, as where the other side is slow or has no core to run on,
//! the link needs twice as many quick messages before it stays awake again: what is wasted is bounded, and a link that is
//! mostly idle never stays awake at all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long the links of this process stay awake at most for one message, in microseconds.
static REACH: AtomicU64 = AtomicU64::new(0);

/// Sets how long the links of this process that begin from now on stay awake at most for one message; for no time: never.
pub(crate) fn stay_awake(most: Duration) {
    let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
    REACH.store(micros, Ordering::Relaxed);
}

/// Quick messages in a row after which a link stays awake, at first.
const LEAST: u32 = 16;
/// The same where it has often been in vain.
const MOST: u32 = 1 << 16;

/// What the last waits of a link say about the next one.
#[derive(Debug)]
pub(super) struct Vigil {
    reach: Duration,
    /// Messages in a row that came within reach.
    quick: u32,
    /// How many of them it takes.
    needed: u32,
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
            needed: LEAST,
        }
    }

    /// How long it stays awake at most; nothing where it never does.
    pub(super) fn reach(&self) -> Option<Duration> {
        (!self.reach.is_zero()).then_some(self.reach)
    }

    /// Whether it is worth staying awake now.
    pub(super) fn is_kept(&self) -> bool {
        self.quick >= self.needed
    }

    /// A message has come, so long after the wait for it began.
    pub(super) fn waited(&mut self, time: Duration) {
        if time <= self.reach {
            self.quick = self.quick.saturating_add(1);
            // It has paid for as long as it took to begin it: an earlier failure counts less.
            if self.quick >= self.needed.saturating_mul(4) {
                self.needed = (self.needed / 2).max(LEAST);
            }
        } else {
            if self.is_kept() {
                self.needed = (self.needed * 2).min(MOST);
            }
            self.quick = 0;
        }
    }
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
            vigil.waited(if n % 8 == 0 { SLOW } else { QUICK });
            assert!(!vigil.is_kept());
        }
    }

    #[test]
    fn a_link_whose_messages_come_quickly_stays_awake_until_one_is_late() {
        let mut vigil = Vigil::new(REACHED);
        (0..LEAST).for_each(|_| vigil.waited(QUICK));
        assert!(vigil.is_kept());
        (0..1000).for_each(|_| vigil.waited(QUICK));
        assert!(vigil.is_kept());
        vigil.waited(SLOW);
        assert!(!vigil.is_kept());
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
        assert!(wasted < 40, "{wasted}");
    }
}
