//! The figures: one meter a thread, merged once a heartbeat.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use cluster_core::{DurationCounter, Durations};
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Durations are kept in microseconds, from 1 µs to 60 s; what is longer counts as 60 s.
const LONGEST_US: u64 = 60_000_000;

/// The requests of a process. `requests`, `errors`, `panics` and `total` count from the start of the process; the
/// quantiles are of the time since the snapshot before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Traffic {
    /// Connections accepted.
    pub connections: u64,
    /// Requests answered.
    pub requests: u64,
    /// Of those, answered with a status of 500 or above.
    pub errors: u64,
    /// Handlers and bodies that panicked.
    pub panics: u64,
    /// Requests given up before there was an answer, mostly as the client had gone.
    pub abandoned: u64,
    /// Requests under way now, the sending of their bodies included.
    pub in_flight: u32,
    /// The time of each answer, from the request's head to its answer's head.
    pub answers: Durations,
    /// Requests answered since the snapshot before.
    pub recent: u64,
    /// The median since the snapshot before; zero where there was no request. Two digits are exact.
    pub p50: Duration,
    /// The 99th percentile since the snapshot before.
    pub p99: Duration,
    /// The longest since the snapshot before.
    pub max: Duration,
}

/// What a thread counts under its lock.
#[derive(Default)]
struct Counts {
    errors: u64,
    panics: u64,
    abandoned: u64,
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.errors += other.errors;
        self.panics += other.panics;
        self.abandoned += other.abandoned;
    }
}

struct Ledger {
    counts: Counts,
    recent: Histogram<u64>,
}

/// The meter of one thread. Its lock is contended only at the moment of a snapshot.
pub struct Meter {
    in_flight: AtomicU32,
    connections: AtomicU64,
    answers: DurationCounter,
    ledger: Mutex<Ledger>,
}

impl Meter {
    fn new() -> Self {
        Meter {
            in_flight: AtomicU32::new(0),
            connections: AtomicU64::new(0),
            answers: DurationCounter::default(),
            ledger: Mutex::new(Ledger {
                counts: Counts::default(),
                recent: empty(),
            }),
        }
    }

    /// Requests of this thread under way now.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    // The thread of the meter is the only writer: plain loads and stores, no locked instruction.
    pub(crate) fn begun(&self) {
        self.in_flight
            .store(self.in_flight.load(Relaxed) + 1, Relaxed);
    }

    pub(crate) fn done(&self) {
        self.in_flight
            .store(self.in_flight.load(Relaxed).saturating_sub(1), Relaxed);
    }

    pub(crate) fn connected(&self) {
        self.connections
            .store(self.connections.load(Relaxed) + 1, Relaxed);
    }

    pub(crate) fn answered(&self, took: Duration, error: bool) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        self.answers.count(took);
        let mut ledger = self.ledger.lock();
        ledger.counts.errors += u64::from(error);
        ledger.recent.saturating_record(micros);
    }

    pub(crate) fn abandoned(&self) {
        self.ledger.lock().counts.abandoned += 1;
    }

    pub(crate) fn panicked(&self) {
        self.ledger.lock().counts.panics += 1;
    }
}

/// The meters of all threads of a process. Clones are the same meters.
#[derive(Clone, Default)]
pub struct Meters {
    threads: Arc<Mutex<Vec<Arc<Meter>>>>,
}

impl Meters {
    /// No meter yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A meter for one more thread. Only that thread may count with it.
    #[must_use]
    pub fn for_thread(&self) -> Arc<Meter> {
        let meter = Arc::new(Meter::new());
        self.threads.lock().push(Arc::clone(&meter));
        meter
    }

    /// The figures of all threads together. Begins a new span for the quantiles: for one reader, the heartbeat.
    #[must_use]
    pub fn take(&self) -> Traffic {
        let mut counts = Counts::default();
        let mut recent = empty();
        let mut answers = Durations::default();
        let (mut in_flight, mut connections) = (0, 0);
        for meter in self.threads.lock().iter() {
            let span = {
                let mut ledger = meter.ledger.lock();
                counts.add(&ledger.counts);
                std::mem::replace(&mut ledger.recent, empty())
            };
            // Both have the same bounds, so that nothing can be out of range.
            let added = recent.add(span);
            debug_assert!(added.is_ok());
            answers.add(&meter.answers.durations());
            in_flight += meter.in_flight();
            connections += meter.connections.load(Relaxed);
        }
        Traffic {
            connections,
            requests: answers.count,
            errors: counts.errors,
            panics: counts.panics,
            abandoned: counts.abandoned,
            in_flight,
            answers,
            recent: recent.len(),
            p50: Duration::from_micros(recent.value_at_quantile(0.5)),
            p99: Duration::from_micros(recent.value_at_quantile(0.99)),
            max: Duration::from_micros(recent.max()),
        }
    }
}

#[allow(clippy::expect_used)]
fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_US, 2).expect("1 to 60,000,000 with 2 digits is a range")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_merged_and_quantiles_begin_afresh() {
        let meters = Meters::new();
        let [one, two] = [meters.for_thread(), meters.for_thread()];
        for n in 1..=99 {
            one.answered(Duration::from_millis(n), false);
        }
        two.answered(Duration::from_secs(600), true);
        two.begun();
        two.panicked();
        let traffic = meters.take();
        assert_eq!((traffic.requests, traffic.errors), (100, 1));
        assert_eq!((traffic.panics, traffic.in_flight), (1, 1));
        assert!(traffic.p50.abs_diff(Duration::from_millis(50)) < Duration::from_millis(1));
        assert!(traffic.p99.abs_diff(Duration::from_millis(99)) < Duration::from_millis(1));
        assert!(traffic.max >= Duration::from_secs(60));
        // 1 to 99 ms: within 500 µs none, 1 ms one, 2.5 ms two, ..., 50 ms fifty, 100 ms all but the one of ten minutes.
        let within = [0, 1, 2, 5, 10, 25, 50, 99, 99, 99, 99, 99, 99, 99];
        assert_eq!(traffic.answers.within[6..], within);
        assert_eq!(traffic.answers.within[..6], [0; 6]);

        two.done();
        one.answered(Duration::from_millis(7), false);
        let later = meters.take();
        assert_eq!((later.requests, later.recent, later.in_flight), (101, 1, 0));
        assert!(later.max < Duration::from_millis(8));
        assert_eq!(meters.take().p50, Duration::ZERO);
    }
}
