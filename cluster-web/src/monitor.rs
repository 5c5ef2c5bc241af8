//! The monitor: the master's own HTTP application, on a port of its own.

mod access;
mod actions;
mod assets;
pub(crate) mod audit;
mod caches;
mod chronicle;
mod debug;
mod deps;
mod guard;
mod health;
mod live;
mod metrics;
mod operate;
mod pages;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use actix_web::App;
use actix_web::middleware::from_fn;
use actix_web::web::{Data, JsonConfig, PayloadConfig, ServiceConfig};
use cluster_core::{Cluster, Monitor, Options, Socket, sys};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use tokio::time::timeout;
use tracing::warn;

use crate::acceptor::{AcceptorError, HttpSettings, Listener, Server, Site};
use crate::app::MonitorExtension;
use crate::ecv::{self, Ecv, EcvSettings};
use crate::tally::Meters;
use access::{Access, LONGEST_BODY, Reach};
use chronicle::Chronicle;
use deps::Dependencies;
use guard::{Probed, guard};
use live::Feed;

pub(crate) use guard::RightToAct;

/// How long connections to the monitor are waited for at the end.
const GRACE: std::time::Duration = std::time::Duration::from_millis(200);

/// How long its answers may take that are under way then.
const LONGEST_END: std::time::Duration = std::time::Duration::from_secs(2);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why the monitor does not serve.
#[derive(Debug, thiserror::Error)]
enum MonitorError {
    #[error("{address} (--mon-host, --mon-port) cannot be bound: {source}")]
    Bind {
        address: SocketAddr,
        source: io::Error,
    },
    #[error(transparent)]
    Acceptor(#[from] AcceptorError),
}

pub(crate) struct ClusterMonitor {
    extensions: Vec<MonitorExtension>,
    settings: Option<EcvSettings>,
    ecv: Option<Ecv>,
    dependencies: Data<Dependencies>,
    chronicle: Option<Chronicle>,
    feed: std::rc::Rc<std::cell::RefCell<Option<Feed>>>,
    server: std::rc::Rc<std::cell::RefCell<Option<Server>>>,
    /// The listening socket once more, for the master that may come after this one in the same process.
    socket: std::rc::Rc<std::cell::RefCell<Option<Socket>>>,
}

impl ClusterMonitor {
    pub(crate) fn new(
        extensions: Vec<MonitorExtension>,
        ecv: EcvSettings,
        dependencies: Option<&'static str>,
    ) -> Self {
        ClusterMonitor {
            extensions,
            settings: Some(ecv),
            ecv: None,
            dependencies: Data::new(Dependencies::new(dependencies)),
            chronicle: None,
            feed: std::rc::Rc::default(),
            server: std::rc::Rc::default(),
            socket: std::rc::Rc::default(),
        }
    }
}

impl Monitor for ClusterMonitor {
    fn configure(&mut self, cluster: &Cluster) -> Result<(), BoxError> {
        let settings = self.settings.take().unwrap_or_default();
        self.ecv = ecv::of_cluster(settings, cluster)?;
        // Before the first worker is started, so that nothing is missed.
        self.chronicle = Some(Chronicle::begin(cluster));
        Ok(())
    }

    fn address(&self, options: &Options) -> SocketAddr {
        SocketAddr::new(options.mon_host, options.mon_port)
    }

    fn serve(
        &mut self,
        cluster: &Cluster,
        given: Option<Socket>,
    ) -> LocalBoxFuture<'static, Result<Vec<String>, BoxError>> {
        let address = self.address(cluster.options());
        let extensions = self.extensions.clone();
        let ecv = self.ecv.clone();
        let cluster = cluster.clone();
        let dependencies = self.dependencies.clone();
        let chronicle = self.chronicle.clone().unwrap_or_default();
        let place = std::rc::Rc::clone(&self.server);
        let kept = std::rc::Rc::clone(&self.socket);
        let feeds = std::rc::Rc::clone(&self.feed);
        async move {
            let socket = match given {
                Some(socket) => socket,
                None => bind(address)?,
            };
            *kept.borrow_mut() = socket.try_clone().ok();
            let access = access(&socket, cluster.options());
            let feed = Feed::new(cluster.clone(), chronicle.clone(), access.needs_token());
            *feeds.borrow_mut() = Some(feed.clone());
            let site = Rooms {
                cluster,
                extensions,
                ecv,
                dependencies,
                chronicle,
                access,
                feed,
            };
            let (server, address) = serve(socket, site).await?;
            *place.borrow_mut() = Some(server);
            Ok(vec![address])
        }
        .boxed_local()
    }

