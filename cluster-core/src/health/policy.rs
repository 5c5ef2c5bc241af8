//! When a worker that is alive is replaced all the same: rules over its heartbeats, pure.
//!
//! A rule that holds for a worker's very first beat is not heeded for that worker: its successor would be no better, and all
//! workers would be replaced without end.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::vitals::Vitals;
use crate::id::WorkerId;

/// Workers started together are not replaced together: each may have up to this share more of what is bounded.
const SPREAD_PERCENT: u64 = 10;
/// For so many heartbeats in a row a rule about load has to hold; for so many seconds where they come faster.
const IN_A_ROW: u32 = 3;
/// Below so many requests a second nothing is said of what a worker can do.
const FEW_TPS: f64 = 2.0;
/// Of its best throughput a worker has to do this share.
const SHARE_OF_PEAK: f64 = 0.9;
/// A core of which this share is used has nothing to spare.
const SATURATED: f64 = 0.95;

/// Why a worker is replaced though it is alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Decay {
    /// It is past its age.
    MaxAge {
        /// Its age, in seconds.
        age_s: u64,
    },
    /// It has answered as many requests as one worker is to.
    MaxRequests {
        /// How many.
        requests: u64,
    },
    /// It takes more memory than it may, for several beats in a row.
    MaxMemory {
        /// How much, in bytes.
        bytes: u64,
        /// How much it may take.
        allowed: u64,
    },
    /// Its timers are late by more than they may be, for several beats in a row.
    MaxLag {
        /// By how much, in milliseconds.
        lag_ms: u64,
        /// By how much they may be.
        allowed_ms: u64,
    },
    /// It does less than it used to, at a higher cost.
    Degraded {
        /// Its throughput now, in percent of its best.
        percent_of_peak: u8,
    },
    /// The application says so.
    Said {
        /// Why.
        why: String,
    },
}

impl Decay {
    /// A reason of the application's own.
    pub fn because(why: impl Into<String>) -> Self {
        Decay::Said { why: why.into() }
    }

    /// The name of the rule.
    pub(crate) fn rule(&self) -> &'static str {
        match self {
            Decay::MaxAge { .. } => "max-age",
            Decay::MaxRequests { .. } => "max-requests",
            Decay::MaxMemory { .. } => "max-memory",
            Decay::MaxLag { .. } => "max-lag",
            Decay::Degraded { .. } => "degraded",
            Decay::Said { .. } => "should_retire",
        }
    }
}

impl fmt::Display for Decay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Decay::MaxAge { age_s } => write!(f, "too old at {age_s} s"),
            Decay::MaxRequests { requests } => write!(f, "{requests} requests answered"),
            Decay::MaxMemory { bytes, allowed } => {
                let mib = |bytes| bytes / (1024 * 1024);
                write!(
                    f,
                    "takes {} MiB of memory (allowed: {})",
                    mib(*bytes),
                    mib(*allowed)
                )
            }
            Decay::MaxLag { lag_ms, allowed_ms } => {
                write!(
                    f,
                    "its timers are late by {lag_ms} ms (allowed: {allowed_ms})"
                )
            }
            Decay::Degraded { percent_of_peak } => {
                write!(f, "degraded to {percent_of_peak} % of its peak")
            }
            Decay::Said { why } => f.write_str(why),
        }
    }
}

/// What a worker may come to before it is replaced.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) max_age: Duration,
    pub(crate) max_requests: Option<u64>,
    pub(crate) max_memory: Option<u64>,
    pub(crate) max_lag: Option<Duration>,
    /// HTTP threads of a worker: as many cores can be saturated.
    pub(crate) threads: u32,
}

/// A rule: why the worker is to be replaced, if it holds.
type Rule = fn(&Vitals<'_>, &Limits) -> Option<Decay>;

/// The rules, and for how long each has to hold.
const RULES: [(Rule, u32); 5] = [
    (too_old, 1),
    (has_answered_enough, 1),
    (takes_too_much, IN_A_ROW),
    (is_too_late, IN_A_ROW),
    (is_degraded, IN_A_ROW),
];

/// How often in a row each rule has held for a worker, and which are not heeded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    born: bool,
    held: [u32; RULES.len()],
    unheeded: Vec<&'static str>,
}

/// What comes of a beat.
#[derive(Debug, PartialEq)]
pub(crate) enum Judgement {
    Keep,
    Replace(Decay),
    /// These hold for a worker that has just been born, and are not heeded.
    Unheeded(Vec<Decay>),
}

