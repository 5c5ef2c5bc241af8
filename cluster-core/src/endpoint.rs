//! A socket of one's own beside the master's, for a service that many processes use: the cache manager's.
//!
//! ```text
//! client ─ Connection::connect ═ frames ═ ServiceSocket::accept ─ service
//! ```
//!
//! The same frames, handshake and bounds as everywhere on the bridge; what the messages mean is the service's own business.
//! A peer that breaks the rules loses its own connection and nothing else.
//!
//! A process that is to take the service over comes to the same socket, and is told apart by its handshake: what it is handed goes
//! over a [`Transfer`].

mod send_error;
mod transfer;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use tracing::warn;

pub use send_error::SendError;
pub use transfer::{Messages, Transfer};

use crate::bridge::handshake::{self, HandshakeError, PATIENCE, pid_of};
use crate::bridge::link::{self, Bounds, Closed};
use crate::bridge::outbox::Outbox;
use crate::bridge::turn::Turns;
use crate::id::{Generation, ProcessId, Role};
use crate::protocol::{Hello, PROTOCOL, Welcome};
use crate::sys::SocketError;
use crate::sys::socket;
use crate::sys::stream::Stream;
use crate::wire::codec::{self, CodecError};
pub use crate::wire::fields::{NoField, Reader, Writer};
use crate::wire::frame::{Header, Lane};

/// What the messages of a service are sent as; the kinds below are the bridge's own.
const HEADER: Header = Header {
    kind: 64,
    version: 1,
    lane: Lane::Data,
};

/// What a process says it is that takes the service over; clients are operators here.
const SUCCESSOR: Role = Role::CacheManager;

/// Bytes that may wait for a client while it is heard: one that does not take its answers is not heard before it has.
pub const CROWD: usize = 1024 * 1024;

/// A service's listening socket. Its file is removed when it is dropped.
#[derive(Debug)]
pub struct ServiceSocket {
    listener: UnixListener,
    path: PathBuf,
    /// The file's own number: it may be another's by the time it is to be removed.
    inode: Option<u64>,
    turns: Arc<Turns>,
}

impl ServiceSocket {
    /// Listens at a path. A socket file there that nobody listens on any more is replaced; who calls this holds a lock, where
    /// several could do so at once.
    ///
    /// # Errors
    ///
    /// Why it cannot, naming the path.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let listener = socket::bind_unix(path, 0o600)?;
        let listener = UnixListener::from_std(listener)
            .map_err(|source| SocketError::unusable(path, &source))?;
        Ok(ServiceSocket {
            listener,
            path: path.to_owned(),
            inode: inode(path),
            turns: Arc::default(),
        })
    }

    /// Goes on listening at a socket that another process has handed over with a [`Transfer`], and that is bound to this path.
    ///
    /// # Errors
    ///
    /// Why it cannot, naming the path: what was handed over may be no listening socket.
    pub fn inherit(listener: OwnedFd, path: &Path) -> Result<Self, SocketError> {
        let unusable = |source: &io::Error| SocketError::unusable(path, source);
        if !socket::is_listening(&listener).map_err(|e| unusable(&e))? {
            return Err(unusable(&io::ErrorKind::InvalidInput.into()));
        }
        let listener = UnixListener::from_std(listener.into()).map_err(|e| unusable(&e))?;
        Ok(ServiceSocket {
            listener,
            path: path.to_owned(),
            inode: inode(path),
            turns: Arc::default(),
        })
    }

    /// Stops listening, and leaves the file to the process that the socket was handed to.
    pub fn bequeath(mut self) {
        self.inode = None;
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next connection that has come; its handshake is yet to be heard.
    ///
    /// # Errors
    ///
    /// What the system said; a shortage of descriptors may pass.
    ///
    /// # Cancel safety
    ///
    /// No connection is lost when it is dropped.
    pub async fn accept(&self) -> io::Result<Caller> {
        let (stream, _) = self.listener.accept().await?;
        Ok(Caller {
            stream,
            turns: Arc::clone(&self.turns),
        })
    }
}

