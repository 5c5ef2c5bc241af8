//! What an application supplies, and what it is given: core knows no more of it than this.

use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use crate::node::Cluster;
use crate::protocol::{Beat, StartStep};
use crate::sys::page::Slot;

/// A listening socket that all workers share.
#[derive(Debug)]
pub enum Socket {
    /// TCP, and the address that it is bound to.
    Tcp(TcpListener),
    /// A Unix socket, and its path.
    Unix(UnixListener, PathBuf),
}

impl Socket {
    /// The address as people write it: `127.0.0.1:8080`, `[::1]:8080` or `unix:/path`.
    pub fn address(&self) -> String {
        match self {
            Socket::Tcp(listener) => listener
                .local_addr()
                .map_or_else(|_| "?".to_owned(), |a| a.to_string()),
            Socket::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }

    /// The same socket once more.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub fn try_clone(&self) -> std::io::Result<Self> {
        Ok(match self {
            Socket::Tcp(listener) => Socket::Tcp(listener.try_clone()?),
            Socket::Unix(listener, path) => Socket::Unix(listener.try_clone()?, path.clone()),
        })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Tcp(listener) => listener.as_fd(),
            Socket::Unix(listener, _) => listener.as_fd(),
        }
    }
}

/// Why a start failed.
#[derive(Debug, thiserror::Error)]
#[error("{step} failed: {source}")]
pub struct StartFailure {
    /// The step that failed.
    pub step: StartStep,
    /// Why.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl StartFailure {
    /// A step failed for this reason.
    pub fn new(
        step: StartStep,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        StartFailure {
            step,
            source: source.into(),
        }
    }
}

/// What a starting application is given.
#[non_exhaustive]
pub struct Means {
    /// The sockets to serve, shared with all other workers.
    pub sockets: Vec<Socket>,
    /// A slot of the shared page for each thread; fewer where the page is full.
    pub slots: Vec<Slot>,
    /// Another process does what this one is to do, and is to hand over to it.
    pub takes_over: bool,
}

/// An application as core sees it.
pub trait Application {
    /// Configures, builds and warms up the application, serving nobody yet.
    fn start(
        self: Box<Self>,
        cluster: Cluster,
        means: Means,
    ) -> LocalBoxFuture<'static, Result<Box<dyn Serving>, StartFailure>>;
}

/// An application that has started.
pub trait Serving {
    /// Serves from now on; gives back the addresses.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    fn accept(&mut self) -> LocalBoxFuture<'static, Result<Vec<String>, StartFailure>>;

    /// Stops accepting, at once; resolves when all that had been accepted is done.
    fn pause(&mut self) -> LocalBoxFuture<'static, ()>;

    /// Stops accepting with the others, lets what there is end, and then serves at an address of its own, which it gives back: on this
    /// machine alone, for whoever debugs it. [`accept`](Self::accept) takes it back. What has no address only pauses.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    fn isolate(&mut self) -> LocalBoxFuture<'static, Result<String, StartFailure>> {
        let paused = self.pause();
        Box::pin(async move {
            paused.await;
            Ok(String::new())
        })
    }

    /// Stops accepting, at once, and lets everything end; what idles is closed after the grace.
    fn drain(&mut self, grace: Duration) -> LocalBoxFuture<'static, ()>;

    /// Resolves when another process has taken this one's place: it then drains and ends by itself. Never, unless the application
    /// says otherwise; asked for once, when the process begins to serve.
    fn superseded(&mut self) -> LocalBoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }

    /// Adds the application's figures to a heartbeat.
    fn sample(&mut self, beat: &mut Beat);
}
