//! When a worker that is well is replaced all the same: rules over its heartbeats, pure.

use std::time::Duration;

use crate::id::WorkerId;
use crate::protocol::Beat;

/// Workers started together do not get old together: each lives up to this share of the age longer.
const SPREAD_PERCENT: u32 = 10;

/// The worker's age, if it is past the age at which it is to be replaced.
pub(crate) fn too_old(worker: WorkerId, beat: &Beat, max_age: Duration) -> Option<Duration> {
    // A step of the golden ratio spreads consecutive numbers evenly over the range.
    let place = worker.0.wrapping_mul(0x9e37_79b9) >> 16;
    let longer = max_age / 100 * SPREAD_PERCENT / 65_536 * place;
    let age = Duration::from_millis(beat.uptime_ms);
    (age >= max_age + longer).then_some(age)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_old(worker: u32, age_s: u64) -> bool {
        let beat = Beat {
            uptime_ms: age_s * 1000,
            ..Beat::default()
        };
        too_old(WorkerId(worker), &beat, Duration::from_secs(1000)).is_some()
    }

    #[test]
    fn each_is_old_at_an_age_of_its_own_within_a_tenth() {
        for worker in 1..100 {
            assert!(!is_old(worker, 999), "worker {worker}");
            assert!(is_old(worker, 1100), "worker {worker}");
        }
        let old_at_half = (1..101).filter(|worker| is_old(*worker, 1050)).count();
        assert!((40..=60).contains(&old_at_half), "{old_at_half} of 100");
    }
}
