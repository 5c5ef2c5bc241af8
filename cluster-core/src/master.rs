//! The master.
//!
//! *Owns* the wanted state, the death queue, and what was last heard of each process. *Hears* proxies, the nanny, arrivals at its socket,
//! operators. *Tells* worker proxies.
//!
//! What it decides is pure (`wanted`, `death_queue`, `accidents`, `proxy_state`); what is here carries it out.
//!
//! ```text
//! command ─▶ wanted ─┐
//! event ─▶ view ─────┴▶ reconcile ─▶ one step ─▶ proxies ─▶ processes
//! ```

mod accidents;
mod adopt;
mod cache_manager;
mod commands;
mod death_queue;
mod debugger;
mod debugging;
mod estate;
mod isolation;
mod links;
mod looking;
mod nanny;
mod next_cache;
mod notify;
mod operators;
mod pid_files;
mod process_one;
mod proxy;
mod proxy_state;
mod publish;
mod record;
pub(crate) mod retirement;
mod sockets;
mod spawn;
pub(crate) mod start;
mod steps;
mod told;
mod upgrade;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use actix::{Actor, Addr, AsyncContext, Context, SpawnHandle};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use accidents::{Accidents, Pace};
use adopt::Gathering;
use cache_manager::CacheManager;
use death_queue::DeathQueue;
use nanny::Nanny;
use pid_files::PidFiles;
use proxy::{Ears, WorkerProxy};
use record::RecordFile;
use retirement::Retirement;
use spawn::Spawner;
use upgrade::Upgrade;
use wanted::Wanted;
use wanted::view::WorkerView;

pub use start::MasterError;

use crate::health::policy::Tally;
use crate::health::vitals::History;
use crate::id::{ProcessId, WorkerId};
use crate::node::{Cluster, Mark, ProgressNote, UpgradeState};
use crate::protocol::{Beat, OperationError};
use crate::status::aggregator::StatusAggregator;

/// Messages that may wait for the master by way of `try_send`; see each sender for what happens at the bound.
const MAILBOX: usize = 1024;

/// What was last heard of a worker.
struct Worker {
    view: WorkerView,
    addr: Addr<WorkerProxy>,
    pid: u32,
    started: Instant,
    slots: Vec<usize>,
    build: String,
    linked: bool,
    suspect: bool,
    /// It was started while all were paused, and accepts only when it is told to.
    held: bool,
    /// It has been taken over, and has not handed over yet what it has.
    to_adopt: bool,
    /// Where it alone serves, where it is isolated.
    isolated: Option<String>,
    beat: Option<Beat>,
    history: History,
    tally: Tally,
}

/// Somebody who waits for the end of a restart or a stop.
struct Waiter {
    reply: oneshot::Sender<Result<Value, OperationError>>,
    progress: Option<mpsc::Sender<ProgressNote>>,
}

impl Waiter {
    fn note(&self, done: u32, of: u32, note: &str) {
        if let Some(progress) = &self.progress {
            // A note that finds no place is made good by the next.
            let _ = progress.try_send(ProgressNote {
                done,
                of,
                note: note.to_owned(),
            });
        }
    }
}

type End = Result<(), MasterError>;

/// What is to become of the master.
pub(crate) enum Fate {
    /// All has ended.
    End(End),
    /// It is to be exchanged for the program on disk.
    Exchange,
}

pub(crate) struct Master {
    cluster: Cluster,
    spawner: Spawner,
    wanted: Wanted,
    queue: DeathQueue,
    accidents: Accidents,
    workers: BTreeMap<WorkerId, Worker>,
    next_worker: u32,
    next_operator: u32,
    cache: Option<CacheManager>,
    /// During an upgrade: the one that is to take over, and then the one that has handed over, until it has ended.
    next_cache: Option<CacheManager>,
    mark: Mark,
    /// A stop has been asked for: probes are told "down" before anything else happens.
    leaving: bool,
    /// Whether workers are started yet.
    open: bool,
    /// All workers have been ready once.
    ready: bool,
    rolls: Vec<Waiter>,
    stops: Vec<Waiter>,
    on_ready: Option<oneshot::Sender<End>>,
    /// Tells whoever started the master what becomes of it.
    fate: Option<mpsc::Sender<Fate>>,
    timer: Option<SpawnHandle>,
    pids: PidFiles,
    nanny: Option<Addr<Nanny>>,
    status: Addr<StatusAggregator>,
    ears: Option<Ears>,
    /// Why the last successor did not start, for whoever waits for a restart.
    last_failure: Option<String>,
    retirement: Retirement,
    gathering: Option<Gathering>,
    upgrade: Option<Upgrade>,
    last_upgrade: Option<UpgradeState>,
    made_directory: bool,
    record: RecordFile,
    /// The filters of the log that operators have set: the process's pid, and the filter.
    filters: BTreeMap<ProcessId, (u32, String)>,
    lookers: looking::Lookers,
    /// Who waits for a worker to be isolated.
    isolations: Vec<(WorkerId, Waiter)>,
    /// Workers with a debug server.
    sessions: BTreeMap<WorkerId, debugger::Session>,
    /// Those that the last master had a session with, until they come.
    left_debugged: BTreeSet<WorkerId>,
}

impl Master {
    fn new(
        cluster: Cluster,
        spawner: Spawner,
        pids: PidFiles,
        status: Addr<StatusAggregator>,
        fate: mpsc::Sender<Fate>,
        retirement: Retirement,
        made_directory: bool,
    ) -> Self {
        let workers = cluster.options().workers;
        let record = RecordFile::new(&cluster.node.runtime_dir);
        Master {
            cluster,
            spawner,
            wanted: Wanted::new(workers),
            queue: DeathQueue::default(),
            accidents: Accidents::new(Pace::default()),
            workers: BTreeMap::new(),
            next_worker: 1,
            next_operator: 1,
            cache: None,
            next_cache: None,
            mark: Mark::Up,
            leaving: false,
            open: false,
            ready: false,
            rolls: Vec::new(),
            stops: Vec::new(),
            on_ready: None,
            fate: Some(fate),
            timer: None,
            pids,
            nanny: None,
            status,
            ears: None,
            last_failure: None,
            retirement,
            gathering: None,
            upgrade: None,
            last_upgrade: None,
            made_directory,
            record,
            filters: BTreeMap::new(),
            lookers: looking::Lookers::default(),
            isolations: Vec::new(),
            sessions: BTreeMap::new(),
            left_debugged: BTreeSet::new(),
        }
    }

    fn views(&self) -> Vec<WorkerView> {
        let workers = self.workers.values();
        let view = |worker: &Worker| WorkerView {
            apart: self.wanted.isolated.contains(&worker.view.id),
            ..worker.view
        };
        workers.map(view).collect()
    }
}

impl Actor for Master {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        let me = ctx.address();
        if self.cluster.options().nanny.enable {
            let interval = self.cluster.options().heartbeat_interval;
            let tolerance = self.cluster.options().nanny.tolerance;
            let nanny = Nanny::new(interval, tolerance, me.clone().recipient());
            self.nanny = Some(nanny.start());
        }
        self.ears = Some(Ears {
            master: me.recipient(),
            nanny: self.nanny.clone().map(Addr::recipient),
            offered: self.status.clone().recipient(),
            departed: self.status.clone().recipient(),
        });
        self.publish();
    }
}
