//! The entry for applications: an actix-web app factory becomes a cluster.

use std::fmt;
use std::sync::Arc;

use actix_http::body::MessageBody;
use actix_http::{Request, Response};
use actix_service::{IntoServiceFactory, Service, ServiceFactory};
use actix_web::dev::{AppConfig, ServiceRequest, ServiceResponse};
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, Error as WebError};
use cluster_cache::CacheApplication;
use cluster_core::{Cluster, HandlerActor, Launch, Options, Role};
use futures_util::future::LocalBoxFuture;

use crate::acceptor::{AcceptorError, HttpSettings, Server, Site};
use crate::ecv::EcvSettings;
use crate::error::{Error, Result};
use crate::http::Http;
use crate::monitor::ClusterMonitor;
use crate::running::Running;
use crate::tally::{Meter, in_request};
use crate::tls;
use crate::warm_up::WarmUp;
use crate::worker::HttpApplication;

/// What serving one thread takes.
pub(crate) struct Plot {
    pub(crate) sites: Vec<Site>,
    pub(crate) settings: HttpSettings,
    pub(crate) meter: Arc<Meter>,
}

/// Builds the application in a thread.
pub(crate) type Blueprint =
    Arc<dyn Fn(Plot) -> LocalBoxFuture<'static, Result<Server, AcceptorError>> + Send + Sync>;

/// Configures the application in a worker: the step before it is built.
pub(crate) type Prepare = Box<dyn FnOnce(Cluster) -> LocalBoxFuture<'static, Result<Blueprint>>>;

pub(crate) type WarmUpStep = Box<dyn FnOnce(WarmUp) -> LocalBoxFuture<'static, Result<()>>>;
pub(crate) type MonitorExtension = Arc<dyn Fn(&mut ServiceConfig) + Send + Sync>;

/// Makes a cluster of an actix-web application. The factory runs in every worker, once for each of its threads; handlers find the
/// cluster as `web::Data<Cluster>`.
pub fn app<F, T, B>(factory: F) -> Builder
where
    F: Fn() -> App<T> + Clone + Send + Sync + 'static,
    T: ServiceFactory<
            ServiceRequest,
            Response = ServiceResponse<B>,
            Config = (),
            Error = WebError,
            InitError = (),
        > + 'static,
    T::Future: 'static,
    B: MessageBody + 'static,
{
    configure(|_| async { Ok(()) }).app(move |()| factory())
}

/// Makes a cluster of anything that `HttpServer` takes. Unlike [`app`], it cannot put the cluster among the data of handlers.
pub fn service<F, I, S, B>(factory: F) -> Builder
where
    F: Fn() -> I + Clone + Send + Sync + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<WebError> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    configure(|_| async { Ok(()) }).service(move |()| factory())
}

/// Runs an async step in each worker before its application is built; the factory is handed its outcome.
///
/// ```no_run
/// use actix_web::{App, web};
/// use cluster_web::prelude::*;
///
/// async fn connect() -> Result<String> { Ok("pool".to_owned()) }
///
/// # async fn example() -> Result<()> {
/// cluster_web::configure(|_cluster| connect())
///     .app(|pool: String| App::new().app_data(web::Data::new(pool)))
///     .listen().await?
///     .wait().await?;
/// # Ok(())
/// # }
/// ```
pub fn configure<C, G, S>(step: C) -> Configure<S>
where
    C: FnOnce(Cluster) -> G + 'static,
    G: Future<Output = Result<S>> + 'static,
    S: Clone + Send + Sync + 'static,
{
    Configure {
        step: Box::new(|cluster| Box::pin(step(cluster))),
    }
}

type Step<S> = Box<dyn FnOnce(Cluster) -> LocalBoxFuture<'static, Result<S>>>;

/// A configure step that still wants its application.
pub struct Configure<S> {
    step: Step<S>,
}

