//! A cluster on its way: what it runs, its options, actors, health marks and monitor.

use std::sync::Arc;

use actix_web::web::ServiceConfig;
use cluster_cache::{CacheApplication, SessionStore};
use cluster_core::{
    Application, Cluster, Decay, HandlerActor, Launch, Options, ProcessLog, Role, Vitals,
};
use tracing::Dispatch;

use crate::app::{MonitorExtension, Prepare, WarmUpStep};
use crate::ecv::EcvSettings;
use crate::error::{Error, Result};
use crate::http::Http;
use crate::monitor::ClusterMonitor;
use crate::running::Running;
use crate::tally::in_request;
use crate::tls;
use crate::warm_up::WarmUp;
use crate::worker::HttpApplication;

type ShouldRetire = Box<dyn FnMut(&Vitals<'_>, Option<Decay>) -> Option<Decay>>;
type Bind = Box<dyn FnOnce(&Cluster)>;
type GetLogger = Box<dyn FnOnce(&ProcessLog) -> Dispatch>;

/// What a cluster runs in its workers: [`Web`] or [`Job`](crate::Job).
pub trait Runs {
    /// Turns it into the workers' application.
    #[doc(hidden)]
    fn launch(self, options: Options) -> Result<Launch>;
}

/// A cluster on its way. `listen` starts it.
#[must_use = "a cluster starts with `listen`"]
pub struct Builder<R> {
    runs: R,
    options: Option<Options>,
    actors: Vec<(Vec<Role>, Bind)>,
    stores: Vec<(String, SessionStore)>,
    documents: bool,
    ecv: EcvSettings,
    monitor: Vec<MonitorExtension>,
    dependencies: Option<&'static str>,
    should_retire: Option<ShouldRetire>,
    get_logger: Option<GetLogger>,
}

impl<R: Runs> Builder<R> {
    pub(crate) fn of(runs: R) -> Self {
        Builder {
            runs,
            options: None,
            actors: Vec::new(),
            stores: Vec::new(),
            documents: false,
            ecv: EcvSettings::default(),
            monitor: Vec::new(),
            dependencies: None,
            should_retire: None,
            get_logger: None,
        }
    }

    /// The options; those that [`Options::load`] gives, where none are set.
    pub fn options(mut self, options: Options) -> Self {
        self.options = Some(options);
        self
    }

    /// Starts an actor in each process of the roles named; it hears and answers what its `#[handles(..)]` lists.
    pub fn actor<A: HandlerActor>(
        self,
        roles: &[Role],
        make: impl FnOnce() -> A + 'static,
    ) -> Self {
        self.in_roles(roles, move |cluster| cluster.bind(make().start()))
    }

    /// Runs in each process of the roles named, before anything is served: the place for subscriptions and statuses.
    pub fn in_roles(mut self, roles: &[Role], start: impl FnOnce(&Cluster) + 'static) -> Self {
        self.actors.push((roles.to_vec(), Box::new(start)));
        self
    }

    /// A session store of this name, which the process of the cache manager owns, also where the cache is disabled; every process
    /// reaches it by `cluster.sessions(name)`, and the sessions of actix-session by `cluster.session_store(name)`.
    ///
    /// ```no_run
    /// # use actix_web::App;
    /// use cluster_web::SessionStore;
    ///
    /// # fn example() {
    /// let _ = cluster_web::app(App::new)
    ///     .session_store("web", SessionStore::embedded())
    ///     .session_store("carts", SessionStore::files("/var/lib/shop/carts"));
    /// # }
    /// ```
    pub fn session_store(mut self, name: &str, store: SessionStore) -> Self {
        self.stores.push((name.to_owned(), store));
        self
    }

    /// The application keeps documents (`cluster.document(name, options)`) also where the cache is disabled: their owner, the process of
    /// the cache manager, runs for them.
    pub fn documents(mut self) -> Self {
        self.documents = true;
        self
    }

    /// Sets how health probes are answered.
    pub fn ecv(mut self, set: impl FnOnce(&mut EcvSettings)) -> Self {
        set(&mut self.ecv);
        self
    }

    /// Adds routes to the monitor. They come before its own, and so can replace them. Who may ask them is decided as for its own: what is
    /// asked for by other methods than GET and HEAD acts.
    pub fn monitor(mut self, extend: impl Fn(&mut ServiceConfig) + Send + Sync + 'static) -> Self {
        self.monitor.push(Arc::new(extend));
        self
    }

    /// What the program is made of, for the monitor to show: `.dependencies(cluster_web::dependencies!())`. A program that was built by
    /// `cargo auditable build` says it by itself, and then that counts.
    pub fn dependencies(mut self, of_this_program: &'static str) -> Self {
        self.dependencies = Some(of_this_program);
        self
    }

    /// Has the last word on whether a worker is replaced though it is alive. After each of its heartbeats the master tells how it does
    /// and what the rules say (`--max-age`, `--max-memory` and the others); what comes back counts. To add a rule, give back `said`
    /// where one's own does not hold; to have only one's own, leave `said` alone.
    ///
    /// ```no_run
    /// use cluster_web::prelude::*;
    /// # use actix_web::App;
    /// # fn example() {
    /// let _ = cluster_web::app(App::new).should_retire(|vitals, said| {
    ///     let leaks = vitals.beat.open_fds > 10_000;
    ///     leaks.then(|| Decay::because("it leaks descriptors")).or(said)
    /// });
    /// # }
    /// ```
    ///
    /// What holds for a worker's very first heartbeat is not heeded for that worker, as its successor would be no better.
    pub fn should_retire(
        mut self,
        decide: impl FnMut(&Vitals<'_>, Option<Decay>) -> Option<Decay> + 'static,
    ) -> Self {
        self.should_retire = Some(Box::new(decide));
        self
    }

    /// Gives each process the subscriber of tracing that makes its lines, in place of the cluster's own. It is called in every process,
    /// before anything is logged there.
    ///
    /// ```no_run
    /// # use actix_web::App;
    /// # fn example() {
    /// let _ = cluster_web::app(App::new).get_logger(|log| {
    ///     tracing_subscriber::fmt()
    ///         .compact()
    ///         .with_ansi(log.ansi())
    ///         .with_writer(log.writer())
    ///         .finish()
    /// });
    /// # }
    /// ```
    ///
    /// [`ProcessLog::writer`] is where the lines go: with `--log files` to the file of the process, else to standard error; what cannot be
    /// written is counted and ends nothing. A subscriber that writes elsewhere is as good. One that the application has set before
    /// `listen` is left in its place, and then this is not needed: what it writes to standard output or error is in the file as well.
    pub fn get_logger<S: Into<Dispatch>>(
        mut self,
        get: impl FnOnce(&ProcessLog) -> S + 'static,
    ) -> Self {
        self.get_logger = Some(Box::new(|log| get(log).into()));
        self
    }

    /// Starts the cluster, or this process's part in it; resolves when it is ready.
    ///
    /// # Errors
    ///
    /// Why it does not get ready; nothing of the cluster is left behind then.
    pub async fn listen(self) -> Result<Running> {
        let mut options = match self.options {
            Some(options) => options,
            None => Options::load()?,
        };
        options.cache.keeps_more |= self.documents;
        let mut owner = CacheApplication::default();
        for (name, store) in self.stores {
            options.cache.keeps_more = true;
            owner = owner.session_store(&name, store);
        }
        let monitor = ClusterMonitor::new(self.monitor, self.ecv, self.dependencies);
        let mut launch = self
            .runs
            .launch(options)?
            .cache_manager(Box::new(owner))
            .monitor(Box::new(monitor))
            .request_marker(in_request);
        for (roles, start) in self.actors {
            launch = launch.in_roles(&roles, start);
        }
        if let Some(decide) = self.should_retire {
            launch = launch.should_retire(decide);
        }
        if let Some(get) = self.get_logger {
            launch = launch.get_logger(get);
        }
        Ok(Running(launch.listen().await?))
    }
}

/// An actix-web application: what [`app`](crate::app), [`service`](crate::service) and [`configure`](crate::configure) make.
pub struct Web {
    prepare: Prepare,
    warm_up: Option<WarmUpStep>,
    http: Http,
}

impl Web {
    pub(crate) fn new(prepare: Prepare) -> Self {
        Web {
            prepare,
            warm_up: None,
            http: Http::default(),
        }
    }
}

impl Runs for Web {
    fn launch(self, options: Options) -> Result<Launch> {
        let tls = match self.http.tls {
            Some(config) => Some(config),
            None => tls::load(&options.tls)?,
        };
        let application = HttpApplication {
            prepare: self.prepare,
            warm_up: self.warm_up,
            settings: self.http.settings,
            tls,
        };
        let application: Box<dyn Application> = Box::new(application);
        Ok(Launch::new(options, application).serving(self.http.sockets))
    }
}

impl Builder<Web> {
    /// Warms a worker up before it serves: the step asks the real application, on a private listener, and nobody else can.
    /// When it fails, the worker's start has failed.
    pub fn warm_up<W, G, T, E>(mut self, step: W) -> Self
    where
        W: FnOnce(WarmUp) -> G + 'static,
        G: Future<Output = std::result::Result<T, E>> + 'static,
        E: Into<Error>,
    {
        self.runs.warm_up = Some(Box::new(|worker| {
            let running = step(worker);
            Box::pin(async move { running.await.map(drop).map_err(Into::into) })
        }));
        self
    }

    /// Sets what users of `HttpServer` set: keep-alive, timeouts, limits, `on_connect`, listeners of their own making, TLS.
    pub fn server(mut self, set: impl FnOnce(&mut Http)) -> Self {
        set(&mut self.runs.http);
        self
    }
}
