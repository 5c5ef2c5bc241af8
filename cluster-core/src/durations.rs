//! How long things take, counted by fixed bounds: such counts of many threads and processes can be added, which quantiles cannot.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// The bounds of [`Durations::within`], in microseconds: 1, 2.5 and 5 of each power of ten, from 5 µs to 10 s. What takes longer is in
/// [`Durations::count`] alone.
pub const DURATION_BOUNDS_US: [u64; BOUNDS] = [
    5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000,
    500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000,
];
const BOUNDS: usize = 20;

/// Of what is too short and too frequent for a look at the clock each time, one in so many is timed.
pub const TIMED_ONE_IN: u64 = 16;

/// How long something took, each time that it was timed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Durations {
    /// How often it was timed.
    pub count: u64,
    /// What these took together, in nanoseconds.
    pub total_ns: u64,
    /// How many of them took no longer than each of [`DURATION_BOUNDS_US`], each including the ones before; empty where there were none.
    pub within: Vec<u64>,
}

impl Durations {
    /// Adds what was timed elsewhere. What a build with other bounds has counted is in the count and the total alone.
    pub fn add(&mut self, other: &Durations) {
        self.count = self.count.saturating_add(other.count);
        self.total_ns = self.total_ns.saturating_add(other.total_ns);
        if other.within.len() == BOUNDS {
            self.within.resize(BOUNDS, 0);
            for (sum, count) in self.within.iter_mut().zip(&other.within) {
                *sum = sum.saturating_add(*count);
            }
        }
    }

    /// The bounds in seconds, and how many were within each.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let within = (0..BOUNDS).map(|at| self.within.get(at).copied().unwrap_or_default());
        #[allow(clippy::cast_precision_loss)]
        let seconds = DURATION_BOUNDS_US.iter().map(|us| *us as f64 / 1e6);
        seconds.zip(within)
    }
}

/// Counts durations, from whichever thread, without a lock.
#[derive(Debug, Default)]
pub struct DurationCounter {
    /// How many were between two bounds, the last of them the one that is not exceeded; at the end what exceeds all.
    between: [AtomicU64; BOUNDS + 1],
    total_ns: AtomicU64,
}

impl DurationCounter {
    /// One that has counted nothing.
    pub const fn new() -> Self {
        DurationCounter {
            between: [const { AtomicU64::new(0) }; BOUNDS + 1],
            total_ns: AtomicU64::new(0),
        }
    }

    /// Counts one more.
    pub fn count(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let place = DURATION_BOUNDS_US.partition_point(|bound| bound * 1000 < nanos);
        self.between[place].fetch_add(1, Relaxed);
        self.total_ns.fetch_add(nanos, Relaxed);
    }

    /// What was counted so far.
    pub fn durations(&self) -> Durations {
        let mut count = 0;
        let mut within: Vec<u64> = Vec::with_capacity(BOUNDS + 1);
        for between in &self.between {
            count += between.load(Relaxed);
            within.push(count);
        }
        within.truncate(if count == 0 { 0 } else { BOUNDS });
        Durations {
            count,
            total_ns: self.total_ns.load(Relaxed),
            within,
        }
    }
}

/// Whether the `nth` of one kind, from 0, is one that is timed: the first, and one in [`TIMED_ONE_IN`].
///
/// They are spread evenly (by multiples of the golden ratio), and in step with nothing: where every sixteenth were timed, a program that
/// always asks for two things in turn would have one of them timed and never the other.
#[inline]
pub(crate) fn is_timed(nth: u64) -> bool {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    nth.wrapping_mul(GOLDEN) < u64::MAX / TIMED_ONE_IN
}

/// Counts what is done of one kind in one thread, and says which of it is timed.
#[derive(Debug, Default)]
pub struct Sampling(Cell<u64>);

impl Sampling {
    /// When this one began, where it is one that is timed.
    #[inline]
    pub fn begin(&self) -> Option<Instant> {
        let before = self.0.get();
        self.0.set(before.wrapping_add(1));
        is_timed(before).then(Instant::now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_in_its_bucket_and_those_after_it() {
        let counter = DurationCounter::default();
        assert_eq!(counter.durations(), Durations::default());
        let micros = Duration::from_micros;
        for took in [micros(0), micros(5), micros(5) + Duration::from_nanos(1)] {
            counter.count(took);
        }
        counter.count(Duration::from_secs(10));
        counter.count(Duration::from_secs(600));
        let counted = counter.durations();
        assert_eq!((counted.count, counted.total_ns), (5, 610_000_010_001));
        assert_eq!(counted.within[..3], [2, 3, 3]);
        assert_eq!(counted.within[BOUNDS - 2..], [3, 4]);
        let last = counted.buckets().last();
        assert_eq!(last, Some((10.0, 4)));
    }

    #[test]
    fn what_is_added_stays_in_order_whatever_the_bounds_of_others() {
        let counter = DurationCounter::default();
        counter.count(Duration::from_millis(3));
        let mut sum = Durations::default();
        sum.add(&counter.durations());
        sum.add(&counter.durations());
        sum.add(&Durations {
            count: 7,
            total_ns: 1,
            within: vec![7; 3],
        });
        assert_eq!((sum.count, sum.total_ns), (9, 6_000_001));
        assert_eq!(sum.within[BOUNDS - 1], 2);
        assert!(sum.within.is_sorted());
    }

    #[test]
    fn one_in_sixteen_is_timed_in_step_with_nothing() {
        let sampling = Sampling::default();
        assert!(sampling.begin().is_some());
        for all in [16_u64, 160, 1600, 16_000] {
            let timed = (0..all).filter(|nth| is_timed(*nth)).count() as u64;
            assert!(timed.abs_diff(all / TIMED_ONE_IN) <= 2, "{timed} of {all}");
        }
        for period in 2..=32 {
            for of in 0..period {
                let timed = (0..16_000).filter(|n| is_timed(n * period + of)).count();
                assert!(timed.abs_diff(1000) <= 30, "{timed}: {of} of {period}");
            }
        }
    }
}
