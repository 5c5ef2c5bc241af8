//! What has happened since this master began, as its monitor remembers it: the last events, the figures of the last ten minutes, and counts that
//! outlive the workers they are of.
//!
//! All of it is bounded, and gone with the master.

mod track;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use cluster_core::sys::Exit;
use cluster_core::{Beat, Cluster, Durations, Event, WorkerId, events};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Notify;

use track::Track;
pub(super) use track::{POINTS, SPAN};

/// Events that are remembered; the oldest give way.
const EVENTS: usize = 200;
/// Kinds of an end, or of a reason, that are counted apart; further ones are counted as `other`.
const KINDS: usize = 64;
/// Workers whose figures are kept: more than there can be at once, those on their way out included.
const WORKERS: usize = 2048;

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Entry {
    /// Its number, from 1.
    pub(super) seq: u64,
    /// When, in milliseconds since 1970.
    pub(super) at: u64,
    /// A word of few: `listening`, `died`.
    pub(super) what: &'static str,
    /// Of which worker, where it is of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) worker: Option<WorkerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pid: Option<u32>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) text: String,
    /// It is no good news.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) bad: bool,
}

/// What is counted of workers, whether they live or not.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) panics: u64,
    pub(super) connections: u64,
    pub(super) cpu_ms: u64,
    pub(super) answers: Durations,
    pub(super) asks: Durations,
    pub(super) cache: BTreeMap<String, Durations>,
}

impl Totals {
    pub(super) fn add(&mut self, beat: &Beat) {
        self.requests += beat.requests;
        self.errors += beat.errors;
        self.panics += beat.panics;
        self.connections += beat.connections;
        self.cpu_ms += beat.cpu_ms;
        self.answers.add(&beat.answers);
        self.asks.add(&beat.asks);
        self.add_cache(&beat.cache);
    }

    pub(super) fn add_cache(&mut self, cache: &BTreeMap<String, Durations>) {
        for (operation, durations) in cache {
            if self.cache.len() < KINDS || self.cache.contains_key(operation) {
                let sum = self.cache.entry(operation.clone()).or_default();
                sum.add(durations);
            }
        }
    }
}

/// Counts of what happens to workers.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) started: u64,
    pub(super) listening: u64,
    /// By the step that failed.
    pub(super) failed_starts: BTreeMap<String, u64>,
    /// By the reason.
    pub(super) retirements: BTreeMap<String, u64>,
    /// By how they ended, and whether by themselves.
    pub(super) deaths: BTreeMap<(String, bool), u64>,
}

fn count<K: Ord>(counts: &mut BTreeMap<K, u64>, kind: K, other: K) {
    let kind = if counts.len() < KINDS || counts.contains_key(&kind) {
        kind
    } else {
        other
    };
    *counts.entry(kind).or_default() += 1;
}

/// What is remembered.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) events: VecDeque<Entry>,
    pub(super) counts: Counts,
    /// What workers had done that are gone.
    pub(super) departed: Totals,
    tracks: BTreeMap<WorkerId, Track>,
    last: u64,
}

impl Memory {
    pub(super) fn track(&self, worker: WorkerId) -> Option<&Track> {
        self.tracks.get(&worker)
    }

    /// The last heartbeats of those that have not ended.
    pub(super) fn beats(&self) -> impl Iterator<Item = (WorkerId, &Beat)> {
        self.tracks.iter().map(|(id, track)| (*id, &track.beat))
    }

    /// The number of the last event.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The events after one of this number.
    pub(super) fn since(&self, seq: u64) -> impl Iterator<Item = &Entry> {
        self.events.iter().filter(move |entry| entry.seq > seq)
    }

    fn enter(
        &mut self,
        what: &'static str,
        worker: Option<(WorkerId, u32)>,
        text: String,
        bad: bool,
    ) {
        self.last += 1;
        let entry = Entry {
            seq: self.last,
            at: unix_ms(SystemTime::now()),
            what,
            worker: worker.map(|(id, _)| id),
            pid: worker.map(|(_, pid)| pid),
            text,
            bad,
        };
        if self.events.len() >= EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(entry);
    }

    fn beat(&mut self, worker: WorkerId, beat: Beat, now: Instant) {
        if let Some(track) = self.tracks.get_mut(&worker) {
            track.note(beat, now);
        } else if self.tracks.len() < WORKERS {
            self.tracks.insert(worker, Track::new(beat, now));
        }
    }

    fn died(&mut self, worker: WorkerId, exit: Exit, accident: bool) {
        if let Some(track) = self.tracks.remove(&worker) {
            self.departed.add(&track.beat);
        }
        let how = match exit {
            Exit::Code(code) => format!("code {code}"),
            Exit::Signal(number) => format!("signal {number}"),
            Exit::Unknown => "unknown".to_owned(),
        };
        count(
            &mut self.counts.deaths,
            (how, accident),
            ("other".to_owned(), accident),
        );
    }
}

/// The memory, filled by what the cluster tells. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Chronicle {
    memory: Arc<Mutex<Memory>>,
    happened: Arc<Notify>,
}

