//! What the heartbeats of one worker say of it.

use std::time::Duration;

use crate::id::WorkerId;
use crate::protocol::Beat;

/// How a worker does, as its beat has just come.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Vitals<'a> {
    /// Which worker.
    pub worker: WorkerId,
    /// Its beat.
    pub beat: &'a Beat,
    /// What it has done since the beat before, and what that took.
    pub load: Load,
    /// The same at the beat before this one at which it had done the most; none at the first beat.
    pub peak: Option<Load>,
}

/// What a worker does between two beats, and what that takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Load {
    /// Requests per second.
    pub tps: f64,
    /// Processor time in each second: 1.0 is one core, all of the time.
    pub cores: f64,
    /// Memory of its own, in bytes: what it shares with other processes does not count where that is known.
    pub memory_bytes: u64,
    /// How late timers were at most, in the thread where they were latest.
    pub lag: Duration,
    /// Memory that the allocator holds and nobody uses, in bytes.
    pub slack_bytes: u64,
}

/// What is remembered of one worker.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    last: Option<(u64, u64)>,
    peak: Option<Load>,
}

impl History {
    /// A beat has come.
    pub(crate) fn note<'a>(&mut self, worker: WorkerId, beat: &'a Beat) -> Vitals<'a> {
        let (uptime_ms, cpu_ms) = self.last.unwrap_or((0, 0));
        let since_ms = beat.uptime_ms.saturating_sub(uptime_ms);
        let used_ms = beat.cpu_ms.saturating_sub(cpu_ms);
        #[allow(clippy::cast_precision_loss)]
        let load = Load {
            tps: beat.tps,
            cores: if since_ms > 0 {
                used_ms as f64 / since_ms as f64
            } else {
                0.0
            },
            memory_bytes: match beat.private_bytes {
                0 => beat.rss_bytes,
                own => own,
            },
            lag: Duration::from_micros(beat.lag_us),
            slack_bytes: beat.retained_bytes,
        };
        self.last = Some((beat.uptime_ms, beat.cpu_ms));
        let peak = self.peak;
        if peak.is_none_or(|peak| load.tps > peak.tps) {
            self.peak = Some(load);
        }
        Vitals {
            worker,
            beat,
            load,
            peak,
        }
    }
}