impl<S: Clone + Send + Sync + 'static> Configure<S> {
    /// The application, made from what the step came to; as [`app`].
    pub fn app<F, T, B>(self, factory: F) -> Builder
    where
        F: Fn(S) -> App<T> + Clone + Send + Sync + 'static,
        T: ServiceFactory<
                ServiceRequest,
                Response = ServiceResponse<B>,
                Config = (),
                Error = WebError,
                InitError = (),
            > + 'static,
        T::Future: 'static,
        B: MessageBody + 'static,
    {
        let step = self.step;
        Builder::new(Box::new(move |cluster| {
            Box::pin(async move {
                let state = step(cluster.clone()).await?;
                let data = Data::new(cluster);
                let blueprint: Blueprint = Arc::new(move |plot: Plot| {
                    let (factory, state, data) = (factory.clone(), state.clone(), data.clone());
                    Box::pin(async move {
                        let make = || factory(state.clone()).app_data(data.clone());
                        Server::build(&make, &plot.sites, plot.settings, plot.meter).await
                    })
                });
                Ok(blueprint)
            })
        }))
    }

    /// Anything that `HttpServer` takes, made from what the step came to; as [`service`].
    pub fn service<F, I, V, B>(self, factory: F) -> Builder
    where
        F: Fn(S) -> I + Clone + Send + Sync + 'static,
        I: IntoServiceFactory<V, Request>,
        V: ServiceFactory<Request, Config = AppConfig> + 'static,
        V::Error: Into<WebError> + 'static,
        V::InitError: fmt::Debug,
        V::Response: Into<Response<B>> + 'static,
        <V::Service as Service<Request>>::Future: 'static,
        V::Service: 'static,
        B: MessageBody + 'static,
    {
        let step = self.step;
        Builder::new(Box::new(move |cluster| {
            Box::pin(async move {
                let state = step(cluster).await?;
                let blueprint: Blueprint = Arc::new(move |plot: Plot| {
                    let (factory, state) = (factory.clone(), state.clone());
                    Box::pin(async move {
                        let make = || factory(state.clone());
                        Server::build(&make, &plot.sites, plot.settings, plot.meter).await
                    })
                });
                Ok(blueprint)
            })
        }))
    }
}

type Bind = Box<dyn FnOnce(&Cluster)>;

/// An application on its way to be a cluster.
#[must_use = "a cluster starts with `listen`"]
pub struct Builder {
    prepare: Prepare,
    options: Option<Options>,
    actors: Vec<(Vec<Role>, Bind)>,
    warm_up: Option<WarmUpStep>,
    http: Http,
    ecv: EcvSettings,
    monitor: Vec<MonitorExtension>,
}

impl Builder {
    fn new(prepare: Prepare) -> Self {
        Builder {
            prepare,
            options: None,
            actors: Vec::new(),
            warm_up: None,
            http: Http::default(),
            ecv: EcvSettings::default(),
            monitor: Vec::new(),
        }
    }

    /// The options; those that [`Options::load`] gives, where none are set.
    pub fn options(mut self, options: Options) -> Self {
        self.options = Some(options);
        self
    }

    /// Starts an actor in each process of the roles named; it hears and answers what its `#[handles(..)]` lists.
    pub fn actor<A: HandlerActor>(
        mut self,
        roles: &[Role],
        make: impl FnOnce() -> A + 'static,
    ) -> Self {
        let bind = move |cluster: &Cluster| cluster.bind(make().start());
        self.actors.push((roles.to_vec(), Box::new(bind)));
        self
    }

    /// Runs in each process of the roles named, before anything is served: the place for subscriptions and statuses.
    pub fn in_roles(mut self, roles: &[Role], start: impl FnOnce(&Cluster) + 'static) -> Self {
        self.actors.push((roles.to_vec(), Box::new(start)));
        self
    }

    /// Warms a worker up before it serves: the step asks the real application, on a private listener, and nobody else can.
    /// When it fails, the worker's start has failed.
    pub fn warm_up<W, G, T, E>(mut self, step: W) -> Self
    where
        W: FnOnce(WarmUp) -> G + 'static,
        G: Future<Output = std::result::Result<T, E>> + 'static,
        E: Into<Error>,
    {
        self.warm_up = Some(Box::new(|worker| {
            let running = step(worker);
            Box::pin(async move { running.await.map(drop).map_err(Into::into) })
        }));
        self
    }

    /// Sets what users of `HttpServer` set: keep-alive, timeouts, limits, `on_connect`, listeners of their own making, TLS.
    pub fn server(mut self, set: impl FnOnce(&mut Http)) -> Self {
        set(&mut self.http);
        self
    }

    /// Sets how health probes are answered.
    pub fn ecv(mut self, set: impl FnOnce(&mut EcvSettings)) -> Self {
        set(&mut self.ecv);
        self
    }

    /// Adds routes to the monitor. They come before its own, and so can replace them.
    pub fn monitor(mut self, extend: impl Fn(&mut ServiceConfig) + Send + Sync + 'static) -> Self {
        self.monitor.push(Arc::new(extend));
        self
    }

    /// Starts the cluster, or this process's part in it; resolves when it is ready.
    ///
    /// # Errors
    ///
    /// Why it does not get ready; nothing of the cluster is left behind then.
    pub async fn listen(self) -> Result<Running> {
        let options = match self.options {
            Some(options) => options,
            None => Options::load()?,
        };
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
        let monitor = ClusterMonitor::new(self.monitor, self.ecv);
        let mut launch = Launch::new(options, Box::new(application))
            .cache_manager(Box::new(CacheApplication))
            .monitor(Box::new(monitor))
            .serving(self.http.sockets)
            .request_marker(in_request);
        for (roles, start) in self.actors {
            launch = launch.in_roles(&roles, start);
        }
        Ok(Running(launch.listen().await?))
    }
}
