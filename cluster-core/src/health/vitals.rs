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
    /// What it has done lately, and what that took: since the beat before, or over a second where beats come faster.
    pub load: Load,
    /// The same of the time before this one in which it did the most; none at first.
    pub peak: Option<Load>,
    /// The load is not that of the beat before.
    pub(super) is_fresh: bool,
}

/// What a worker does in some time, and what that takes.
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
    /// The beat with which the time began that is measured now.
    since: Option<Beat>,
    /// By how much the latest timer was late in it so far, in microseconds.
    lag_us: u64,
    load: Load,
    peak: Option<Load>,
}

/// In less time than this, little can be said of what a worker does.
const SHORTEST_MS: u64 = 1000;

impl History {
    /// A beat has come.
    pub(crate) fn note<'a>(&mut self, worker: WorkerId, beat: &'a Beat) -> Vitals<'a> {
        self.lag_us = self.lag_us.max(beat.lag_us);
        let birth = Beat::default();
        let since = self.since.as_ref().unwrap_or(&birth);
        let took_ms = beat.uptime_ms.saturating_sub(since.uptime_ms);
        let is_fresh = self.since.is_none() || took_ms >= SHORTEST_MS;
        let peak = self.peak;
        if is_fresh {
            #[allow(clippy::cast_precision_loss)]
            let per_ms = |now: u64, then: u64| match took_ms {
                0 => 0.0,
                took => now.saturating_sub(then) as f64 / took as f64,
            };
            self.load = Load {
                tps: per_ms(beat.requests, since.requests) * 1000.0,
                cores: per_ms(beat.cpu_ms, since.cpu_ms),
                memory_bytes: match beat.private_bytes {
                    0 => beat.rss_bytes,
                    own => own,
                },
                lag: Duration::from_micros(self.lag_us),
                slack_bytes: beat.retained_bytes,
            };
            if peak.is_none_or(|peak| self.load.tps > peak.tps) {
                self.peak = Some(self.load);
            }
            self.since = Some(beat.clone());
            self.lag_us = 0;
        }
        Vitals {
            worker,
            beat,
            load: self.load,
            peak,
            is_fresh,
        }
    }
}
