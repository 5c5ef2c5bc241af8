//! The rhythm of health probes: a node that stops lets its prober hear "down" first, and waits for nobody who does not probe.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// A probe longer ago than this counts for nothing.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// No stop waits longer than this for a probe.
const LONGEST: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Rhythm {
    last: Option<Instant>,
    interval: Option<Duration>,
}

#[derive(Default)]
pub(crate) struct Probes {
    rhythm: Mutex<Rhythm>,
    down: Notify,
}

impl Probes {
    pub(crate) fn note(&self, now: Instant, said_up: bool) {
        let mut rhythm = self.rhythm.lock();
        rhythm.interval = rhythm.last.map(|last| now.saturating_duration_since(last));
        rhythm.last = Some(now);
        drop(rhythm);
        if !said_up {
            self.down.notify_waiters();
        }
    }

    /// One interval and a half from the last probe on, and no longer than the bound.
    pub(crate) fn wait(&self, now: Instant) -> Duration {
        let rhythm = self.rhythm.lock();
        let (Some(last), Some(interval)) = (rhythm.last, rhythm.interval) else {
            return Duration::ZERO;
        };
        let since = now.saturating_duration_since(last);
        if since > FORGOTTEN {
            return Duration::ZERO;
        }
        (interval.saturating_mul(3) / 2)
            .saturating_sub(since)
            .min(LONGEST)
    }

    pub(crate) async fn told_down(&self) {
        self.down.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_waits_for_a_prober_only_where_there_is_one() {
        let probes = Probes::default();
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        assert_eq!(probes.wait(at(0)), Duration::ZERO);
        probes.note(at(0), true);
        assert_eq!(
            probes.wait(at(1)),
            Duration::ZERO,
            "one probe has no rhythm"
        );
        probes.note(at(4), true);
        assert_eq!(probes.wait(at(5)), Duration::from_secs(5));
        assert_eq!(probes.wait(at(11)), Duration::ZERO, "it is overdue");
        probes.note(at(44), true);
        assert_eq!(probes.wait(at(44)), LONGEST);
        assert_eq!(probes.wait(at(200)), Duration::ZERO);
    }
}
