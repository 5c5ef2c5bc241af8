//! The whole cluster in one record, as the master publishes it and `GET /status` shows it.

use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::id::{Generation, WorkerId};
use crate::protocol::Beat;

/// How the cluster is as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeState {
    /// Not all workers have been ready once.
    Starting,
    /// All is as wanted, or on its way there.
    Running,
    /// Workers die faster than they should.
    Degraded,
    /// It is about to end.
    Stopping,
}

/// What an operator says of the node's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Probes get its true state.
    Up,
    /// Probes are told "down".
    Down,
}

/// One worker.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct WorkerState {
    /// Its number.
    pub id: WorkerId,
    /// Its pid.
    pub pid: u32,
    /// What it is doing: forked, warming, active, paused, isolated, retiring.
    pub state: String,
    /// The generation in which it was started.
    pub generation: Generation,
    /// Since when it runs.
    #[serde(rename = "uptime_ms", serialize_with = "elapsed_ms")]
    pub started: Instant,
    /// The build that it runs; empty until it has connected.
    pub build: String,
    /// It has missed two heartbeats or more.
    pub suspect: bool,
    /// Whether it is linked to the master at this moment.
    pub linked: bool,
    /// Its last heartbeat; without counts by bounds where it is serialized.
    #[serde(serialize_with = "figures")]
    pub beat: Option<Beat>,
    /// Where it alone serves, for whoever debugs it, where it is isolated.
    pub isolated: Option<String>,
    /// The command that connects a debugger to it, where a debug server is attached.
    pub debugger: Option<String>,
    /// What an operator has it log: levels per target.
    pub log_filter: Option<String>,
}

/// The master or the cache manager.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ProcessState {
    /// Its pid.
    pub pid: u32,
    /// What it is doing.
    pub state: String,
    /// Since when it runs.
    #[serde(rename = "uptime_ms", serialize_with = "elapsed_ms")]
    pub started: Instant,
    /// The build that it runs; empty until it has connected.
    pub build: String,
    /// What an operator has it log: levels per target.
    pub log_filter: Option<String>,
}

/// A worker that is to be replaced.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct QueueEntry {
    /// Which worker.
    pub worker: WorkerId,
    /// Why.
    pub reason: String,
    /// For how long it has been queued.
    #[serde(rename = "queued_ms", serialize_with = "elapsed_ms")]
    pub since: Instant,
}

/// How far the last upgrade is, or how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UpgradeState {
    /// The generation of its workers, which tells it from earlier ones.
    #[serde(default)]
    pub generation: Generation,
    /// The build that all processes ran before.
    pub from: String,
    /// The build that they are to run.
    pub to: String,
    /// How far it is.
    pub step: UpgradeStep,
    /// Why it has failed.
    pub cause: Option<String>,
}

/// The steps of an upgrade, in their order, and its two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UpgradeStep {
    /// Workers are replaced, one at a time.
    Workers,
    /// The cache manager hands over.
    CacheManager,
    /// The master is exchanged in place.
    Master,
    /// All processes run the new build.
    Done,
    /// It has failed, and workers of the new build are replaced.
    PuttingBack,
    /// It has failed; all that could be put back runs the old build.
    Failed,
}

/// The cluster at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClusterState {
    /// Its name.
    pub name: String,
    /// The build of the master.
    pub build: String,
    /// How it is as a whole.
    pub state: NodeState,
    /// Why it is degraded.
    pub crash_loop: Option<String>,
    /// What an operator says of its health.
    pub mark: Mark,
    /// The number of workers wanted.
    pub wanted: u32,
    /// Whether all workers are being replaced, by a rolling restart.
    pub rolling: bool,
    /// The master.
    pub master: ProcessState,
    /// The cache manager, where there is one.
    pub cache_manager: Option<ProcessState>,
    /// The socket at which the cache is reached, where there is a cache.
    pub cache_socket: Option<PathBuf>,
    /// The directory of log files, where the log goes to files.
    pub log_dir: Option<PathBuf>,
    /// Workers that have not ended, in the order of their numbers.
    pub workers: Vec<WorkerState>,
    /// Workers to be replaced, the next one first.
    pub death_queue: Vec<QueueEntry>,
    /// The last upgrade, where there was one.
    pub upgrade: Option<UpgradeState>,
}

impl ClusterState {
    pub(crate) fn starting(name: &str) -> Self {
        ClusterState {
            name: name.to_owned(),
            build: crate::build::id().to_owned(),
            state: NodeState::Starting,
            crash_loop: None,
            mark: Mark::Up,
            wanted: 0,
            rolling: false,
            master: ProcessState {
                pid: std::process::id(),
                state: "active".to_owned(),
                started: Instant::now(),
                build: crate::build::id().to_owned(),
                log_filter: None,
            },
            cache_manager: None,
            cache_socket: None,
            log_dir: None,
            workers: Vec::new(),
            death_queue: Vec::new(),
            upgrade: None,
        }
    }

    /// Workers that serve at this moment.
    pub fn serving(&self) -> usize {
        self.workers.iter().filter(|w| w.state == "active").count()
    }
}

impl Serialize for ClusterState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("ClusterState", 14)?;
        out.serialize_field("name", &self.name)?;
        out.serialize_field("build", &self.build)?;
        out.serialize_field("state", &self.state)?;
        out.serialize_field("crash_loop", &self.crash_loop)?;
        out.serialize_field("mark", &self.mark)?;
        out.serialize_field("wanted", &self.wanted)?;
        out.serialize_field("serving", &self.serving())?;
        out.serialize_field("rolling", &self.rolling)?;
        out.serialize_field("time", &unix_ms())?;
        out.serialize_field("master", &self.master)?;
        out.serialize_field("cache_manager", &self.cache_manager)?;
        out.serialize_field("cache_socket", &self.cache_socket)?;
        out.serialize_field("log_dir", &self.log_dir)?;
        out.serialize_field("workers", &self.workers)?;
        out.serialize_field("death_queue", &self.death_queue)?;
        out.serialize_field("upgrade", &self.upgrade)?;
        out.end()
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn figures<S: Serializer>(beat: &Option<Beat>, serializer: S) -> Result<S::Ok, S::Error> {
    beat.as_ref().map(Beat::figures).serialize(serializer)
}

fn elapsed_ms<S: Serializer>(since: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX))
}
