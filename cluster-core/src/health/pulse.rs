//! How late timers fire in each thread that runs an event loop, and when each was last seen to run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};

/// How often a thread is looked at: a blocked loop is seen as late by all but this much of the time.
const PERIOD: Duration = Duration::from_millis(100);

struct Pulse {
    began: Instant,
    /// When it last ran, in microseconds since it began.
    ticked_us: AtomicU64,
    /// By how much the latest of its timers was late since that was last asked for, in microseconds.
    late_us: AtomicU64,
}

impl Pulse {
    fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// The event loops of a process. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Pulses(Arc<Mutex<Vec<Arc<Pulse>>>>);

/// What is known of the loops.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Felt {
    /// By how much the latest timer was late since it was last looked, in microseconds.
    pub(crate) lag_us: u64,
    /// How long ago each loop last ran, in milliseconds.
    pub(crate) silent_ms: Vec<u32>,
}

impl Pulses {
    /// Watches the loop of this thread from now on, until the thread ends.
    pub(crate) fn watch_this_thread(&self) {
        let pulse = Arc::new(Pulse {
            began: Instant::now(),
            ticked_us: AtomicU64::new(0),
            late_us: AtomicU64::new(0),
        });
        self.0.lock().push(Arc::clone(&pulse));
        tokio::task::spawn_local(async move {
            let mut ticks = interval(PERIOD);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks.tick().await;
            loop {
                let due = pulse.now_us() + PERIOD.as_micros() as u64;
                ticks.tick().await;
                let now = pulse.now_us();
                pulse.late_us.fetch_max(now.saturating_sub(due), Relaxed);
                pulse.ticked_us.store(now, Relaxed);
            }
        });
    }

    /// What has been felt since this was last asked.
    pub(crate) fn feel(&self) -> Felt {
        let mut felt = Felt::default();
        for pulse in self.0.lock().iter() {
            let silent_us = pulse.now_us().saturating_sub(pulse.ticked_us.load(Relaxed));
            // One that is late at this very moment has not said so itself.
            let late = silent_us.saturating_sub(2 * PERIOD.as_micros() as u64);
            let late = late.max(pulse.late_us.swap(0, Relaxed));
            felt.lag_us = felt.lag_us.max(late);
            felt.silent_ms
                .push(u32::try_from(silent_us / 1000).unwrap_or(u32::MAX));
        }
        felt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn a_loop_that_was_blocked_is_late_by_that_much() {
        let pulses = Pulses::default();
        assert_eq!(pulses.feel(), Felt::default());
        pulses.watch_this_thread();
        let ticked = || pulses.0.lock()[0].ticked_us.load(Relaxed);
        let run_on = async |since: u64| {
            while ticked() <= since {
                tokio::task::yield_now().await;
            }
        };
        run_on(0).await;
        pulses.feel();
        let before = ticked();
        std::thread::sleep(Duration::from_millis(400)); // wait: the loop is blocked for so long
        let felt = pulses.feel();
        assert!(felt.silent_ms[0] >= 300, "{felt:?}");
        assert!(felt.lag_us >= 150_000, "{felt:?}");
        run_on(before).await;
        let felt = pulses.feel();
        assert!(felt.lag_us >= 250_000, "{felt:?}");
    }
}
