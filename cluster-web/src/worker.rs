//! A worker of an actix-web application: configured, built, warmed up, served.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster_core::{
    Application, Beat, Cluster, Means, Serving, Slot, Socket, StartFailure, StartStep,
};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use rustls::ServerConfig;
use tokio::time::timeout;
use tracing::info;

use crate::acceptor::{HttpSettings, Listener, Site};
use crate::app::{Plot, Prepare, WarmUpStep};
use crate::tally::Meters;
use crate::threads::Threads;
use crate::warm_up::WarmUp;

/// How often a warm-up port that another worker is using is tried again.
const AGAIN: Duration = Duration::from_millis(20);
/// How long connections that the warm-up left open are waited for.
const WARM_UP_GRACE: Duration = Duration::from_millis(100);
/// How long idle connections stay open when a worker is paused.
const PAUSE_GRACE: Duration = Duration::from_secs(1);

/// Why a warm-up failed.
#[derive(Debug, thiserror::Error)]
enum WarmUpFailure {
    #[error("it did not end within {0} ms (--warm-up-timeout)")]
    Timeout(u128),
    #[error("its listener cannot be bound to port {port} (--warm-up-port): {source}")]
    Listener { port: u16, source: std::io::Error },
    #[error(transparent)]
    Acceptor(#[from] crate::acceptor::AcceptorError),
    #[error("{0}")]
    Step(String),
}

pub(crate) struct HttpApplication {
    pub(crate) prepare: Prepare,
    pub(crate) warm_up: Option<WarmUpStep>,
    pub(crate) settings: HttpSettings,
    pub(crate) tls: Option<Arc<ServerConfig>>,
}

impl Application for HttpApplication {
    fn start(
        self: Box<Self>,
        cluster: Cluster,
        means: Means,
    ) -> LocalBoxFuture<'static, Result<Box<dyn Serving>, StartFailure>> {
        async move { Ok(Box::new(self.started(cluster, means).await?) as Box<dyn Serving>) }
            .boxed_local()
    }
}

impl HttpApplication {
    async fn started(self, cluster: Cluster, means: Means) -> Result<Served, StartFailure> {
        let failed = |step| move |e: crate::Error| StartFailure::new(step, e);
        let blueprint = (self.prepare)(cluster.clone())
            .await
            .map_err(failed(StartStep::Configure))?;
        let options = cluster.options();
        let meters = Meters::new();
        let site = site(&means.sockets, self.tls.is_some());
        let plots = (0..options.threads).map(|_| Plot {
            sites: vec![site.clone()],
            settings: self.settings.clone(),
            meter: meters.for_thread(),
        });
        let threads = Threads::build(&cluster, &blueprint, plots.collect())
            .await
            .map_err(|e| StartFailure::new(StartStep::Build, e))?;
        if let Some(step) = self.warm_up {
            let (port, time) = (options.warm_up_port, options.warm_up_timeout);
            let warm = warm_up(&threads, step, port, time);
            let warmed = match timeout(time, warm).await {
                Ok(warmed) => warmed,
                Err(_) => Err(WarmUpFailure::Timeout(time.as_millis())),
            };
            warmed.map_err(|e| StartFailure::new(StartStep::WarmUp, e))?;
        }
        // What the warm-up did is not the users' traffic.
        let warmed = meters.take();
        Ok(Served {
            threads,
            sockets: means.sockets,
            slots: means.slots,
            tls: self.tls,
            meters,
            drain_time: options.stop_timeout,
            apart: false,
            sampled: Instant::now(),
            busy_us: warmed.answers.total_ns / 1000,
        })
    }
}

/// What the application is told of where it is served.
fn site(sockets: &[Socket], secure: bool) -> Site {
    let tcp = sockets.iter().find_map(|socket| match socket {
        Socket::Tcp(listener) => listener.local_addr().ok(),
        Socket::Unix(..) => None,
    });
    let address = tcp.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    Site {
        host: address.to_string(),
        address,
        secure,
    }
}

/// Serves the application to its warm-up step alone.
async fn warm_up(
    threads: &Threads,
    step: WarmUpStep,
    port: u16,
    time: Duration,
) -> Result<(), WarmUpFailure> {
    let Some(server) = threads.main() else {
        return Ok(());
    };
    let listener = private_listener(port, time).await?;
    let address = listener
        .local_addr()
        .map_err(|source| WarmUpFailure::Listener { port, source })?;
    server.accept(vec![Listener::Tcp(listener)], None)?;
    info!(%address, "warming up");
    let outcome = step(WarmUp::new(address, time)).await;
    server.drain(WARM_UP_GRACE).await;
    outcome.map_err(|e| {
        let error: Box<dyn std::error::Error> = e.into();
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        WarmUpFailure::Step(text)
    })
}

