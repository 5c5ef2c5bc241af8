//! The entry: finds the role of this process and plays it.

use std::process::{ExitCode, Termination};
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::warn;

use crate::bridge;
use crate::health::policy::Decay;
use crate::health::vitals::Vitals;
use crate::id::{ProcessId, Role};
use crate::log::{self, GetLogger, LogError, ProcessLog};
use crate::look;
use crate::master::retirement::ShouldRetire;
use crate::master::start::Kept;
use crate::master::{self, MasterError};
use crate::node::Cluster;
use crate::options::{Options, OptionsError};
use crate::panics;
use crate::sys::stacks;
use crate::worker::application::Application;
use crate::worker::boot::BootRecord;
use crate::worker::start::WorkerError;
use crate::{MakeSocket, Monitor, worker};

/// Why a process of the cluster does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// An option is wrong.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The master does not run.
    #[error(transparent)]
    Master(#[from] MasterError),
    /// A process below it does not run.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The log cannot go where it is to go.
    #[error(transparent)]
    Log(#[from] LogError),
    /// What the master handed over cannot be read.
    #[error("what the master handed over cannot be read")]
    Boot(#[source] std::io::Error),
}

impl ClusterError {
    /// Whether nothing went wrong: the process was told to stop before it was ready.
    pub fn is_stop(&self) -> bool {
        matches!(
            self,
            ClusterError::Master(MasterError::Stopped)
                | ClusterError::Worker(WorkerError::Dismissed)
        )
    }
}

/// An actor of the application's, in the roles named.
struct Bound {
    roles: Vec<Role>,
    start: Box<dyn FnOnce(&Cluster)>,
}

/// What a cluster is made of; higher crates fill it in.
pub struct Launch {
    options: Options,
    application: Box<dyn Application>,
    cache_manager: Option<Box<dyn Application>>,
    monitor: Option<Box<dyn Monitor>>,
    serves: bool,
    own_sockets: Vec<MakeSocket>,
    actors: Vec<Bound>,
    is_request: fn() -> bool,
    should_retire: Option<ShouldRetire>,
    get_logger: Option<GetLogger>,
}

impl Launch {
    /// A cluster whose workers run this application.
    pub fn new(options: Options, application: Box<dyn Application>) -> Self {
        Launch {
            options,
            application,
            cache_manager: None,
            monitor: None,
            serves: false,
            own_sockets: Vec::new(),
            actors: Vec::new(),
            is_request: || false,
            should_retire: None,
            get_logger: None,
        }
    }

    /// What runs as the cache manager, in a process of its own or in the master.
    #[must_use]
    pub fn cache_manager(mut self, application: Box<dyn Application>) -> Self {
        self.cache_manager = Some(application);
        self
    }

    /// What the master shows of the cluster.
    #[must_use]
    pub fn monitor(mut self, monitor: Box<dyn Monitor>) -> Self {
        self.monitor = Some(monitor);
        self
    }

    /// Workers share the sockets that the options name, and these.
    #[must_use]
    pub fn serving(mut self, own_sockets: Vec<MakeSocket>) -> Self {
        self.serves = true;
        self.own_sockets = own_sockets;
        self
    }

    /// Runs in the roles named, before the application starts.
    #[must_use]
    pub fn in_roles(mut self, roles: &[Role], start: impl FnOnce(&Cluster) + 'static) -> Self {
        self.actors.push(Bound {
            roles: roles.to_vec(),
            start: Box::new(start),
        });
        self
    }

    /// Tells the panic of a request, which ends that request alone, from one that ends the process.
    #[must_use]
    pub fn request_marker(mut self, is_request: fn() -> bool) -> Self {
        self.is_request = is_request;
        self
    }

    /// Has the last word, in the master, on whether a worker is replaced though it is alive: told after each of its heartbeats how it
    /// does and what the rules say, it says why it is to be replaced, or nothing.
    #[must_use]
    pub fn should_retire(
        mut self,
        decide: impl FnMut(&Vitals<'_>, Option<Decay>) -> Option<Decay> + 'static,
    ) -> Self {
        self.should_retire = Some(Box::new(decide));
        self
    }

    /// Gives each process its subscriber, in place of the cluster's own; one that the process has set before it listens is left in its
    /// place. Where the lines go is told by [`ProcessLog::writer`].
    #[must_use]
    pub fn get_logger<S: Into<tracing::Dispatch>>(
        mut self,
        get: impl FnOnce(&ProcessLog) -> S + 'static,
    ) -> Self {
        self.get_logger = Some(Box::new(|log| get(log).into()));
        self
    }

    /// Plays the role of this process; resolves when it is ready.
    ///
    /// # Errors
    ///
    /// Why it does not get ready. Nothing of the cluster is left behind then.
    pub async fn listen(mut self) -> Result<Running, ClusterError> {
        // Where `main` is not ours, it is found out as late as here.
        if look::run_if_asked().is_some() {
            return Err(ClusterError::Worker(WorkerError::Dismissed));
        }
        let boot = BootRecord::take().map_err(ClusterError::Boot)?;
        let me = boot.as_ref().map_or(ProcessId::Master, |boot| boot.process);
        if boot.is_none() {
            log::settle(&mut self.options);
        }
        let options = boot.as_ref().map_or(&self.options, |boot| &boot.options);
        log::init(me, options, self.get_logger.take())?;
        bridge::stay_awake(Duration::from_micros(options.spin.into()));
        panics::end_the_process(self.is_request);
        if let Err(e) = stacks::write_when_asked() {
            warn!(error = %e, "should this process hang, its stacks cannot be shown");
        }
        let role = me.role();
        let actors = self.actors;
        let start_actors = move |cluster: &Cluster| {
            for bound in actors {
                if bound.roles.contains(&role) {
                    (bound.start)(cluster);
                }
            }
        };
        // What this program has it keep, whatever the one before it did.
        let keeps_more = self.options.cache.keeps_more;
        match (boot, role) {
            (boot, Role::Master) => {
                let kept = match &boot {
                    Some(boot) => boot.kept().map_err(ClusterError::Boot)?,
                    None => None,
                };
                let mut options = match boot {
                    Some(boot) => boot.options,
                    None => self.options,
                };
                options.cache.keeps_more = keeps_more;
                if self.cache_manager.is_none() {
                    options.cache.enable = false;
                    options.cache.keeps_more = false;
                }
                options.validate()?;
                let here = options.cache.mode == crate::options::CacheMode::Master;
                let plan = master::start::Plan {
                    cache: self.cache_manager.filter(|_| here && options.cache.runs()),
                    options,
                    monitor: self.monitor,
                    serves: self.serves,
                    own_sockets: self.own_sockets,
                    should_retire: self.should_retire,
                    kept: kept.map(|(lock, monitor)| Kept { lock, monitor }),
                };
                let started = master::start::start(plan, start_actors).await?;
                let (cluster, addresses) = (started.cluster, started.addresses);
                let end = async move {
                    started
                        .end
                        .await
                        .unwrap_or(Ok(()))
                        .map_err(ClusterError::from)
                };
                Ok(Running::new(cluster, addresses, end))
            }
            (None, _) => Err(ClusterError::Boot(std::io::ErrorKind::NotFound.into())),
            (Some(boot), role) => {
                let application = match (role, self.cache_manager) {
                    (Role::CacheManager, Some(cache_manager)) => cache_manager,
                    _ => self.application,
                };
                let started = worker::start::start(boot, application, start_actors).await?;
                let (cluster, addresses) = (started.cluster, started.addresses);
                let end = async move {
                    started.run.until_end().await;
                    Ok(())
                };
                Ok(Running::new(cluster, addresses, end))
            }
        }
    }
}

/// A process of the cluster that is ready.
#[derive(Debug)]
pub struct Running {
    cluster: Cluster,
    addresses: Vec<String>,
    end: oneshot::Receiver<Result<(), ClusterError>>,
}

impl Running {
    fn new(
        cluster: Cluster,
        addresses: Vec<String>,
        end: impl Future<Output = Result<(), ClusterError>> + 'static,
    ) -> Self {
        let (tell, told) = oneshot::channel();
        actix_rt::spawn(async move {
            let _ = tell.send(end.await);
        });
        Running {
            cluster,
            addresses,
            end: told,
        }
    }

    /// What this process does.
    pub fn role(&self) -> Role {
        self.cluster.role()
    }

    /// The addresses that the application is served at.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// The handle of the cluster.
    pub fn handle(&self) -> &Cluster {
        &self.cluster
    }

    /// Resolves when this process is to end: all that it had is done, or its time is over.
    ///
    /// # Errors
    ///
    /// Why it ended badly.
    pub async fn wait(self) -> Result<(), ClusterError> {
        self.end.await.unwrap_or(Ok(()))
    }
}

/// Runs an application's `main` on an actix system: what the `main` attribute expands to.
///
/// An error is one line on standard error and exit code 1; having been told to stop before all was ready is none.
pub fn run_main<F>(main: F) -> ExitCode
where
    F: Future,
    F::Output: MainOutcome,
{
    // A process that looks at another runs nothing of the application.
    if let Some(code) = look::run_if_asked() {
        return code;
    }
    actix_rt::System::new().block_on(main).exit_code()
}

/// What a `main` may come to.
pub trait MainOutcome {
    /// Reports an error, and gives the code to exit with.
    fn exit_code(self) -> ExitCode;
}

impl MainOutcome for () {
    fn exit_code(self) -> ExitCode {
        ExitCode::SUCCESS
    }
}

impl<T: Termination, E: Into<Box<dyn std::error::Error>>> MainOutcome for Result<T, E> {
    fn exit_code(self) -> ExitCode {
        match self {
            Ok(value) => value.report(),
            Err(e) => {
                let e: Box<dyn std::error::Error> = e.into();
                if e.downcast_ref::<ClusterError>()
                    .is_some_and(ClusterError::is_stop)
                {
                    return ExitCode::SUCCESS;
                }
                log::last_word(&worker::run::chain(&*e));
                ExitCode::FAILURE
            }
        }
    }
}
