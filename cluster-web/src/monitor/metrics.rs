//! `/metrics`: the cluster for Prometheus. Names are kept; what is counted goes on where a worker takes another's place, and begins anew with the master.

mod exposition;

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use actix_web::HttpResponse;
use actix_web::web::{self, Data, ServiceConfig};
use cluster_cache::Stat;
use cluster_core::sys::Usage;
use cluster_core::{Beat, Cluster, ClusterState, NodeState};

use self::exposition::{Exposition, Kind, Kind::*};
use super::caches;
use super::chronicle::{Chronicle, Counts, Memory, Totals};
use crate::ecv;

pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(web::resource("/metrics").route(web::get().to(metrics)));
}

async fn metrics(cluster: Data<Cluster>, chronicle: Data<Chronicle>) -> HttpResponse {
    let caches = caches::figures(&cluster).await;
    let state = cluster.state();
    let mut out = Exposition::default();
    node(&mut out, &state, cluster.options().ecv.min);
    chronicle.look(|memory| {
        workers(&mut out, &state, memory);
        together(&mut out, memory, &cluster);
        lifecycle(&mut out, &memory.counts);
    });
    namespaces(&mut out, &caches);
    bridge(&mut out, &cluster);
    process(&mut out, &state);
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(out.text())
}

fn node(out: &mut Exposition, state: &ClusterState, min: u32) {
    out.family(
        "cluster_info",
        Gauge,
        "The cluster and the build of its master.",
    );
    out.sample(&[("name", &state.name), ("build", &state.build)], 1);
    out.family(
        "cluster_ready",
        Gauge,
        "Whether the node takes requests: 1 or 0.",
    );
    out.sample(&[], u8::from(ecv::standing(state, min).is_up()));
    out.family(
        "cluster_state",
        Gauge,
        "How the cluster is as a whole: 1 for the state that it is in.",
    );
    let states = [
        ("starting", NodeState::Starting),
        ("running", NodeState::Running),
        ("degraded", NodeState::Degraded),
        ("stopping", NodeState::Stopping),
    ];
    for (name, one) in states {
        out.sample(&[("state", name)], u8::from(state.state == one));
    }
    out.family(
        "cluster_workers_wanted",
        Gauge,
        "Workers that there are to be.",
    );
    out.sample(&[], state.wanted);
    out.family("cluster_workers", Gauge, "Workers by state.");
    for name in ["forked", "warming", "active", "paused", "retiring"] {
        let count = state
            .workers
            .iter()
            .filter(|worker| worker.state == name)
            .count();
        out.sample(&[("state", name)], count);
    }
    out.family(
        "cluster_death_queue_length",
        Gauge,
        "Workers that are to be replaced.",
    );
    out.sample(&[], state.death_queue.len());
}

/// A figure of a heartbeat, and what it is called for each worker.
type Figure = (&'static str, Kind, &'static str, fn(&Beat) -> f64);

const FIGURES: [Figure; 14] = [
    (
        "cluster_worker_requests_total",
        Counter,
        "Requests answered.",
        |b| number(b.requests),
    ),
    (
        "cluster_worker_request_errors_total",
        Counter,
        "Requests answered with a status of 500 or above.",
        |b| number(b.errors),
    ),
    (
        "cluster_worker_request_panics_total",
        Counter,
        "Requests whose handler panicked.",
        |b| number(b.panics),
    ),
    (
        "cluster_worker_connections_total",
        Counter,
        "Connections accepted.",
        |b| number(b.connections),
    ),
    (
        "cluster_worker_live_connections",
        Gauge,
        "Connections open now.",
        |b| f64::from(b.live_connections),
    ),
    (
        "cluster_worker_cpu_seconds_total",
        Counter,
        "Processor time used.",
        |b| number(b.cpu_ms) / 1e3,
    ),
    (
        "cluster_worker_resident_memory_bytes",
        Gauge,
        "Resident memory.",
        |b| number(b.rss_bytes),
    ),
    (
        "cluster_worker_private_memory_bytes",
        Gauge,
        "Resident memory that is not shared with other processes.",
        |b| number(b.private_bytes),
    ),
    (
        "cluster_worker_allocated_memory_bytes",
        Gauge,
        "Memory that the allocator has handed out.",
        |b| number(b.allocated_bytes),
    ),
    (
        "cluster_worker_open_fds",
        Gauge,
        "Open file descriptors.",
        |b| f64::from(b.open_fds),
    ),
    ("cluster_worker_threads", Gauge, "Threads.", |b| {
        f64::from(b.threads)
    }),
    (
        "cluster_worker_event_loop_lag_seconds",
        Gauge,
        "By how much the latest timer was late between two heartbeats.",
        |b| number(b.lag_us) / 1e6,
    ),
    (
        "cluster_worker_queued_bytes",
        Gauge,
        "Bytes that wait to be sent to the master.",
        |b| number(b.queued_bytes),
    ),
    (
        "cluster_worker_uptime_seconds",
        Gauge,
        "Time since the process began.",
        |b| number(b.uptime_ms) / 1e3,
    ),
];