/// A fixed port may be in use by another worker's warm-up: it is waited for, as long as the warm-up may take.
async fn private_listener(port: u16, time: Duration) -> Result<TcpListener, WarmUpFailure> {
    // A little less than the whole of the time, so that it is the port that is named and not the time.
    let until = Instant::now() + time.mul_f32(0.9);
    loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => {
                listener
                    .set_nonblocking(true)
                    .map_err(|source| WarmUpFailure::Listener { port, source })?;
                return Ok(listener);
            }
            Err(e)
                if port != 0
                    && e.kind() == std::io::ErrorKind::AddrInUse
                    && Instant::now() < until =>
            {
                tokio::time::sleep(AGAIN).await;
            }
            Err(source) => return Err(WarmUpFailure::Listener { port, source }),
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

struct Served {
    threads: Threads,
    sockets: Vec<Socket>,
    slots: Vec<Slot>,
    tls: Option<Arc<ServerConfig>>,
    meters: Meters,
    /// How long what is under way may take where this worker is isolated.
    drain_time: Duration,
    /// It accepts at an address of its own alone.
    apart: bool,
    sampled: Instant,
    /// What all answers had taken by then, in microseconds.
    busy_us: u64,
}

impl Served {
    /// The shared sockets once more, for one thread.
    fn listeners(&self) -> std::io::Result<Vec<Listener>> {
        let listeners = self.sockets.iter().map(|socket| {
            Ok(match (socket, &self.tls) {
                (Socket::Tcp(l), Some(tls)) => Listener::Tls(l.try_clone()?, Arc::clone(tls)),
                (Socket::Tcp(l), None) => Listener::Tcp(l.try_clone()?),
                (Socket::Unix(l, _), _) => Listener::Unix(l.try_clone()?),
            })
        });
        listeners.collect()
    }

    fn addresses(&self) -> Vec<String> {
        self.sockets.iter().map(Socket::address).collect()
    }
}

impl Serving for Served {
    fn accept(&mut self) -> LocalBoxFuture<'static, Result<Vec<String>, StartFailure>> {
        if std::mem::take(&mut self.apart)
            && let Some(server) = self.threads.main()
        {
            server.stop_accepting();
        }
        let listeners: std::io::Result<Vec<_>> = (0..self.threads.count())
            .map(|n| Ok((self.listeners()?, self.slots.get(n).cloned())))
            .collect();
        let accepting = listeners.map(|listeners| self.threads.accept(listeners));
        let addresses = self.addresses();
        async move {
            let listen = StartStep::Listen;
            let accepting = accepting.map_err(|e| StartFailure::new(listen, e))?;
            accepting.await.map_err(|e| StartFailure::new(listen, e))?;
            Ok(addresses)
        }
        .boxed_local()
    }

    fn pause(&mut self) -> LocalBoxFuture<'static, ()> {
        self.threads.drain(PAUSE_GRACE)
    }

    fn isolate(&mut self) -> LocalBoxFuture<'static, Result<String, StartFailure>> {
        self.apart = true;
        let drained = self.threads.drain(PAUSE_GRACE);
        let (server, time) = (self.threads.main().cloned(), self.drain_time);
        async move {
            // What takes longer is finished beside what whoever debugs it asks for.
            let _ = timeout(time, drained).await;
            let failed = |e: WarmUpFailure| StartFailure::new(StartStep::Listen, e);
            let listener = private_listener(0, time).await.map_err(failed)?;
            let address = listener
                .local_addr()
                .map_err(|e| StartFailure::new(StartStep::Listen, e))?;
            if let Some(server) = server {
                server
                    .accept(vec![Listener::Tcp(listener)], None)
                    .map_err(|e| failed(e.into()))?;
            }
            Ok(format!("http://{address}"))
        }
        .boxed_local()
    }

    fn drain(&mut self, grace: Duration) -> LocalBoxFuture<'static, ()> {
        let drained = self.threads.drain(grace);
        // This process holds the sockets no longer: what waits in their queues is for others.
        self.sockets.clear();
        drained
    }

    fn sample(&mut self, beat: &mut Beat) {
        let traffic = self.meters.take();
        let since_ms = self.sampled.elapsed().as_millis();
        self.sampled = Instant::now();
        beat.live_connections = self.slots.iter().map(Slot::live).sum();
        beat.connections = traffic.connections;
        beat.recent_requests = traffic.recent;
        let busy_us = traffic.answers.total_ns / 1000;
        beat.recent_busy_us = busy_us.saturating_sub(self.busy_us);
        self.busy_us = busy_us;
        beat.requests = traffic.requests;
        beat.errors = traffic.errors;
        beat.answers = traffic.answers;
        beat.cache = cluster_cache::durations();
        beat.panics = traffic.panics;
        beat.p50_us = micros(traffic.p50);
        beat.p99_us = micros(traffic.p99);
        #[allow(clippy::cast_precision_loss)]
        if since_ms > 0 {
            beat.tps = traffic.recent as f64 * 1000.0 / since_ms as f64;
        }
    }
}
