//! The figures of a heartbeat.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::durations::Durations;

/// How a process does: the figures of one heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Beat {
    /// Time since the process began, in milliseconds.
    pub uptime_ms: u64,
    /// Resident memory, in bytes.
    pub rss_bytes: u64,
    /// CPU time used so far, in milliseconds.
    pub cpu_ms: u64,
    /// Open file descriptors.
    pub open_fds: u32,
    /// Threads.
    pub threads: u32,
    /// Connections open now.
    pub live_connections: u32,
    /// Requests answered since the start.
    pub requests: u64,
    /// Requests answered with a 5xx status since the start, panics among them.
    pub errors: u64,
    /// Requests whose handler panicked since the start.
    pub panics: u64,
    /// Requests per second since the last beat.
    pub tps: f64,
    /// Median time of a request since the last beat, in microseconds; 0 without requests.
    pub p50_us: u64,
    /// 99th percentile likewise.
    pub p99_us: u64,
    /// Memory of its own, in bytes: resident and not shared with other processes; 0 where that is not known.
    pub private_bytes: u64,
    /// Memory that the allocator has handed out, in bytes; 0 where it does not say. It is glibc's, or jemalloc with the feature of that name.
    pub allocated_bytes: u64,
    /// Memory that the allocator holds and nobody uses, in bytes.
    pub retained_bytes: u64,
    /// By how much the latest timer of any event loop was late since the last beat, in microseconds.
    pub lag_us: u64,
    /// How long ago each event loop last ran, in milliseconds: that of the main thread first.
    pub loops_silent_ms: Vec<u32>,
    /// Connections accepted since the start.
    pub connections: u64,
    /// Requests answered since the last beat.
    pub recent_requests: u64,
    /// Bytes that wait to be sent: to the master, or in the master to all others.
    pub queued_bytes: u64,
    /// Memory that the allocator has of the system, in bytes, whether it is used or not; 0 where it does not say.
    pub resident_bytes: u64,
    /// The process's share of resident memory, in bytes: what several processes share counts in parts (PSS). As last seen: it is looked at the more
    /// seldom the larger the process is. 0 where that is not known.
    pub pss_bytes: u64,
    /// The time that answers since the last beat took together, in microseconds.
    pub recent_busy_us: u64,
    /// The time of each answer since the start, from the request's head to its answer's head.
    pub answers: Durations,
    /// The time of questions to other processes since the start, of one in [`TIMED_ONE_IN`](crate::TIMED_ONE_IN), until their answer or why there is none.
    pub asks: Durations,
    /// The time of operations on the shared cache since the start, by what they are; as the cache's client says.
    pub cache: BTreeMap<String, Durations>,
}

impl Beat {
    /// The figures as people and operators are shown them: without the counts by bounds, which are many numbers and for `/metrics`.
    pub(crate) fn figures(&self) -> Value {
        let mut figures = serde_json::to_value(self).unwrap_or_default();
        let mut durations: Vec<&mut Value> = Vec::new();
        for (name, value) in figures.as_object_mut().into_iter().flatten() {
            match (name.as_str(), value) {
                ("answers" | "asks", value) => durations.push(value),
                ("cache", Value::Object(operations)) => durations.extend(operations.values_mut()),
                _ => {}
            }
        }
        for one in durations {
            one.as_object_mut().and_then(|one| one.remove("within"));
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durations::DurationCounter;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn people_are_shown_how_often_and_how_long_and_no_buckets() {
        let counter = DurationCounter::new();
        counter.count(Duration::from_micros(3));
        let beat = Beat {
            asks: counter.durations(),
            cache: [("get".to_owned(), counter.durations())].into(),
            ..Beat::default()
        };
        let figures = beat.figures();
        let once = json!({ "count": 1, "total_ns": 3000 });
        assert_eq!(figures["asks"], once);
        assert_eq!(figures["cache"], json!({ "get": once }));
        assert_eq!(figures["answers"], json!({ "count": 0, "total_ns": 0 }));
    }
}
