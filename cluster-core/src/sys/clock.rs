//! The time to the system's tick, at a fraction of what an exact look at the clock costs.

use std::time::Instant;

/// By how much [`lately`] is off at most, in milliseconds: the longest tick that Linux has.
pub const TICK_MS: u64 = 10;

/// About now: up to [`TICK_MS`] before or after.
#[cfg(target_os = "linux")]
#[inline]
pub fn lately() -> Instant {
    use std::sync::LazyLock;
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    static BEGUN: LazyLock<(Instant, Duration)> = LazyLock::new(|| (Instant::now(), tick()));

    fn tick() -> Duration {
        let time = clock_gettime(ClockId::MonotonicCoarse);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        let rest = u32::try_from(time.tv_nsec).unwrap_or_default();
        Duration::new(seconds, rest)
    }

    let (begun, tick_then) = *BEGUN;
    begun + tick().saturating_sub(tick_then)
}

/// Now.
#[cfg(not(target_os = "linux"))]
pub fn lately() -> Instant {
    Instant::now()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_is_about_now() {
        let tick = Duration::from_millis(TICK_MS);
        lately();
        let end = Instant::now() + 5 * tick;
        while Instant::now() < end {
            let (before, now, after) = (Instant::now(), lately(), Instant::now());
            assert!(now + tick >= before && now <= after + tick);
        }
    }
}
