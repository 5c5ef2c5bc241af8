//! The master from its first moment until the cluster serves, and its end.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr};
use futures_util::future::LocalBoxFuture;
use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use super::commands::{Open, Operate, StartCache};
use super::links::Arrived;
use super::pid_files::PidFiles;
use super::retirement::{Retirement, ShouldRetire};
use super::sockets::{self, Given, SocketFile};
use super::spawn::Spawner;
use super::{End, Master, notify, process_one};
use crate::bridge::listener;
use crate::emitter::hub::{Hub, Routes};
use crate::health::heartbeat::Sampler;
use crate::id::{Generation, ProcessId};
use crate::node::{Cluster, OPERATIONS, builtin};
use crate::options::Options;
use crate::protocol::Operation;
use crate::status::aggregator::{Offered, StatusAggregator};
use crate::sys::signal::{Signal, Signals};
use crate::sys::{ListenFdsError, Lock, RuntimeDir, RuntimeDirError, SocketError, socket};
use crate::worker::application::{Application, Means, Serving, Socket, StartFailure};

/// How long what is in the master may take to end.
const LAST_STEPS: Duration = Duration::from_secs(5);

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
}

/// The master once the cluster serves.
pub(crate) struct Started {
    pub(crate) cluster: Cluster,
    pub(crate) addresses: Vec<String>,
    pub(crate) end: oneshot::Receiver<End>,
}

/// What the master itself has opened, to be gone with it.
struct Estate {
    directory: RuntimeDir,
    lock: Option<Lock>,
    unix_sockets: Vec<SocketFile>,
    monitor: Option<Box<dyn Monitor>>,
    cache: Option<Box<dyn Serving>>,
    /// The cache manager's socket: where its process was killed, its file is left.
    cache_socket: Option<PathBuf>,
}

impl Estate {
    async fn end(mut self) {
        let steps = async {
            if let Some(cache) = &mut self.cache {
                cache.drain(Duration::ZERO).await;
            }
            if let Some(monitor) = &mut self.monitor {
                monitor.stop().await;
            }
        };
        if tokio::time::timeout(LAST_STEPS, steps).await.is_err() {
            warn!("the monitor did not end in time");
        }
        for socket in self.unix_sockets.drain(..) {
            socket.remove();
        }
        if let Some(path) = &self.cache_socket {
            socket::remove_abandoned(path);
        }
        drop(self.lock.take());
        if let Err(e) = self.directory.remove_if_empty() {
            warn!(error = %e, "the runtime directory was not removed");
        }
    }
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
    let given = Given::take(plan.monitor.as_ref().map(|m| m.address(&options)))?;
    let directory = RuntimeDir::open(options.runtime_dir.as_deref(), &options.name)?;
    let lock = directory.lock()?;
    let mut estate = Estate {
        lock: Some(lock),
        unix_sockets: Vec::new(),
        monitor: plan.monitor.take(),
        cache: None,
        cache_socket: None,
        directory,
    };
    if let Err(e) = sockets::check(&options, &given, estate.monitor.as_deref(), plan.serves) {
        estate.end().await;
        return Err(e);
    }
    info!(name = options.name, build = crate::build::id(), directory = %estate.directory.path().display(), "master");
    let should_retire = plan.should_retire.take();
    let begun = begin(&options, &mut estate, should_retire, actors);
    let (cluster, master, ended) = match begun {
        Ok(begun) => begun,
        Err(e) => {
            estate.end().await;
            return Err(e);
        }
    };
    actix_rt::spawn(obey(signals, cluster.clone()));
    actix_rt::spawn(notify::keep_told(cluster.clone()));
    actix_rt::spawn(process_one::reap_strangers());
    let rest = bring_up(plan, given, &cluster, &master, &mut estate).await;
    match rest {
        Ok(addresses) => {
            let (tell, end) = oneshot::channel();
            actix_rt::spawn(async move {
                let outcome = ended.await.unwrap_or(Ok(()));
                estate.end().await;
                let _ = tell.send(outcome);
            });
            Ok(Started {
                cluster,
                addresses,
                end,
            })
        }
        Err(e) => {
            let _ = cluster
                .operate(Operation::Stop {
                    timeout_ms: Some(0),
                })
                .await;
            let _ = ended.await;
            estate.end().await;
            Err(e)
        }
    }
}

type Begun = (Cluster, Addr<Master>, oneshot::Receiver<End>);

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
    estate.cache_socket = options.cache.enable.then(|| cluster.cache_socket());
    let status = StatusAggregator::launch(cluster.emitter());
    *offers.lock() = Some(status.clone().recipient());
    let (on_end, ended) = oneshot::channel();
    let mut pids = pids;
    pids.write(ProcessId::Master, std::process::id());
    let retirement = Retirement::new(should_retire);
    let master = Master::new(cluster.clone(), spawner, pids, status, on_end, retirement).start();

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
    Ok((cluster, master, ended))
}

/// Monitor, cache manager, sockets, workers: in the order that the documentation promises.
async fn bring_up(
    plan: Plan,
    mut given: Given,
    cluster: &Cluster,
    master: &Addr<Master>,
    estate: &mut Estate,
) -> Result<Vec<String>, MasterError> {
    let options = cluster.options();
    if let Some(monitor) = &mut estate.monitor {
        info!("configuring the monitor");
        monitor.configure(cluster).map_err(MasterError::Monitor)?;
    }
    if options.cache.enable {
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
        let serving = monitor.serve(cluster, given.monitor.take());
        let addresses = serving.await.map_err(MasterError::Monitor)?;
        info!(addresses = addresses.join(" "), "the monitor serves");
    }
    let sockets = match plan.serves {
        true => sockets::bind(options, given, plan.own_sockets, &mut estate.unix_sockets)?,
        false => {
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