fn workers(out: &mut Exposition, state: &ClusterState, memory: &Memory) {
    let beats: Vec<(String, &Beat)> = memory
        .beats()
        .map(|(id, beat)| (id.to_string(), beat))
        .collect();
    for (name, kind, help, figure) in FIGURES {
        out.family(name, kind, help);
        for (id, beat) in &beats {
            out.sample(&[("worker", id)], figure(beat));
        }
    }
    out.family(
        "cluster_worker_request_duration_seconds",
        Histogram,
        "Time from the head of a request to the head of its answer.",
    );
    for (id, beat) in &beats {
        out.histogram(&[("worker", id)], &beat.answers);
    }
    out.family(
        "cluster_worker_bridge_ask_duration_seconds",
        Histogram,
        "Time from a question to another process until its answer or why there is none; one in 16 is timed.",
    );
    for (id, beat) in &beats {
        out.histogram(&[("worker", id)], &beat.asks);
    }
    out.family(
        "cluster_worker_cache_operation_duration_seconds",
        Histogram,
        CACHE_OPERATIONS,
    );
    for (id, beat) in &beats {
        for (operation, durations) in &beat.cache {
            let labels = [("worker", id.as_str()), ("operation", operation)];
            out.histogram(&labels, durations);
        }
    }
    out.family(
        "cluster_worker_generation",
        Gauge,
        "How many times the cluster had been rolled when the worker was started.",
    );
    for worker in &state.workers {
        out.sample(&[("worker", &worker.id.to_string())], worker.generation);
    }
}

/// What operations on the cache are, and which of them are timed: as [`cluster_cache::durations`] says.
const CACHE_OPERATIONS: &str = "Time of operations on the shared cache as who asks sees it, what copies answer apart; of get, set and session one in 16 is timed, each delete and load.";

/// What all workers have done, those that are gone too; and of what the master does as they do, it as well.
fn together(out: &mut Exposition, memory: &Memory, cluster: &Cluster) {
    let mut sum: Totals = memory.departed.clone();
    for (_, beat) in memory.beats() {
        sum.add(beat);
    }
    sum.asks.add(&cluster.emitter().asks());
    sum.add_cache(&cluster_cache::durations());
    let totals = [
        (
            "cluster_requests_total",
            "Requests answered by all workers.",
            number(sum.requests),
        ),
        (
            "cluster_request_errors_total",
            "Of those, answered with a status of 500 or above.",
            number(sum.errors),
        ),
        (
            "cluster_request_panics_total",
            "Of those, whose handler panicked.",
            number(sum.panics),
        ),
        (
            "cluster_connections_total",
            "Connections accepted by all workers.",
            number(sum.connections),
        ),
        (
            "cluster_cpu_seconds_total",
            "Processor time used by all workers.",
            number(sum.cpu_ms) / 1e3,
        ),
    ];
    for (name, help, value) in totals {
        out.family(name, Counter, help);
        out.sample(&[], value);
    }
    out.family(
        "cluster_request_duration_seconds",
        Histogram,
        "Time from the head of a request to the head of its answer, in all workers.",
    );
    out.histogram(&[], &sum.answers);
    out.family(
        "cluster_bridge_ask_duration_seconds",
        Histogram,
        "Time from a question to another process until its answer or why there is none, of all workers and the master; one in 16 is timed.",
    );
    out.histogram(&[], &sum.asks);
    out.family(
        "cluster_cache_operation_duration_seconds",
        Histogram,
        CACHE_OPERATIONS,
    );
    for (operation, durations) in &sum.cache {
        out.histogram(&[("operation", operation)], durations);
    }
}

