//! The figures of one process, sampled for its heartbeat.

use std::time::Instant;

use super::pulse::Pulses;
use crate::protocol::Beat;
use crate::sys::{Heap, Usage};

/// Takes samples of this process.
pub(crate) struct Sampler {
    started: Instant,
    pulses: Pulses,
}

impl Sampler {
    pub(crate) fn new(pulses: Pulses) -> Self {
        Sampler {
            started: Instant::now(),
            pulses,
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
            beat.private_bytes = usage.private_bytes;
        }
        if let Some(heap) = Heap::sample() {
            beat.allocated_bytes = heap.allocated_bytes;
            beat.retained_bytes = heap.retained_bytes;
        }
        let felt = self.pulses.feel();
        beat.lag_us = felt.lag_us;
        beat.loops_silent_ms = felt.silent_ms;
        beat
    }
}
