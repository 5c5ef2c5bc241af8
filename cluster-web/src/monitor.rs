//! The monitor: the master's own HTTP application, on a port of its own.

mod debug;
mod pages;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use actix_web::App;
use actix_web::web::Data;
use cluster_core::{Cluster, Monitor, Options, Socket};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use crate::acceptor::{AcceptorError, HttpSettings, Listener, Server, Site};
use crate::app::MonitorExtension;
use crate::ecv::{self, Ecv, EcvSettings};
use crate::tally::Meters;

/// How long connections to the monitor are waited for at the end.
const GRACE: std::time::Duration = std::time::Duration::from_millis(200);

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
    server: std::rc::Rc<std::cell::RefCell<Option<Server>>>,
    /// The listening socket once more, for the master that may come after this one in the same process.
    socket: std::rc::Rc<std::cell::RefCell<Option<Socket>>>,
}

impl ClusterMonitor {
    pub(crate) fn new(extensions: Vec<MonitorExtension>, ecv: EcvSettings) -> Self {
        ClusterMonitor {
            extensions,
            settings: Some(ecv),
            ecv: None,
            server: std::rc::Rc::default(),
            socket: std::rc::Rc::default(),
        }
    }
}

impl Monitor for ClusterMonitor {
    fn configure(&mut self, cluster: &Cluster) -> Result<(), BoxError> {
        let settings = self.settings.take().unwrap_or_default();
        self.ecv = ecv::of_cluster(settings, cluster)?;
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
        let place = std::rc::Rc::clone(&self.server);
        let kept = std::rc::Rc::clone(&self.socket);
        async move {
            let socket = match given {
                Some(socket) => socket,
                None => bind(address)?,
            };
            *kept.borrow_mut() = socket.try_clone().ok();
            let (server, address) = serve(socket, cluster, extensions, ecv).await?;
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
        async move {
            if let Some(server) = server {
                server.drain(GRACE).await;
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

/// The monitor shares the master's own thread: it is small, and what it shows is there.
async fn serve(
    socket: Socket,
    cluster: Cluster,
    extensions: Vec<MonitorExtension>,
    ecv: Option<Ecv>,
) -> Result<(Server, String), MonitorError> {
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
    let data = Data::new(cluster);
    let factory = || {
        let mut app = App::new().app_data(data.clone());
        for extend in &extensions {
            app = app.configure(|config| extend(config));
        }
        if let Some(ecv) = &ecv {
            app = app.configure(|config| ecv::enable(config, ecv.clone()));
        }
        app = app.configure(debug::configure);
        app.configure(pages::configure)
    };
    let meter = Meters::new().for_thread();
    let server = Server::build(&factory, &[site], HttpSettings::default(), meter).await?;
    server.accept(vec![listener], None)?;
    Ok((server, address))
}