    fn hand_over(&self) -> Option<Socket> {
        self.socket.borrow().as_ref()?.try_clone().ok()
    }

    fn stop(&mut self) -> LocalBoxFuture<'static, ()> {
        self.socket.borrow_mut().take();
        let server = self.server.borrow_mut().take();
        // What is streamed would not end by itself.
        if let Some(feed) = self.feed.borrow_mut().take() {
            feed.end();
        }
        async move {
            if let Some(server) = server
                && timeout(LONGEST_END, server.drain(GRACE)).await.is_err()
            {
                server.force_close();
            }
        }
        .boxed_local()
    }
}

fn bind(address: SocketAddr) -> Result<Socket, MonitorError> {
    TcpListener::bind(address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .map(Socket::Tcp)
        .map_err(|source| MonitorError::Bind { address, source })
}

/// Who may act at this socket; where nobody may, it is said once.
fn access(socket: &Socket, options: &Options) -> Access {
    let address = match socket {
        Socket::Tcp(listener) => listener.local_addr().ok(),
        Socket::Unix(..) => None,
    };
    let access = Access::new(options, Reach::of(address), sys::host_name());
    if let Some(address) = access.nobody_acts() {
        warn!(%address, "nobody can act by way of the monitor: it listens where others than this machine reach it, and has neither --mon-token nor --mon-behind-proxy");
    }
    access
}

/// What the monitor's application is put together from.
struct Rooms {
    cluster: Cluster,
    extensions: Vec<MonitorExtension>,
    ecv: Option<Ecv>,
    dependencies: Data<Dependencies>,
    chronicle: Chronicle,
    access: Access,
    feed: Feed,
}

/// The monitor shares the master's own thread: it is small, and what it shows is there.
async fn serve(socket: Socket, rooms: Rooms) -> Result<(Server, String), MonitorError> {
    let host = socket.address();
    let (listener, bound, address) = match socket {
        Socket::Tcp(listener) => {
            let bound = listener.local_addr().ok();
            (Listener::Tcp(listener), bound, format!("http://{host}"))
        }
        Socket::Unix(listener, _) => (Listener::Unix(listener), None, host.clone()),
    };
    let site = Site {
        host,
        address: bound.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        secure: false,
    };
    let ecv_root = rooms.cluster.options().ecv.root.clone();
    let probed = [
        ecv_root,
        health::HEALTHZ.to_owned(),
        health::READYZ.to_owned(),
    ];
    let (cluster, access) = (Data::new(rooms.cluster), Data::new(rooms.access));
    let (chronicle, feed) = (Data::new(rooms.chronicle), Data::new(rooms.feed));
    let probed = Data::new(Probed(probed.to_vec()));
    let factory = || {
        let mut app = App::new()
            .app_data(cluster.clone())
            .app_data(access.clone())
            .app_data(probed.clone())
            .app_data(chronicle.clone())
            .app_data(feed.clone())
            .app_data(rooms.dependencies.clone())
            .app_data(JsonConfig::default().limit(LONGEST_BODY))
            .app_data(PayloadConfig::new(LONGEST_BODY));
        for extend in &rooms.extensions {
            app = app.configure(|config| extend(config));
        }
        if let Some(ecv) = &rooms.ecv {
            app = app.configure(|config| ecv::enable(config, ecv.clone()));
        }
        app = app.configure(debug::configure);
        app.configure(routes).wrap(from_fn(guard))
    };
    let meter = Meters::new().for_thread();
    let server = Server::build(&factory, &[site], HttpSettings::default(), meter).await?;
    server.accept(vec![listener], None)?;
    Ok((server, address))
}

fn routes(config: &mut ServiceConfig) {
    pages::configure(config);
    health::configure(config);
    metrics::configure(config);
    deps::configure(config);
    actions::configure(config);
    caches::configure(config);
    live::configure(config);
    assets::configure(config);
}
