//! The first words of a link: who connects, whether it is let in.

use std::io;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::protocol::{Hello, OLDEST, PROTOCOL, Refused, Welcome};
use crate::sys;
use crate::wire::codec::{self, CodecError};
use crate::wire::frame::{self, FrameError, HEADER};
use crate::wire::message::WireMessage;

/// How long each side waits for the other's word.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// A handshake's frame is no longer than this.
const LONGEST: usize = 4096;

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

/// Connects, introduces this process, and waits to be let in.
pub(crate) async fn connect(
    path: &std::path::Path,
    hello: &Hello,
) -> Result<(UnixStream, Welcome), HandshakeError> {
    let stream = UnixStream::connect(path).await?;
    send(&stream, hello).await?;
    let bytes = receive(&stream).await?;
    let (frame, _) = frame::cut(&bytes)?.ok_or(HandshakeError::Silent)?;
    match frame.header.kind {
        kind if kind == Welcome::HEADER.kind => {
            let welcome = codec::decode(frame.payload)?;
            Ok((stream, welcome))
        }
        kind if kind == Refused::HEADER.kind => {
            Err(HandshakeError::Refused(codec::decode(frame.payload)?))
        }
        kind => Err(HandshakeError::OutOfOrder(kind)),
    }
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
    let bytes = receive(stream).await?;
    let (frame, _) = frame::cut(&bytes)?.ok_or(HandshakeError::Silent)?;
    if frame.header.kind != Hello::HEADER.kind {
        return Err(HandshakeError::OutOfOrder(frame.header.kind));
    }
    let hello: Hello = codec::decode(frame.payload)?;
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
    let mut bytes = Vec::new();
    frame::append(&mut bytes, M::HEADER, |out| {
        codec::encode_into(message, out)
    })?;
    let mut rest = bytes.as_slice();
    let write = async {
        while !rest.is_empty() {
            stream.writable().await?;
            match stream.try_write(rest) {
                Ok(n) => rest = &rest[n..],
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    };
    Ok(timeout(PATIENCE, write)
        .await
        .map_err(|_| HandshakeError::Silent)??)
}

/// Reads exactly one frame, so that what follows it stays in the socket for the link.
async fn receive(stream: &UnixStream) -> Result<Vec<u8>, HandshakeError> {
    let read = async {
        let mut bytes = vec![0; HEADER];
        fill(stream, &mut bytes, 0).await?;
        let length = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        if length > LONGEST {
            return Err(HandshakeError::TooLong(length));
        }
        bytes.resize(HEADER + length, 0);
        fill(stream, &mut bytes, HEADER).await?;
        Ok(bytes)
    };
    timeout(PATIENCE, read)
        .await
        .map_err(|_| HandshakeError::Silent)?
}

async fn fill(stream: &UnixStream, bytes: &mut [u8], mut at: usize) -> io::Result<()> {
    while at < bytes.len() {
        stream.readable().await?;
        match stream.try_read(&mut bytes[at..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => at += n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
