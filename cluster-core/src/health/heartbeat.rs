//! The figures of one process, sampled for its heartbeat.

use std::time::Instant;

use crate::protocol::Beat;
use crate::sys::Usage;

/// Takes samples of this process.
pub(crate) struct Sampler {
    started: Instant,
}

impl Sampler {
    pub(crate) fn new() -> Self {
        Sampler {
            started: Instant::now(),
        }
    }

    /// A beat with what the system knows; the application adds its own figures.
    pub(crate) fn sample(&self) -> Beat {
        let uptime_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut beat = Beat {
            uptime_ms,
            ..Beat::default()
        };
        if let Ok(usage) = Usage::sample() {
            beat.rss_bytes = usage.rss_bytes;
            beat.cpu_ms = u64::try_from(usage.cpu_time.as_millis()).unwrap_or(u64::MAX);
            beat.open_fds = usage.open_fds;
            beat.threads = usage.threads;
        }
        beat
    }
}
