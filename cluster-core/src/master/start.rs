//! The master from its first moment until the cluster serves, and its end.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use actix::{Actor, Addr};
use futures_util::future::LocalBoxFuture;
use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use super::adopt::Gather;
use super::commands::{Open, Operate, StartCache};
use super::estate::Estate;
use super::links::Arrived;
use super::pid_files::PidFiles;
use super::record::RecordFile;
use super::retirement::{Retirement, ShouldRetire};
use super::sockets::{self, Given, SocketFile};
use super::spawn::Spawner;
use super::upgrade::ExecFailed;
use super::{End, Fate, Master, notify, process_one};
use crate::bridge::listener;
use crate::emitter::hub::{Hub, Routes};
use crate::health::heartbeat::Sampler;
use crate::id::{Generation, ProcessId, Role};
use crate::node::{Cluster, OPERATIONS, builtin};
use crate::options::Options;
use crate::protocol::Operation;
use crate::status::aggregator::{Offered, StatusAggregator};
use crate::sys::signal::{Signal, Signals};
use crate::sys::{ListenFdsError, RuntimeDir, RuntimeDirError, SocketError, socket};
use crate::worker::application::{Application, Means, Serving, Socket, StartFailure};

/// Why the master does not run, or ended badly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MasterError {
    /// The runtime directory cannot be used, or another cluster of this name has it.
    #[error(transparent)]
    RuntimeDir(#[from] RuntimeDirError),
    /// An address cannot be bound.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// A listening socket that a service manager has given.
    #[error(transparent)]
    Given(#[from] ListenFdsError),
    /// A listening socket of the application's own making.
    #[error("the application's own listener cannot be made: {0}")]
    OwnListener(#[source] io::Error),
    /// The monitor does not start.
    #[error("the monitor does not start")]
    Monitor(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The cache manager does not start.
    #[error("the cache manager does not start: {cause}")]
    CacheManager {
        /// Why.
        cause: String,
    },
    /// No worker has started.
    #[error("no worker can start: {cause}")]
    NoWorker {
        /// Why the last one did not.
        cause: String,
    },
    /// It was stopped before it was ready.
    #[error("stopped before all workers were ready")]
    Stopped,
    /// The system refused something.
    #[error("{what}")]
    System {
        /// What was to be done.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The monitor: the master's own HTTP application, as core sees it.
pub trait Monitor {
    /// Puts it together; it serves nobody yet.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    fn configure(
        &mut self,
        cluster: &Cluster,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;

    /// The address that it will bind.
    fn address(&self, options: &Options) -> SocketAddr;

    /// Serves at a listening socket that was given to it or, where none was, at one that it binds; gives back its addresses.
    fn serve(
        &mut self,
        cluster: &Cluster,
        given: Option<Socket>,
    ) -> LocalBoxFuture<'static, Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>>>;

    /// Its listening socket, for the master that comes after this one in the same process.
    fn hand_over(&self) -> Option<Socket>;

    /// Ends it.
    fn stop(&mut self) -> LocalBoxFuture<'static, ()>;
}

/// Makes a listening socket of the application's own.
pub type MakeSocket = Box<dyn FnOnce() -> io::Result<Socket>>;

/// What the master is started with.
pub(crate) struct Plan {
    pub(crate) options: Options,
    pub(crate) monitor: Option<Box<dyn Monitor>>,
    /// The cache manager as an actor of the master, where it is to have no process of its own.
    pub(crate) cache: Option<Box<dyn Application>>,
    /// Whether workers share listening sockets.
    pub(crate) serves: bool,
    pub(crate) own_sockets: Vec<MakeSocket>,
    pub(crate) should_retire: Option<ShouldRetire>,
    /// What the master before this one, in the same process, has kept.
    pub(crate) kept: Option<Kept>,
}

/// What a master keeps while it is exchanged for another build in place; all else is adopted.
pub(crate) struct Kept {
    pub(crate) lock: OwnedFd,
    pub(crate) monitor: Option<Socket>,
}

/// The master once the cluster serves.
pub(crate) struct Started {
    pub(crate) cluster: Cluster,
    pub(crate) addresses: Vec<String>,
    pub(crate) end: oneshot::Receiver<End>,
}

/// Starts the cluster; resolves when all workers are ready.
pub(crate) async fn start(
    mut plan: Plan,
    actors: impl FnOnce(&Cluster),
) -> Result<Started, MasterError> {
    let options = plan.options.clone();
    for warning in options.warnings() {
        warn!("{warning}");
    }
    let system = |what| move |source| MasterError::System { what, source };
    // Before there is anything that a signal could leave behind.
    let signals = Signals::new().map_err(system("signals cannot be caught"))?;
    // What was given to this process before it was exchanged in place has been taken.
    let given = match plan.kept {
        None => Given::take(plan.monitor.as_ref().map(|m| m.address(&options)))?,
        Some(_) => Given::default(),
    };
    let directory = RuntimeDir::open(options.runtime_dir.as_deref(), &options.name)?;
    let exchanged = plan.kept.is_some();
    let (lock, monitor) = match plan.kept.take() {
        Some(kept) => (directory.keep_lock(kept.lock)?, kept.monitor),
        None => (directory.lock()?, None),
    };
    let mut estate = Estate {
        lock: Some(lock),
        unix_sockets: Vec::new(),
        monitor: plan.monitor.take(),
        monitor_socket: monitor,
        exchanged,
        cache: None,
        cache_socket: None,
        directory,
    };
    let present = match estate.present() {
        Ok(present) => present,
        Err(e) => {
            estate.leave().await;
            return Err(e);
        }
    };
    // Whoever is present holds the application's sockets, and hands them over.
    let binds = plan.serves
        && !present
            .iter()
            .any(|(process, _)| process.role() == Role::Worker);
    let monitor = estate
        .monitor
        .as_deref()
        .filter(|_| estate.monitor_socket.is_none());
    if let Err(e) = sockets::check(&options, &given, monitor, binds) {
        estate.end().await;
        return Err(e);
    }
    info!(name = options.name, build = crate::build::id(), directory = %estate.directory.path().display(), "master");
    let should_retire = plan.should_retire.take();
    let begun = begin(&options, &mut estate, should_retire, actors);
    let (cluster, master, mut fates) = match begun {
        Ok(begun) => begun,
        Err(e) => {
            estate.end().await;
            return Err(e);
        }
    };
    actix_rt::spawn(obey(signals, cluster.clone()));
    actix_rt::spawn(notify::keep_told(cluster.clone()));
    actix_rt::spawn(process_one::reap_strangers());
    let adopts = !present.is_empty();
    let rest = bring_up(plan, given, &cluster, &master, &mut estate, present).await;
    match rest {
        Ok(addresses) => {
            let (tell, end) = oneshot::channel();
            let here = cluster.clone();
            actix_rt::spawn(async move {
                let outcome = loop {
                    match fates.recv().await {
                        // `do_send`: there is one exchange at a time.
                        Some(Fate::Exchange) => {
                            let failed = estate.exchange(&here).await;
                            master.do_send(ExecFailed(failed));
                        }
                        Some(Fate::End(outcome)) => break outcome,
                        None => break Ok(()),
                    }
                };
                estate.end().await;
                let _ = tell.send(outcome);
            });
            Ok(Started {
                cluster,
                addresses,
                end,
            })
        }
        // What keeps the master from starting is nothing to those that serve already.
        Err(e) if adopts && !matches!(e, MasterError::Stopped | MasterError::NoWorker { .. }) => {
            estate.leave().await;
            Err(e)
        }
        Err(e) => {
            let _ = cluster
                .operate(Operation::Stop {
                    timeout_ms: Some(0),
                })
                .await;
            // An exchange that was asked for meanwhile does not come about.
            while let Some(Fate::Exchange) = fates.recv().await {}
            estate.end().await;
            Err(e)
        }
    }
}

type Begun = (Cluster, Addr<Master>, mpsc::Receiver<Fate>);

/// The master's socket, hub and actors: from here on there is somebody to stop.
fn begin(
    options: &Options,
    estate: &mut Estate,
    should_retire: Option<ShouldRetire>,
    actors: impl FnOnce(&Cluster),
) -> Result<Begun, MasterError> {
    let system = |what| move |source| MasterError::System { what, source };
    let pids = PidFiles::new(options.pids.clone()).map_err(system(
        "the directory for pid files (--pids) cannot be made",
    ))?;
    let spawner = Spawner::new(options.clone(), estate.directory.path().to_owned())
        .map_err(system("processes cannot be started"))?;
    let listening = socket::bind_unix(&estate.directory.master_socket(), 0o600)?;
    let master_socket = SocketFile::bound(estate.directory.master_socket());
    estate.unix_sockets.push(master_socket);
    let listening = tokio::net::UnixListener::from_std(listening)
        .map_err(system("the master's socket cannot be used"))?;

    let hub = Hub::new(ProcessId::Master, Routes::Master(RwLock::default()));
    let (operations, mut operated) = mpsc::channel(OPERATIONS);
    let offers = Arc::new(parking_lot::Mutex::new(None::<actix::Recipient<Offered>>));
    let offer = {
        let offers = Arc::clone(&offers);
        move |name: &str, offered: bool| {
            if let Some(aggregator) = &*offers.lock() {
                let process = ProcessId::Master;
                // The master's own offers are few, and must not be lost: `do_send`.
                aggregator.do_send(Offered {
                    process,
                    name: name.to_owned(),
                    offered,
                });
            }
        }
    };
    let cluster = Cluster::new(
        hub,
        Generation(1),
        options.clone(),
        estate.directory.path().to_owned(),
        Some(operations),
        offer,
    );
    estate.cache_socket = options.cache.runs().then(|| cluster.cache_socket());
    let status = StatusAggregator::launch(cluster.emitter());
    *offers.lock() = Some(status.clone().recipient());
    // An exchange and the end.
    let (fate, fates) = mpsc::channel(2);
    let mut pids = pids;
    pids.write(ProcessId::Master, std::process::id());
    let retirement = Retirement::new(should_retire);
    let made = estate.directory.was_made();
    let master = Master::new(
        cluster.clone(),
        spawner,
        pids,
        status,
        fate,
        retirement,
        made,
    );
    let master = master.start();

    let (arrivals, mut arrived) = mpsc::channel(64);
    let inbox = master.clone();
    actix_rt::spawn(async move {
        tokio::select! {
            () = listener::listen(listening, arrivals) => {}
            () = async {
                while let Some(arrival) = arrived.recv().await {
                    if inbox.send(Arrived(arrival)).await.is_err() {
                        return;
                    }
                }
            } => {}
        }
    });
    let inbox = master.clone();
    actix_rt::spawn(async move {
        while let Some(operated) = operated.recv().await {
            if inbox.send(Operate(operated)).await.is_err() {
                return;
            }
        }
    });
    builtin::offer(&cluster);
    actix_rt::spawn(beat(cluster.clone()));
    actors(&cluster);
    Ok((cluster, master, fates))
}

/// Monitor, cache manager, sockets, workers: in the order that the documentation promises.
async fn bring_up(
    plan: Plan,
    mut given: Given,
    cluster: &Cluster,
    master: &Addr<Master>,
    estate: &mut Estate,
    present: Vec<(ProcessId, u32)>,
) -> Result<Vec<String>, MasterError> {
    let options = cluster.options();
    let inherited = gather(present, master, estate).await?;
    if let Some(monitor) = &mut estate.monitor {
        info!("configuring the monitor");
        monitor.configure(cluster).map_err(MasterError::Monitor)?;
    }
    if options.cache.runs() {
        info!(mode = ?options.cache.mode, "starting the cache service");
        match plan.cache {
            Some(cache) => estate.cache = Some(start_cache_here(cache, cluster).await?),
            None => {
                let ready = master
                    .send(StartCache)
                    .await
                    .map_err(|_| MasterError::Stopped)?;
                ready.await.map_err(|_| MasterError::Stopped)??;
            }
        }
    }
    if let Some(monitor) = &mut estate.monitor {
        let socket = estate
            .monitor_socket
            .take()
            .or_else(|| given.monitor.take());
        let served = monitor.serve(cluster, socket).await;
        let addresses = served.map_err(MasterError::Monitor)?;
        info!(addresses = addresses.join(" "), "the monitor serves");
    }
    let sockets = match (plan.serves, inherited.is_empty()) {
        (true, true) => sockets::bind(options, given, plan.own_sockets, &mut estate.unix_sockets)?,
        // Whoever was adopted serves these; what was given besides is the same, or nobody's.
        (true, false) => {
            estate
                .unix_sockets
                .extend(inherited.iter().filter_map(SocketFile::of));
            inherited
        }
        (false, _) => {
            given.refuse();
            Vec::new()
        }
    };
    let addresses: Vec<String> = sockets.iter().map(Socket::address).collect();
    if !addresses.is_empty() {
        info!(addresses = addresses.join(" "), "bound");
    }
    info!(workers = options.workers, "starting workers");
    let ready = master
        .send(Open { sockets })
        .await
        .map_err(|_| MasterError::Stopped)?;
    ready.await.map_err(|_| MasterError::Stopped)??;
    Ok(addresses)
}

/// Takes over whoever the last master has left behind; gives back the sockets that they serve.
async fn gather(
    present: Vec<(ProcessId, u32)>,
    master: &Addr<Master>,
    estate: &mut Estate,
) -> Result<Vec<Socket>, MasterError> {
    if present.is_empty() {
        RecordFile::remove(estate.directory.path());
        return Ok(Vec::new());
    }
    info!(
        processes = present.len(),
        "taking over what the last master has left behind"
    );
    let record = RecordFile::read(estate.directory.path());
    if record.as_ref().is_some_and(|record| record.made_directory) {
        estate.directory.take_over();
    }
    let gathered = master
        .send(Gather { present, record })
        .await
        .map_err(|_| MasterError::Stopped)?;
    let gathered = gathered.await.map_err(|_| MasterError::Stopped)?;
    if estate.exchanged {
        // Who ended while the program was exchanged is nobody's child to wait for.
        crate::sys::process::reap_strangers(|_| false);
    }
    Ok(gathered)
}

async fn start_cache_here(
    cache: Box<dyn Application>,
    cluster: &Cluster,
) -> Result<Box<dyn Serving>, MasterError> {
    let failed = |e: StartFailure| {
        let cause = crate::worker::run::chain(&*e.source);
        MasterError::CacheManager { cause }
    };
    let means = Means {
        sockets: Vec::new(),
        slots: Vec::new(),
        takes_over: false,
    };
    let mut serving = cache.start(cluster.clone(), means).await.map_err(failed)?;
    serving.accept().await.map_err(failed)?;
    Ok(serving)
}

/// The master samples itself as often as others beat, for its own status.
async fn beat(cluster: Cluster) {
    cluster.watch_thread();
    let mut sampler = Sampler::new(cluster.node.pulses.clone());
    let mut beats = tokio::time::interval(cluster.options().heartbeat_interval);
    loop {
        beats.tick().await;
        let mut beat = sampler.sample();
        beat.queued_bytes = cluster.emitter().hub.waiting() as u64;
        beat.asks = cluster.emitter().asks();
        *cluster.node.beat.lock() = beat;
    }
}

/// Signals are operators' requests: a first one stops, a second one forces, SIGHUP rolls.
async fn obey(mut signals: Signals, cluster: Cluster) {
    let mut stopping = false;
    loop {
        let operation = match signals.next().await {
            Signal::HUP => Operation::Restart { wait: false },
            _ if stopping => Operation::Stop {
                timeout_ms: Some(0),
            },
            _ => {
                stopping = true;
                Operation::Stop { timeout_ms: None }
            }
        };
        info!(?operation, "by signal");
        let cluster = cluster.clone();
        actix_rt::spawn(async move {
            if let Err(e) = cluster.operate(operation).await {
                error!(error = %e, "what a signal asked for was refused");
            }
        });
    }
}