impl Chronicle {
    /// Listens from now on.
    pub(super) fn begin(cluster: &Cluster) -> Self {
        let chronicle = Chronicle::default();
        chronicle.on(cluster, |memory, e: events::Heartbeat| {
            memory.beat(e.worker, e.beat, Instant::now());
            false
        });
        chronicle.on(cluster, |memory, e: events::WorkerWarming| {
            memory.counts.started += 1;
            memory.enter(
                "warming",
                Some((e.worker, e.pid)),
                format!("generation {}", e.generation),
                false,
            );
            true
        });
        chronicle.on(cluster, |memory, e: events::WarmUpFailed| {
            let step = e
                .step
                .map_or_else(|| "start".to_owned(), |step| step.to_string());
            memory.enter(
                "start failed",
                Some((e.worker, e.pid)),
                format!("{step}: {}", e.cause),
                true,
            );
            count(&mut memory.counts.failed_starts, step, "other".to_owned());
            true
        });
        chronicle.on(cluster, |memory, e: events::Listening| {
            memory.counts.listening += 1;
            memory.enter("listening", Some((e.worker, e.pid)), String::new(), false);
            true
        });
        chronicle.on(cluster, |memory, e: events::Paused| {
            memory.enter("paused", Some((e.worker, e.pid)), String::new(), false);
            true
        });
        chronicle.on(cluster, |memory, e: events::Resumed| {
            memory.enter("resumed", Some((e.worker, e.pid)), String::new(), false);
            true
        });
        chronicle.on(cluster, |memory, e: events::Retiring| {
            let reason = e.reason.unwrap_or_else(|| "no longer needed".to_owned());
            memory.enter("retiring", Some((e.worker, e.pid)), reason, false);
            count(&mut memory.counts.retirements, e.kind, "other".to_owned());
            true
        });
        chronicle.on(cluster, |memory, e: events::Died| {
            memory.died(e.worker, e.exit, e.accident);
            memory.enter(
                "died",
                Some((e.worker, e.pid)),
                e.exit.to_string(),
                e.accident,
            );
            true
        });
        chronicle.on(cluster, |memory, _: events::MarkedUp| {
            memory.enter("marked up", None, String::new(), false);
            true
        });
        chronicle.on(cluster, |memory, _: events::MarkedDown| {
            memory.enter("marked down", None, String::new(), true);
            true
        });
        chronicle
    }

    /// Calls `hear` for each event; where it says so, whoever waits for news is told.
    fn on<E: Event>(
        &self,
        cluster: &Cluster,
        hear: impl Fn(&mut Memory, E) -> bool + Send + Sync + 'static,
    ) {
        let Chronicle { memory, happened } = self.clone();
        let heard = cluster.emitter().on(move |event: E, _| {
            if hear(&mut memory.lock(), event) {
                happened.notify_waiters();
            }
        });
        heard.forever();
    }

    /// Looks at what is remembered; for a moment, and without waiting.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Memory) -> T) -> T {
        look(&self.memory.lock())
    }

    /// Resolves at the next event that is no heartbeat.
    pub(super) async fn happens(&self) {
        self.happened.notified().await;
    }
}

/// A moment, in milliseconds since 1970.
pub(super) fn unix_ms(at: SystemTime) -> u64 {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster_core::DurationCounter;
    use std::time::Duration;

    fn beat(requests: u64) -> Beat {
        let mut beat = Beat::default();
        beat.requests = requests;
        let counter = DurationCounter::default();
        (0..requests).for_each(|ms| counter.count(Duration::from_millis(ms)));
        beat.cache.insert("get".to_owned(), counter.durations());
        beat.answers = counter.durations();
        beat
    }

    #[test]
    fn what_a_worker_had_done_outlives_it() {
        let mut memory = Memory::default();
        let now = Instant::now();
        memory.beat(WorkerId(1), beat(3), now);
        memory.beat(WorkerId(1), beat(8), now);
        memory.beat(WorkerId(2), beat(1), now);
        memory.died(WorkerId(1), Exit::Signal(9), true);
        memory.died(WorkerId(7), Exit::Code(0), false);
        assert_eq!((memory.departed.requests, memory.beats().count()), (8, 1));
        assert_eq!(memory.departed.answers, beat(8).answers);
        assert_eq!(memory.departed.cache, beat(8).cache);
        assert_eq!(memory.counts.deaths[&("signal 9".to_owned(), true)], 1);
    }

    #[test]
    fn all_that_is_remembered_is_bounded() {
        let mut memory = Memory::default();
        for n in 0..3000 {
            memory.enter("listening", None, String::new(), false);
            memory.beat(WorkerId(n), Beat::default(), Instant::now());
            count(
                &mut memory.counts.retirements,
                n.to_string(),
                "other".to_owned(),
            );
        }
        assert_eq!(
            (memory.events.len(), memory.tracks.len()),
            (EVENTS, WORKERS)
        );
        assert_eq!(memory.counts.retirements.len(), KINDS + 1);
        assert_eq!(memory.counts.retirements["other"], 3000 - KINDS as u64);
        assert_eq!((memory.last(), memory.since(2990).count()), (3000, 10));
    }
}
