//! The first words of a link: who connects, whether it is let in.
//!
//! ```text
//! process                    master
//! Hello ───────────────────▶
//!       ◀─────────────────── Welcome, or Refused
//!       ◀─────────────────── or Adopt, where another master has started the process
//! Heritage, descriptors ───▶
//!       ◀─────────────────── Welcome
//! ```

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::protocol::{Adopt, Hello, Heritage, OLDEST, PROTOCOL, Refused, Welcome};
use crate::sys::{self, fd_passing};
use crate::wire::codec::{self, CodecError};
use crate::wire::frame::{self, FrameError, HEADER};
use crate::wire::message::WireMessage;

/// How long each side waits for the other's word.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// A handshake's frame is no longer than this: room for the paths of all sockets that can be handed over.
const LONGEST: usize = 16 * 1024;

/// Why no link came about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The socket failed, or nobody listens on it.
    #[error("no link: {0}")]
    Io(#[from] io::Error),
    /// The other side kept silent.
    #[error("no link: no handshake within {} s", PATIENCE.as_secs())]
    Silent,
    /// The other side does not speak this protocol.
    #[error("no link: {0}")]
    Frame(#[from] FrameError),
    /// The other side's word is not to be understood.
    #[error("no link: {0}")]
    Codec(#[from] CodecError),
    /// The other side said something else first.
    #[error("no link: a frame of kind {0} came before the handshake")]
    OutOfOrder(u16),
    /// The frame is too long for a handshake.
    #[error("no link: a handshake of {0} bytes (allowed: up to {LONGEST})")]
    TooLong(usize),
    /// The other side is another process than it says.
    #[error("no link: process {is} says that it is process {says}")]
    OtherProcess {
        /// What it says.
        says: u32,
        /// What the kernel says.
        is: u32,
    },
    /// The other side does not let this process in.
    #[error("not let in: {0}")]
    Refused(#[from] Refused),
}

/// What a process hands to a master that did not start it, and the descriptors that go with it.
pub(crate) type Bequest = (Heritage, Vec<OwnedFd>);

/// Connects, introduces this process, and waits to be let in. A master that would adopt it is given what `bequeath` makes.
pub(crate) async fn connect(
    path: &std::path::Path,
    hello: &Hello,
    bequeath: Option<&dyn Fn(Adopt) -> io::Result<Bequest>>,
) -> Result<(UnixStream, Welcome), HandshakeError> {
    let stream = UnixStream::connect(path).await?;
    send(&stream, hello).await?;
    let mut bytes = receive(&stream, &mut Vec::new()).await?;
    if let Some(bequeath) = bequeath
        && kind_of(&bytes)? == Adopt::HEADER.kind
    {
        let (heritage, fds) = bequeath(read(&bytes)?)?;
        send_with(&stream, &heritage, &fds).await?;
        bytes = receive(&stream, &mut Vec::new()).await?;
    }
    match kind_of(&bytes)? {
        kind if kind == Welcome::HEADER.kind => Ok((stream, read(&bytes)?)),
        kind if kind == Refused::HEADER.kind => Err(HandshakeError::Refused(read(&bytes)?)),
        kind => Err(HandshakeError::OutOfOrder(kind)),
    }
}

/// Asks a process that another master has started for what it has of it.
pub(crate) async fn adopt(stream: &UnixStream, adopt: &Adopt) -> Result<Bequest, HandshakeError> {
    send(stream, adopt).await?;
    let mut fds = Vec::new();
    let bytes = receive(stream, &mut fds).await?;
    match kind_of(&bytes)? {
        kind if kind == Heritage::HEADER.kind => Ok((read(&bytes)?, fds)),
        kind => Err(HandshakeError::OutOfOrder(kind)),
    }
}

fn kind_of(bytes: &[u8]) -> Result<u16, HandshakeError> {
    let (frame, _) = frame::cut(bytes)?.ok_or(HandshakeError::Silent)?;
    Ok(frame.header.kind)
}

fn read<M: WireMessage>(bytes: &[u8]) -> Result<M, HandshakeError> {
    let (frame, _) = frame::cut(bytes)?.ok_or(HandshakeError::Silent)?;
    Ok(codec::decode(frame.payload)?)
}

/// The pid that the kernel names for the other end; 0 when it has none here.
pub(crate) fn pid_of(stream: &UnixStream) -> u32 {
    stream
        .peer_cred()
        .ok()
        .and_then(|c| c.pid())
        .and_then(|pid| pid.try_into().ok())
        .unwrap_or(0)
}

/// Hears who has connected: a process of this user or of root, that is the one it says, and speaks a version that this side knows.
pub(crate) async fn hear(stream: &UnixStream) -> Result<Hello, HandshakeError> {
    let uid = stream.peer_cred()?.uid();
    if uid != 0 && uid != sys::process::user_id() {
        return Err(Refused::NotOurs { uid }.into());
    }
    let hello = hear_hello(stream).await?;
    match pid_of(stream) {
        is if is != 0 && is != hello.pid => {
            let says = hello.pid;
            Err(HandshakeError::OtherProcess { says, is })
        }
        _ => Ok(hello),
    }
}

async fn hear_hello(stream: &UnixStream) -> Result<Hello, HandshakeError> {
    let bytes = receive(stream, &mut Vec::new()).await?;
    match kind_of(&bytes)? {
        kind if kind == Hello::HEADER.kind => {}
        kind => return Err(HandshakeError::OutOfOrder(kind)),
    }
    let hello: Hello = read(&bytes)?;
    if hello.protocol < OLDEST || hello.protocol > PROTOCOL + 1 {
        return Err(Refused::Protocol {
            theirs: hello.protocol,
        }
        .into());
    }
    Ok(hello)
}

/// Says one message of the handshake.
pub(crate) async fn send<M: WireMessage>(
    stream: &UnixStream,
    message: &M,
) -> Result<(), HandshakeError> {
    send_with(stream, message, &[]).await
}

async fn send_with<M: WireMessage>(
    stream: &UnixStream,
    message: &M,
    fds: &[OwnedFd],
) -> Result<(), HandshakeError> {
    let mut bytes = Vec::new();
    frame::append(&mut bytes, M::HEADER, |out| {
        codec::encode_into(message, out)
    })?;
    let mut fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    let mut rest = bytes.as_slice();
    let write = async {
        while !rest.is_empty() {
            let sent = fd_passing::send(stream, rest, &fds).await?;
            rest = &rest[sent..];
            fds.clear();
        }
        Ok::<(), io::Error>(())
    };
    Ok(timeout(PATIENCE, write)
        .await
        .map_err(|_| HandshakeError::Silent)??)
}

/// Reads exactly one frame, so that what follows it stays in the socket for the link.
async fn receive(stream: &UnixStream, fds: &mut Vec<OwnedFd>) -> Result<Vec<u8>, HandshakeError> {
    let read = async {
        let mut bytes = vec![0; HEADER];
        fill(stream, &mut bytes, 0, fds).await?;
        let length = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        if length > LONGEST {
            return Err(HandshakeError::TooLong(length));
        }
        bytes.resize(HEADER + length, 0);
        fill(stream, &mut bytes, HEADER, fds).await?;
        Ok(bytes)
    };
    timeout(PATIENCE, read)
        .await
        .map_err(|_| HandshakeError::Silent)?
}

async fn fill(
    stream: &UnixStream,
    bytes: &mut [u8],
    mut at: usize,
    fds: &mut Vec<OwnedFd>,
) -> io::Result<()> {
    while at < bytes.len() {
        match fd_passing::receive(stream, &mut bytes[at..], fds).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => at += n,
        }
        // A peer sends them with its first byte or not at all: what it repeats is closed, not gathered.
        fds.truncate(fd_passing::MOST);
    }
    Ok(())
}
