//! The cluster as its master tells it. What a master of another build does not say is left empty.

use serde::Deserialize;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) build: String,
    pub(crate) state: String,
    pub(crate) crash_loop: Option<String>,
    pub(crate) mark: String,
    pub(crate) wanted: u64,
    pub(crate) serving: u64,
    pub(crate) rolling: bool,
    pub(crate) master: Process,
    pub(crate) cache_manager: Option<Process>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) death_queue: Vec<Queued>,
    pub(crate) upgrade: Option<Upgrade>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Upgrade {
    pub(crate) to: String,
    pub(crate) step: String,
    pub(crate) cause: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) state: String,
    pub(crate) uptime_ms: u64,
    pub(crate) build: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Worker {
    pub(crate) id: u32,
    pub(crate) pid: u32,
    pub(crate) state: String,
    pub(crate) generation: u32,
    pub(crate) uptime_ms: u64,
    pub(crate) build: String,
    pub(crate) suspect: bool,
    pub(crate) linked: bool,
    pub(crate) beat: Option<Beat>,
    pub(crate) isolated: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Beat {
    pub(crate) uptime_ms: u64,
    pub(crate) cpu_ms: u64,
    pub(crate) rss_bytes: u64,
    pub(crate) live_connections: u64,
    pub(crate) tps: f64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) lag_us: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Queued {
    pub(crate) worker: u32,
    pub(crate) reason: String,
    pub(crate) queued_ms: u64,
}