fn lifecycle(out: &mut Exposition, counts: &Counts) {
    out.family(
        "cluster_worker_starts_total",
        Counter,
        "Workers that have been started and have connected.",
    );
    out.sample(&[], counts.started);
    out.family(
        "cluster_worker_listening_total",
        Counter,
        "Workers that have come to serve.",
    );
    out.sample(&[], counts.listening);
    out.family(
        "cluster_worker_failed_starts_total",
        Counter,
        "Workers that never served, by the step that failed.",
    );
    for (step, count) in &counts.failed_starts {
        out.sample(&[("step", step)], count);
    }
    out.family(
        "cluster_worker_retirements_total",
        Counter,
        "Workers that were told to end, by the reason.",
    );
    for (reason, count) in &counts.retirements {
        out.sample(&[("reason", reason)], count);
    }
    out.family(
        "cluster_worker_deaths_total",
        Counter,
        "Workers that have ended, by how, and whether by themselves.",
    );
    for ((how, accident), count) in &counts.deaths {
        let accident = if *accident { "true" } else { "false" };
        out.sample(&[("exit", how), ("accident", accident)], count);
    }
}

type CacheFigure = (&'static str, Kind, &'static str, fn(&Stat) -> u64);

const CACHE_FIGURES: [CacheFigure; 11] = [
    (
        "cluster_cache_hits_total",
        Counter,
        "Reads that found a value.",
        |s| s.hits,
    ),
    (
        "cluster_cache_misses_total",
        Counter,
        "Reads that found none.",
        |s| s.misses,
    ),
    (
        "cluster_cache_loads_total",
        Counter,
        "Loads that brought a value, or that there is none.",
        |s| s.loads,
    ),
    (
        "cluster_cache_load_errors_total",
        Counter,
        "Loads that failed.",
        |s| s.errors,
    ),
    (
        "cluster_cache_evicted_total",
        Counter,
        "Entries that gave way to others.",
        |s| s.evicted,
    ),
    (
        "cluster_cache_expired_total",
        Counter,
        "Entries whose time was over.",
        |s| s.expired,
    ),
    ("cluster_cache_entries", Gauge, "Entries now.", |s| {
        s.entries
    }),
    ("cluster_cache_size_bytes", Gauge, "What they take.", |s| {
        s.bytes
    }),
    ("cluster_cache_loading", Gauge, "Loads under way.", |s| {
        s.loading
    }),
    ("cluster_cache_waiting", Gauge, "Who wait for them.", |s| {
        s.waiting
    }),
    ("cluster_cache_watches", Gauge, "Watches.", |s| s.watches),
];

fn namespaces(out: &mut Exposition, caches: &BTreeMap<String, Stat>) {
    for (name, kind, help, figure) in CACHE_FIGURES {
        out.family(name, kind, help);
        for (namespace, stat) in caches {
            out.sample(&[("namespace", namespace)], figure(stat));
        }
    }
}

fn bridge(out: &mut Exposition, cluster: &Cluster) {
    let counters = cluster.emitter().counters();
    let all = [
        (
            "cluster_bridge_events_heard_total",
            "Events that somebody in the master listened to.",
            counters.heard,
        ),
        (
            "cluster_bridge_events_unheard_total",
            "Events that reached the master and nobody listened to.",
            counters.unheard,
        ),
        (
            "cluster_bridge_undecodable_total",
            "Messages that could not be read.",
            counters.undecodable,
        ),
        (
            "cluster_bridge_dropped_total",
            "Messages dropped at a full queue, or for want of their receiver.",
            counters.dropped,
        ),
        (
            "cluster_bridge_late_answers_total",
            "Answers that came after their deadline.",
            counters.late_answers,
        ),
        (
            "cluster_bridge_unknown_kinds_total",
            "Frames of kinds that the master does not know.",
            counters.unknown_kinds,
        ),
    ];
    for (name, help, value) in all {
        out.family(name, Counter, help);
        out.sample(&[], value);
    }
}

/// The master's own process, under the names that all exporters use.
fn process(out: &mut Exposition, state: &ClusterState) {
    let usage = Usage::sample().unwrap_or_default();
    let since = Instant::now().saturating_duration_since(state.master.started);
    let began = SystemTime::now()
        .checked_sub(since)
        .and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    out.family(
        "process_cpu_seconds_total",
        Counter,
        "Processor time used, in user and kernel mode.",
    );
    out.sample(&[], usage.cpu_time.as_secs_f64());
    out.family("process_resident_memory_bytes", Gauge, "Resident memory.");
    out.sample(&[], usage.rss_bytes);
    out.family("process_open_fds", Gauge, "Open file descriptors.");
    out.sample(&[], usage.open_fds);
    out.family("process_threads", Gauge, "Threads.");
    out.sample(&[], usage.threads);
    out.family(
        "process_start_time_seconds",
        Gauge,
        "When the process began, in seconds since 1970.",
    );
    out.sample(&[], began.unwrap_or_default().as_secs_f64());
}

/// Numbers beyond 2^53 lose their last digits, as they do in Prometheus.
#[allow(clippy::cast_precision_loss)]
fn number(n: u64) -> f64 {
    n as f64
}