impl AsFd for ServiceSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for ServiceSocket {
    fn drop(&mut self) {
        if self.inode.is_some() && self.inode == inode(&self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    std::fs::symlink_metadata(path).ok().map(|file| file.ino())
}

/// A connection that has come, and has not introduced itself yet.
#[derive(Debug)]
pub struct Caller {
    stream: UnixStream,
    /// Those of all clients.
    turns: Arc<Turns>,
}

/// Who was let in.
#[derive(Debug)]
pub enum Admitted {
    /// A client.
    Client(Connection),
    /// A process that is to take the service over.
    Successor(Transfer),
}

impl Caller {
    /// Hears who it is, and lets it in: a process of this user or of root.
    ///
    /// # Errors
    ///
    /// Why it is not let in; it has been told, and there is a line in the log.
    pub async fn admit(self) -> Result<Admitted, HandshakeError> {
        let stream = self.stream;
        let heard = timeout(PATIENCE, handshake::hear(&stream)).await;
        let heard = heard.unwrap_or(Err(HandshakeError::Silent));
        let hello = match heard {
            Ok(hello) => hello,
            Err(e) => {
                warn!(pid = pid_of(&stream), reason = %e, "a connection was not let in");
                if let HandshakeError::Refused(refused) = &e {
                    let _ = handshake::send(&stream, refused).await;
                }
                return Err(e);
            }
        };
        let welcome = Welcome {
            protocol: PROTOCOL,
            build: crate::build::id().to_owned(),
            pid: std::process::id(),
            you: ProcessId::Operator(0),
        };
        handshake::send(&stream, &welcome).await?;
        if hello.role == SUCCESSOR {
            return Ok(Admitted::Successor(Transfer::new(stream, hello.pid)));
        }
        let bounds = Bounds {
            turns: Some(self.turns),
            crowd: CROWD,
            ..Bounds::default()
        };
        Connection::new(stream, hello.pid, hello.build, bounds).map(Admitted::Client)
    }
}

/// Connects, introduces this process as one of this role, and waits to be let in.
async fn introduce(path: &Path, role: Role) -> Result<(UnixStream, Welcome), HandshakeError> {
    let hello = Hello {
        protocol: PROTOCOL,
        build: crate::build::id().to_owned(),
        role,
        worker: None,
        generation: Generation(0),
        pid: std::process::id(),
    };
    let connecting = timeout(PATIENCE, handshake::connect(path, &hello, None)).await;
    connecting.unwrap_or(Err(HandshakeError::Silent))
}

/// One end of a connection between a service and its client.
#[derive(Debug)]
pub struct Connection {
    stream: Arc<Stream>,
    sender: Sender,
    pid: u32,
    build: String,
    bounds: Bounds,
}

impl Connection {
    fn new(
        stream: UnixStream,
        pid: u32,
        build: String,
        bounds: Bounds,
    ) -> Result<Self, HandshakeError> {
        let stream = Arc::new(Stream::new(stream)?);
        let outbox = Arc::new(Outbox::new());
        outbox.open(Arc::clone(&stream));
        Ok(Connection {
            stream,
            sender: Sender(outbox),
            pid,
            build,
            bounds,
        })
    }

    /// Connects to the service at a path.
    ///
    /// # Errors
    ///
    /// Why there is no connection.
    pub async fn connect(path: &Path) -> Result<Self, HandshakeError> {
        let (stream, welcome) = introduce(path, Role::Operator).await?;
        let bounds = Bounds::default();
        Connection::new(stream, welcome.pid, welcome.build, bounds)
    }

    /// The pid of the process at the other end.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The build that runs at the other end.
    pub fn build(&self) -> &str {
        &self.build
    }

    /// Whether the same build runs at both ends.
    pub fn is_of_same_build(&self) -> bool {
        self.build == crate::build::id()
    }

    /// What sends to the other end.
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// Runs the connection until it ends; says why it did. `receive` is called for each message, in order, in this task; its error
    /// ends the connection. What was sent and is not written by then is lost.
    ///
    /// # Cancel safety
    ///
    /// Dropping it ends the connection.
    pub async fn run(self, receive: impl FnMut(&[u8]) -> Result<(), Closed>) -> Closed {
        self.run_gated(async || {}, receive).await
    }

    /// The same; before each read, `gate` is waited for. What the other end sends meanwhile waits in the socket.
    ///
    /// # Cancel safety
    ///
    /// Dropping it ends the connection.
    pub async fn run_gated(
        self,
        gate: impl AsyncFn(),
        mut receive: impl FnMut(&[u8]) -> Result<(), Closed>,
    ) -> Closed {
        let _end = End(self.sender.clone());
        let receive = |header: Header, body: &[u8]| match header {
            HEADER => receive(body),
            other => Err(Closed::Forbidden(other.kind)),
        };
        link::run_gated(self.bounds, &self.stream, &self.sender.0, gate, receive).await
    }
}

/// Sees to it that nobody sends to a connection that has ended.
struct End(Sender);

impl Drop for End {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Sends to the other end of a connection. Cheap to clone; usable from every thread.
#[derive(Clone)]
pub struct Sender(Arc<Outbox>);

impl Sender {
    /// Sends a message. Never waits: what the socket cannot take at once waits in a bounded queue.
    ///
    /// # Errors
    ///
    /// Why it did not set out.
    pub fn send<T: Serialize>(&self, message: &T) -> Result<(), SendError> {
        self.send_written(|out| encode(message, out))
    }

    /// Sends a message as `write` appends it.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_written(
        &self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
    ) -> Result<(), SendError> {
        self.0.push(HEADER, write).map_err(SendError::from)
    }

    /// The same for a lone message that is to arrive soon: it is written at once, and not when the connection's task next runs.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_urgent(
        &self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
    ) -> Result<(), SendError> {
        self.0.push_as(HEADER, true, write).map_err(SendError::from)
    }

    /// Has all that is sent from now on wait, until [`release`](Self::release): where it is not yet known whether it will be true.
    pub fn hold(&self) {
        self.0.hold();
    }

    /// What has been held back sets out.
    pub fn release(&self) {
        self.0.release();
    }

    /// How many bytes wait to be written.
    pub fn waiting(&self) -> usize {
        self.0.waiting()
    }

    /// Waits until no more than [`CROWD`] bytes wait, or the connection has ended.
    ///
    /// # Cancel safety
    ///
    /// It only watches: dropping it changes nothing.
    pub async fn ready(&self) {
        self.0.drained_to(CROWD).await;
    }

    /// Waits until all that was sent has been written, or the connection has ended.
    ///
    /// # Cancel safety
    ///
    /// It only watches: dropping it changes nothing.
    pub async fn flushed(&self) {
        self.0.drained_to(0).await;
    }

    /// Ends the connection.
    pub fn close(&self) {
        self.0.close();
    }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sender")
    }
}