impl Tally {
    /// The tally of a worker that another master has seen being born.
    pub(crate) fn of_one_adopted() -> Self {
        Tally {
            born: true,
            ..Tally::default()
        }
    }

    /// Looks at a worker after a beat. `decide` has the last word: it is told what the rules say.
    pub(crate) fn judge(
        &mut self,
        vitals: &Vitals<'_>,
        limits: &Limits,
        decide: impl FnOnce(Option<Decay>) -> Option<Decay>,
    ) -> Judgement {
        let mut holding = Vec::new();
        let newborn = !std::mem::replace(&mut self.born, true);
        for ((rule, in_a_row), held) in RULES.iter().zip(&mut self.held) {
            if *in_a_row > 1 && !vitals.is_fresh {
                continue;
            }
            let decay = rule(vitals, limits);
            *held = if decay.is_some() { *held + 1 } else { 0 };
            if newborn || *held >= *in_a_row {
                holding.extend(decay);
            }
        }
        if newborn {
            let said = decide(holding.first().cloned());
            holding.extend(said.filter(|decay| matches!(decay, Decay::Said { .. })));
            self.unheeded = holding.iter().map(Decay::rule).collect();
            return match holding.is_empty() {
                true => Judgement::Keep,
                false => Judgement::Unheeded(holding),
            };
        }
        let heeded = |decay: &Decay| !self.unheeded.contains(&decay.rule());
        let decided = decide(holding.into_iter().find(heeded));
        decided
            .filter(heeded)
            .map_or(Judgement::Keep, Judgement::Replace)
    }
}

/// What this worker may have of something of which `bound` is the least that workers may have.
fn spread(bound: u64, worker: WorkerId) -> u64 {
    // A step of the golden ratio spreads consecutive numbers evenly over the range.
    let place = u64::from(worker.0.wrapping_mul(0x9e37_79b9) >> 16);
    let most = u128::from(bound) * u128::from(SPREAD_PERCENT) / 100;
    let more = most * u128::from(place) / 65_536;
    bound.saturating_add(u64::try_from(more).unwrap_or(u64::MAX))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn too_old(vitals: &Vitals<'_>, limits: &Limits) -> Option<Decay> {
    let age_s = vitals.beat.uptime_ms / 1000;
    let allowed_ms = spread(millis(limits.max_age), vitals.worker);
    (vitals.beat.uptime_ms >= allowed_ms).then_some(Decay::MaxAge { age_s })
}

fn has_answered_enough(vitals: &Vitals<'_>, limits: &Limits) -> Option<Decay> {
    let requests = vitals.beat.requests;
    let enough = spread(limits.max_requests?, vitals.worker);
    (requests >= enough).then_some(Decay::MaxRequests { requests })
}

fn takes_too_much(vitals: &Vitals<'_>, limits: &Limits) -> Option<Decay> {
    let (bytes, allowed) = (vitals.load.memory_bytes, limits.max_memory?);
    (bytes > allowed).then_some(Decay::MaxMemory { bytes, allowed })
}

fn is_too_late(vitals: &Vitals<'_>, limits: &Limits) -> Option<Decay> {
    let (lag, allowed) = (vitals.load.lag, limits.max_lag?);
    (lag > allowed).then(|| Decay::MaxLag {
        lag_ms: millis(lag),
        allowed_ms: millis(allowed),
    })
}

/// The heuristic of cluster2 for Node: a worker at its best is the measure of itself. One that does less with more processor time and
/// more memory, and whose loop is later or whose allocator holds more that nobody uses, does not do less for want of requests.
fn is_degraded(vitals: &Vitals<'_>, limits: &Limits) -> Option<Decay> {
    let (now, peak) = (&vitals.load, vitals.peak.as_ref()?);
    let less = now.tps >= FEW_TPS && now.tps < peak.tps * SHARE_OF_PEAK;
    let no_core_left = now.cores >= SATURATED * f64::from(limits.threads);
    let costly = (now.cores > peak.cores || no_core_left) && now.memory_bytes > peak.memory_bytes;
    let strained = now.lag > peak.lag || now.slack_bytes > peak.slack_bytes;
    (less && costly && strained).then(|| Decay::Degraded {
        // Between 0 and 90.
        percent_of_peak: (now.tps / peak.tps * 100.0) as u8,
    })
}

#[cfg(test)]
mod tests;
