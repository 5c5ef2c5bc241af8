//! This process's place in the cluster: [`Cluster`], the handle that application code holds.

pub(crate) mod builtin;
pub(crate) mod debugging;
mod probes;
mod registered;
pub(crate) mod state;

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

pub use state::{
    ClusterState, Mark, NodeState, ProcessState, QueueEntry, UpgradeState, UpgradeStep, WorkerState,
};

use crate::emitter::hub::Hub;
use crate::emitter::{Emitter, HandlerActor, Target};
use crate::health::pulse::Pulses;
use crate::id::{Generation, ProcessId, Role, WorkerId};
use crate::options::Options;
use crate::protocol::{Operation, OperationError};
use crate::status::{Status, StatusError};
use crate::sys::presence::{self, Presence};
use probes::Probes;

/// How far a long operation has come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProgressNote {
    /// Steps done.
    pub done: u32,
    /// Steps in all.
    pub of: u32,
    /// What has just happened.
    pub note: String,
}

/// An operation on its way to the master actor.
pub(crate) struct Operated {
    pub(crate) operation: Operation,
    pub(crate) reply: oneshot::Sender<Result<Value, OperationError>>,
    pub(crate) progress: Option<mpsc::Sender<ProgressNote>>,
}

/// Operations that may wait for the master actor; a further one waits for its place.
pub(crate) const OPERATIONS: usize = 64;

pub(crate) struct Node {
    pub(crate) me: ProcessId,
    pub(crate) generation: Generation,
    pub(crate) build: String,
    pub(crate) options: Options,
    pub(crate) runtime_dir: PathBuf,
    pub(crate) emitter: Emitter,
    pub(crate) status: Status,
    pub(crate) draining: watch::Sender<bool>,
    pub(crate) state: watch::Sender<Arc<ClusterState>>,
    pub(crate) operations: Option<mpsc::Sender<Operated>>,
    pub(crate) probes: Probes,
    pub(crate) beat: builtin::LastBeat,
    pub(crate) pulses: Pulses,
    /// The place of this process among those below the master.
    pub(crate) presence: OnceLock<Weak<Presence>>,
}

/// The cluster, as one of its processes sees it. Cheap to clone; usable from every thread.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) node: Arc<Node>,
}

impl Cluster {
    pub(crate) fn new(
        hub: Arc<Hub>,
        generation: Generation,
        options: Options,
        runtime_dir: PathBuf,
        operations: Option<mpsc::Sender<Operated>>,
        offer: impl Fn(&str, bool) + Send + Sync + 'static,
    ) -> Self {
        let emitter = Emitter { hub };
        let state = ClusterState::starting(&options.name);
        Cluster {
            node: Arc::new(Node {
                me: emitter.hub.me,
                generation,
                build: crate::build::id().to_owned(),
                status: Status::new(emitter.clone(), offer),
                emitter,
                options,
                runtime_dir,
                draining: watch::Sender::new(false),
                state: watch::Sender::new(Arc::new(state)),
                operations,
                probes: Probes::default(),
                beat: builtin::LastBeat::default(),
                pulses: Pulses::default(),
                presence: OnceLock::new(),
            }),
        }
    }

    /// What this process does.
    pub fn role(&self) -> Role {
        self.node.me.role()
    }

    /// This process as others address it.
    pub fn process(&self) -> ProcessId {
        self.node.me
    }

    /// The number of this worker; none in other roles.
    pub fn worker(&self) -> Option<WorkerId> {
        match self.node.me {
            ProcessId::Worker(id) => Some(id),
            _ => None,
        }
    }