/// Appends a message to a buffer, which is left as it was if the message cannot be written.
///
/// # Errors
///
/// Why it cannot be written.
pub fn encode<T: Serialize>(message: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    codec::encode_into(message, out)
}

/// Reads a message, which may refer to the bytes that it was read from.
///
/// # Errors
///
/// That the bytes are none: the peer breaks the protocol.
pub fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Closed> {
    codec::decode_borrowed(bytes).map_err(|source| Closed::Message {
        kind: HEADER.kind,
        source,
    })
}

/// Reads only what a message begins with.
///
/// # Errors
///
/// That it does not begin with that: the peer breaks the protocol.
pub fn read_head<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Closed> {
    let head = codec::decode_head(bytes).map(|(head, _)| head);
    head.map_err(|source| Closed::Message {
        kind: HEADER.kind,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    #[derive(Serialize, Deserialize)]
    struct Words<'a>(#[serde(borrow)] Vec<&'a str>);

    #[actix_rt::test]
    async fn a_client_is_heard_and_answered_and_the_file_is_gone_afterwards() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("service.sock");
        let socket = ServiceSocket::bind(&path).unwrap();
        let client = actix_rt::spawn({
            let path = path.clone();
            async move { Connection::connect(&path).await.unwrap() }
        });
        let caller = socket.accept().await.unwrap();
        let Admitted::Client(service) = caller.admit().await.unwrap() else {
            panic!("a client is no successor");
        };
        assert_eq!(service.pid(), std::process::id());
        let answer = service.sender();
        let served = actix_rt::spawn(service.run(move |bytes| {
            let Words(words) = read(bytes)?;
            answer.send(&words.len()).unwrap();
            Ok(())
        }));
        let client = client.await.unwrap();
        let ask = client.sender();
        let (heard, mut hears) = mpsc::unbounded_channel();
        actix_rt::spawn(client.run(move |bytes| {
            heard.send(read::<usize>(bytes)?).unwrap();
            Ok(())
        }));
        ask.send(&Words(vec!["one", "two"])).unwrap();
        assert_eq!(hears.recv().await, Some(2));
        ask.close();
        assert!(matches!(served.await.unwrap(), Closed::Eof));
        assert!(matches!(
            ask.send(&Words(Vec::new())),
            Err(SendError::Closed)
        ));
        drop(socket);
        assert!(!path.exists());
    }
}
