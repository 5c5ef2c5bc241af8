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
mod cache_manager;
mod commands;
mod death_queue;
mod links;
mod nanny;
mod notify;
mod operators;
mod pid_files;
mod process_one;
mod proxy;
mod proxy_state;
mod publish;
pub(crate) mod retirement;
mod sockets;
mod spawn;
pub(crate) mod start;
mod steps;
mod told;
mod wanted;

use std::collections::BTreeMap;
use std::time::Instant;

use actix::{Actor, Addr, AsyncContext, Context, SpawnHandle};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use accidents::{Accidents, Pace};
use cache_manager::CacheManager;
use death_queue::DeathQueue;
use nanny::Nanny;
use pid_files::PidFiles;
use proxy::{Ears, WorkerProxy};
use retirement::Retirement;
use spawn::Spawner;
use wanted::Wanted;
use wanted::view::WorkerView;

pub use start::MasterError;

use crate::health::policy::Tally;
use crate::health::vitals::History;
use crate::id::WorkerId;
use crate::node::{Cluster, Mark, ProgressNote};
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
    on_end: Option<oneshot::Sender<End>>,
    timer: Option<SpawnHandle>,
    pids: PidFiles,
    nanny: Option<Addr<Nanny>>,
    status: Addr<StatusAggregator>,
    ears: Option<Ears>,
    /// Why the last successor did not start, for whoever waits for a restart.
    last_failure: Option<String>,
    retirement: Retirement,
}

impl Master {
    fn new(
        cluster: Cluster,
        spawner: Spawner,
        pids: PidFiles,
        status: Addr<StatusAggregator>,
        on_end: oneshot::Sender<End>,
        retirement: Retirement,
    ) -> Self {
        let workers = cluster.options().workers;
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
            mark: Mark::Up,
            leaving: false,
            open: false,
            ready: false,
            rolls: Vec::new(),
            stops: Vec::new(),
            on_ready: None,
            on_end: Some(on_end),
            timer: None,
            pids,
            nanny: None,
            status,
            ears: None,
            last_failure: None,
            retirement,
        }
    }

    fn views(&self) -> Vec<WorkerView> {
        self.workers.values().map(|worker| worker.view).collect()
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