    /// The worker that has this pid, of those that live now; as the kernel says, to which no process can say otherwise.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub fn worker_of(&self, pid: u32) -> std::io::Result<Option<WorkerId>> {
        let present = match self.node.presence.get().and_then(Weak::upgrade) {
            Some(presence) => presence.others()?,
            // Only the master has no place, and so none to lose.
            None if self.role() == Role::Master => {
                presence::present(&self.node.runtime_dir.join(presence::FILE))?
            }
            None => Vec::new(),
        };
        let found = present.into_iter().find_map(|(process, is)| match process {
            ProcessId::Worker(id) if is == pid => Some(id),
            _ => None,
        });
        Ok(found.or_else(|| self.worker().filter(|_| pid == std::process::id())))
    }

    /// How many times the cluster had been rolled when this process was started.
    pub fn generation(&self) -> Generation {
        self.node.generation
    }

    /// The build that runs: a hash of the program's file, the same in every process that was started from it.
    pub fn build(&self) -> &str {
        &self.node.build
    }

    /// The options that the cluster was started with.
    pub fn options(&self) -> &Options {
        &self.node.options
    }

    /// The socket at which the cache manager is reached: `--cache.domain-path`, or `cache.sock` in the runtime directory.
    pub fn cache_socket(&self) -> PathBuf {
        match &self.node.options.cache.domain_path {
            Some(path) => path.clone(),
            None => self.node.runtime_dir.join("cache.sock"),
        }
    }

    /// Tells and asks other processes.
    pub fn emitter(&self) -> &Emitter {
        &self.node.emitter
    }

    /// Named values that every process offers.
    pub fn status(&self) -> &Status {
        &self.node.status
    }

    /// Starts an actor's part in the cluster: it hears and answers what its `#[handles(..)]` lists.
    ///
    /// # Panics
    ///
    /// As [`Emitter::bind`].
    pub fn bind<A: HandlerActor>(&self, addr: actix::Addr<A>) {
        self.node.emitter.bind(addr);
    }

    /// Whether this process has begun to drain: it accepts no more, and ends once it has finished what it has.
    pub fn is_draining(&self) -> bool {
        *self.node.draining.borrow()
    }

    /// Resolves when this process begins to drain: the moment for a WebSocket or a stream to say goodbye.
    ///
    /// # Cancel safety
    ///
    /// It only watches: dropping it changes nothing.
    pub fn draining(&self) -> impl Future<Output = ()> + use<> {
        let mut draining = self.node.draining.subscribe();
        async move {
            let _ = draining.wait_for(|d| *d).await;
        }
    }

    /// The whole cluster, as the master sees it at this moment. In other roles it is only known that it is there.
    pub fn state(&self) -> Arc<ClusterState> {
        Arc::clone(&self.node.state.borrow())
    }

    /// The same, and each change of it.
    pub fn watch(&self) -> watch::Receiver<Arc<ClusterState>> {
        self.node.state.subscribe()
    }

    /// Sets a registered status in every process of the cluster; gives back how many took the value.
    ///
    /// # Errors
    ///
    /// As [`Status::set`].
    pub async fn set_status(&self, name: &str, value: &Value) -> Result<usize, StatusError> {
        let mut everywhere = vec![Target::Master, Target::Workers];
        if self.state().cache_manager.is_some() {
            everywhere.push(Target::CacheManager);
        }
        self.status().set(name, value, everywhere).await
    }

    /// Carries out what an operator asks, as the command line would; in the master alone.
    ///
    /// # Errors
    ///
    /// Why it was not carried out; [`OperationError::NotMaster`] in other roles.
    ///
    /// # Cancel safety
    ///
    /// Dropping it lets the operation go on unheard.
    pub async fn operate(&self, operation: Operation) -> Result<Value, OperationError> {
        self.operate_with_progress(operation, None).await
    }

    /// The same for what takes its time: `progress` hears how far it has come. Once nobody listens there any more, what cannot do without
    /// its operator (a debugging session) ends.
    ///
    /// # Errors
    ///
    /// As [`operate`](Self::operate).
    pub async fn operate_with_progress(
        &self,
        operation: Operation,
        progress: Option<mpsc::Sender<ProgressNote>>,
    ) -> Result<Value, OperationError> {
        let operations = self
            .node
            .operations
            .as_ref()
            .ok_or(OperationError::NotMaster)?;
        let operation = match registered::carry_out(self, operation).await {
            Ok(outcome) => return outcome,
            Err(operation) => operation,
        };
        let (reply, answer) = oneshot::channel();
        let operated = Operated {
            operation,
            reply,
            progress,
        };
        operations
            .send(operated)
            .await
            .map_err(|_| OperationError::Stopping)?;
        answer.await.map_err(|_| OperationError::Stopping)?
    }

    /// Has the heartbeat say how late timers fire in this thread, and when its event loop last ran. The main thread is watched already.
    ///
    /// # Panics
    ///
    /// On a thread that has neither an actix arbiter nor a `LocalSet` of tokio's.
    pub fn watch_thread(&self) {
        self.node.pulses.watch_this_thread();
    }

    /// Says that a health probe was answered, so that a stop of the node can give the prober time to hear that it is down.
    pub fn probed(&self, said_up: bool) {
        self.node.probes.note(std::time::Instant::now(), said_up);
    }

    /// How long a stop waits for the next health probe, at most: none where nobody probes.
    pub(crate) fn probe_wait(&self) -> Duration {
        self.node.probes.wait(std::time::Instant::now())
    }

    /// Resolves once a health probe has been told "down".
    pub(crate) async fn told_down(&self) {
        self.node.probes.told_down().await;
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("process", &self.node.me)
            .finish_non_exhaustive()
    }
}
