//! A listening socket, shared with other processes, and what its errors mean.

use std::{
    cell::RefCell,
    io, net,
    os::unix,
    sync::Arc,
    task::{Context, Poll},
};

use cluster_core::Turns;
use rustls::ServerConfig;
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

use super::{conn::Stream, error::AcceptorError};

/// A socket to accept on. Several processes and threads may hold the same one.
#[derive(Debug)]
pub enum Listener {
    /// Plain HTTP over TCP.
    Tcp(net::TcpListener),
    /// HTTP over TLS over TCP.
    Tls(net::TcpListener, Arc<ServerConfig>),
    /// Plain HTTP over a Unix socket.
    Unix(unix::net::UnixListener),
}

impl Listener {
    /// Whether clients come over TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        matches!(self, Listener::Tls(..))
    }
}

/// A connection just accepted, the handshake still to come where there is one.
pub(crate) struct Accepted {
    pub(crate) stream: Stream,
    pub(crate) peer: Option<net::SocketAddr>,
}

enum Socket {
    Tcp(Turns<TcpListener>),
    Unix(Turns<UnixListener>),
}

/// A listener in use by this thread; empty once closed.
pub(crate) struct Door {
    socket: RefCell<Option<Socket>>,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) secure: bool,
    pub(crate) address: String,
}

impl Door {
    /// Registers the listener with this thread's reactor.
    pub(crate) fn open(listener: Listener, http2: bool) -> Result<Self, AcceptorError> {
        let address = address_of(&listener);
        let failed = |source| AcceptorError::Listener {
            address: address.clone(),
            source,
        };
        let secure = listener.is_secure();
        let (socket, tls) = match listener {
            Listener::Tcp(listener) => (tcp(listener).map_err(failed)?, None),
            Listener::Tls(listener, config) => (
                tcp(listener).map_err(failed)?,
                Some(TlsAcceptor::from(offering(config, http2))),
            ),
            Listener::Unix(listener) => (unix(listener).map_err(failed)?, None),
        };
        Ok(Door {
            socket: RefCell::new(Some(socket)),
            tls,
            secure,
            address,
        })
    }

    /// Drops the socket at once; whoever else holds it goes on.
    pub(crate) fn close(&self) {
        self.socket.borrow_mut().take();
    }

    /// Lets the other acceptors come first for the next connection.
    pub(crate) fn pass(&self) {
        match &*self.socket.borrow() {
            None => {}
            Some(Socket::Tcp(turns)) => turns.pass(),
            Some(Socket::Unix(turns)) => turns.pass(),
        }
    }

    /// Is not woken by connections until [`step_in`](Self::step_in).
    pub(crate) fn step_out(&self) {
        match &*self.socket.borrow() {
            None => {}
            Some(Socket::Tcp(turns)) => turns.step_out(),
            Some(Socket::Unix(turns)) => turns.step_out(),
        }
    }

    pub(crate) fn step_in(&self) {
        match &*self.socket.borrow() {
            None => {}
            Some(Socket::Tcp(turns)) => turns.step_in(),
            Some(Socket::Unix(turns)) => turns.step_in(),
        }
    }

    /// The next connection; `None` once the door is closed.
    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Accepted>>> {
        match &*self.socket.borrow() {
            None => Poll::Ready(None),
            Some(Socket::Tcp(listener)) => listener.poll_accept(cx).map(|accepted| {
                Some(accepted.map(|(stream, peer)| Accepted {
                    stream: Stream::Tcp(stream),
                    peer: Some(peer),
                }))
            }),
            Some(Socket::Unix(listener)) => listener.poll_accept(cx).map(|accepted| {
                Some(accepted.map(|(stream, _)| Accepted {
                    stream: Stream::Unix(stream),
                    peer: None,
                }))
            }),
        }
    }
}

fn tcp(listener: net::TcpListener) -> io::Result<Socket> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener).map(|listener| Socket::Tcp(Turns::take(listener)))
}

fn unix(listener: unix::net::UnixListener) -> io::Result<Socket> {
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener).map(|listener| Socket::Unix(Turns::take(listener)))
}

fn address_of(listener: &Listener) -> String {
    match listener {
        Listener::Tcp(socket) | Listener::Tls(socket, _) => socket
            .local_addr()
            .map_or_else(|_| "unknown address".to_owned(), |addr| addr.to_string()),
        Listener::Unix(socket) => socket
            .local_addr()
            .ok()
            .and_then(|addr| {
                addr.as_pathname()
                    .map(|path| format!("unix:{}", path.display()))
            })
            .unwrap_or_else(|| "unix:unnamed".to_owned()),
    }
}

/// The configuration with the protocols that are served: HTTP/2 first, where it was asked for.
fn offering(config: Arc<ServerConfig>, http2: bool) -> Arc<ServerConfig> {
    let mut config = Arc::unwrap_or_clone(config);
    let served = http2
        .then_some(&b"h2"[..])
        .into_iter()
        .chain([&b"http/1.1"[..]]);
    let mut protocols: Vec<_> = served.map(<[u8]>::to_vec).collect();
    protocols.extend(
        config
            .alpn_protocols
            .drain(..)
            .filter(|name| name != b"h2" && name != b"http/1.1"),
    );
    config.alpn_protocols = protocols;
    Arc::new(config)
}

/// What to do after a failed accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// The client is gone, or the call was interrupted: the next, please.
    Next,
    /// Nothing more can be accepted for now: descriptors or memory are short, or worse.
    Wait,
}

pub(crate) fn remedy(error: &io::Error) -> Remedy {
    use io::ErrorKind::*;
    match error.kind() {
        ConnectionAborted | ConnectionReset | ConnectionRefused | Interrupted | TimedOut
        | HostUnreachable | NetworkUnreachable | NetworkDown | PermissionDenied => Remedy::Next,
        _ => Remedy::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_clients_are_skipped_and_shortages_waited_out() {
        // ECONNABORTED, EPERM (a firewall), EHOSTUNREACH; then EMFILE, ENFILE, ENOMEM.
        for code in [103, 1, 113] {
            assert_eq!(remedy(&io::Error::from_raw_os_error(code)), Remedy::Next);
        }
        for code in [24, 23, 12] {
            assert_eq!(remedy(&io::Error::from_raw_os_error(code)), Remedy::Wait);
        }
    }

    #[tokio::test]
    async fn a_closed_door_gives_nothing_more() {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let door = Door::open(Listener::Tcp(listener), false).unwrap();
        door.close();
        let next = std::future::poll_fn(|cx| door.poll_accept(cx)).await;
        assert!(next.is_none());
    }
}
