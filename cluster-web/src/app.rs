//! The entry for applications: an actix-web app factory becomes a cluster.

use std::fmt;
use std::sync::Arc;

use actix_http::body::MessageBody;
use actix_http::{Request, Response};
use actix_service::{IntoServiceFactory, Service, ServiceFactory};
use actix_web::dev::{AppConfig, ServiceRequest, ServiceResponse};
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, Error as WebError};
use cluster_core::Cluster;
use futures_util::future::LocalBoxFuture;

use crate::acceptor::{AcceptorError, HttpSettings, Server, Site};
use crate::builder::{Builder, Web};
use crate::error::Result;
use crate::tally::Meter;
use crate::warm_up::WarmUp;

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
pub fn app<F, T, B>(factory: F) -> Builder<Web>
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
pub fn service<F, I, S, B>(factory: F) -> Builder<Web>
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
    pub fn app<F, T, B>(self, factory: F) -> Builder<Web>
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
        Builder::of(Web::new(Box::new(move |cluster| {
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
        })))
    }

    /// Anything that `HttpServer` takes, made from what the step came to; as [`service`].
    pub fn service<F, I, V, B>(self, factory: F) -> Builder<Web>
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
        Builder::of(Web::new(Box::new(move |cluster| {
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
        })))
    }
}
