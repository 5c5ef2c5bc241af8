//! The cluster as the page shows it, in one value. A moment is told as such, and not as the time since, so that what does not change is not told again.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use cluster_cache::Stat;
use cluster_core::{ClusterState, EcvMode, Options, ProcessState};
use serde_json::{Map, Value, json};

use crate::ecv;
use crate::monitor::chronicle::{Memory, unix_ms};

/// What a moment of this process's clock is in milliseconds since 1970: always the same for the same moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    here: Instant,
    there: SystemTime,
}

impl Clock {
    pub(super) fn begin() -> Self {
        Clock {
            here: Instant::now(),
            there: SystemTime::now(),
        }
    }

    fn at(self, moment: Instant) -> u64 {
        let at = match moment.checked_duration_since(self.here) {
            Some(later) => self.there.checked_add(later),
            None => self
                .there
                .checked_sub(self.here.saturating_duration_since(moment)),
        };
        at.map_or(0, unix_ms)
    }
}

pub(super) fn picture(
    clock: Clock,
    options: &Options,
    state: &ClusterState,
    memory: &Memory,
    caches: &BTreeMap<String, Stat>,
) -> Value {
    let queue = state.death_queue.iter().map(|entry| {
        json!({ "worker": entry.worker, "reason": entry.reason, "since": clock.at(entry.since) })
    });
    let queue: Vec<Value> = queue.collect();
    json!({
        "cluster": cluster(clock, options, state),
        "workers": workers(clock, state, memory),
        "queue": queue,
        "caches": caches,
    })
}

fn cluster(clock: Clock, options: &Options, state: &ClusterState) -> Value {
    let verdict = ecv::standing(state, options.ecv.min);
    json!({
        "name": state.name,
        "build": state.build,
        "state": state.state,
        "crash_loop": state.crash_loop,
        "mark": state.mark,
        // Who is marked by an operator, and not by a probe alone.
        "marked_here": !options.ecv.disabled && options.ecv.mode == EcvMode::Control,
        "ready": verdict.is_up(),
        "verdict": verdict.to_string(),
        "wanted": state.wanted,
        "serving": state.serving(),
        "rolling": state.rolling,
        "upgrade": state.upgrade,
        "master": process(clock, &state.master),
        "cache_manager": state.cache_manager.as_ref().map(|manager| process(clock, manager)),
    })
}

fn process(clock: Clock, process: &ProcessState) -> Value {
    json!({
        "pid": process.pid,
        "state": process.state,
        "started": clock.at(process.started),
        "log_filter": process.log_filter,
    })
}

fn workers(clock: Clock, state: &ClusterState, memory: &Memory) -> Map<String, Value> {
    let workers = state.workers.iter().map(|worker| {
        let mut row = json!({
            "pid": worker.pid,
            "state": worker.state,
            "generation": worker.generation,
            "started": clock.at(worker.started),
            "suspect": worker.suspect,
            "linked": worker.linked,
        });
        if worker.build != state.build && !worker.build.is_empty() {
            row["build"] = json!(worker.build);
        }
        let debugging = [
            ("isolated", &worker.isolated),
            ("debugger", &worker.debugger),
            ("log_filter", &worker.log_filter),
        ];
        for (name, value) in debugging {
            if let Some(value) = value {
                row[name] = json!(value);
            }
        }
        if let Some(track) = memory.track(worker.id) {
            let beat = &track.beat;
            row["tps"] = json!((beat.tps * 10.0).round() / 10.0);
            row["p50"] = json!(beat.p50_us);
            row["p99"] = json!(beat.p99_us);
            row["cpu"] = json!(track.cpu);
            row["memory"] = json!(beat.rss_bytes / 1024);
            row["connections"] = json!(beat.live_connections);
            row["lag"] = json!(beat.lag_us);
            row["requests"] = json!(beat.requests);
            row["errors"] = json!(beat.errors);
        }
        (worker.id.to_string(), row)
    });
    workers.collect()
}
