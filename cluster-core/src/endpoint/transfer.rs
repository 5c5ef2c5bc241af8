//! A connection for what is too much to wait in a queue: one side writes and waits until it is taken, the other reads one message
//! after the other, and descriptors go along.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use serde::Serialize;
use tokio::net::UnixStream;

use super::{HEADER, SUCCESSOR, SendError, introduce};
use crate::bridge::handshake::HandshakeError;
use crate::bridge::link::Closed;
use crate::sys::fd_passing;
use crate::wire::codec::{self, LIMIT};
use crate::wire::frame::{self, Assembler};

/// Room for what one read brings, at first, and once a read has filled it: more than one frame of any size.
const ROOM: (usize, usize) = (4 * 1024, 256 * 1024);

/// Messages on their way, as the bytes that they take.
#[derive(Debug, Default)]
pub struct Messages(Vec<u8>);

impl Messages {
    /// None yet.
    pub fn new() -> Self {
        Messages::default()
    }

    /// Adds one.
    ///
    /// # Errors
    ///
    /// That it is too large, or cannot be encoded; the others are as they were.
    pub fn add<T: Serialize>(&mut self, message: &T) -> Result<(), SendError> {
        let before = self.0.len();
        frame::append(&mut self.0, HEADER, |out| codec::encode_into(message, out))
            .map_err(SendError::Codec)?;
        let length = self.0.len() - before;
        if length > LIMIT {
            self.0.truncate(before);
            return Err(SendError::TooLarge(length));
        }
        Ok(())
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }
}

/// One end of such a connection.
#[derive(Debug)]
pub struct Transfer {
    stream: UnixStream,
    pid: u32,
    buffer: Vec<u8>,
    /// What of the buffer has come and is not heard yet.
    start: usize,
    filled: usize,
    assembler: Assembler,
    fds: Vec<OwnedFd>,
}

impl Transfer {
    pub(super) fn new(stream: UnixStream, pid: u32) -> Self {
        Transfer {
            stream,
            pid,
            buffer: vec![0; ROOM.0],
            start: 0,
            filled: 0,
            assembler: Assembler::default(),
            fds: Vec::new(),
        }
    }

    /// Connects to the service at a path, to take it over.
    ///
    /// # Errors
    ///
    /// Why there is no connection.
    pub async fn connect(path: &Path) -> Result<Self, HandshakeError> {
        let (stream, welcome) = introduce(path, SUCCESSOR).await?;
        Ok(Transfer::new(stream, welcome.pid))
    }

    /// The pid of the process at the other end.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Writes messages, and waits until the socket has taken all of them; descriptors go with the first byte.
    ///
    /// # Errors
    ///
    /// Why the connection is of no use any more.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, it leaves a torn message: the connection is of no use any more.
    pub async fn send(
        &mut self,
        messages: &Messages,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), Closed> {
        let (mut rest, mut fds) = (messages.0.as_slice(), fds);
        while !rest.is_empty() {
            let sent = fd_passing::send(&self.stream, rest, fds).await;
            rest = &rest[sent.map_err(Closed::Io)?..];
            fds = &[];
        }
        Ok(())
    }

    /// Waits for the next message, and hears it.
    ///
    /// # Errors
    ///
    /// Why none comes any more.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    pub async fn receive<T>(&mut self, hear: impl FnOnce(&[u8]) -> T) -> Result<T, Closed> {
        let mut hear = Some(hear);
        loop {
            let come = &self.buffer[self.start..self.filled];
            let Some((frame, used)) = frame::cut(come).map_err(Closed::Frame)? else {
                self.fill().await?;
                continue;
            };
            self.start += used;
            let heard = self.assembler.push(frame, |header, body| match header {
                HEADER => Ok(hear.take().map(|hear| hear(body))),
                other => Err(Closed::Forbidden(other.kind)),
            });
            if let Some(Some(heard)) = heard.map_err(Closed::Frame)?.transpose()? {
                return Ok(heard);
            }
        }
    }

    async fn fill(&mut self) -> Result<(), Closed> {
        self.buffer.copy_within(self.start..self.filled, 0);
        self.filled -= self.start;
        self.start = 0;
        if self.filled == self.buffer.len() {
            self.buffer.resize(ROOM.1, 0);
        }
        let room = &mut self.buffer[self.filled..];
        let came = fd_passing::receive(&self.stream, room, &mut self.fds).await;
        self.fds.truncate(fd_passing::MOST);
        match came.map_err(Closed::Io)? {
            0 if self.filled > 0 || self.assembler.is_under_way() => Err(Closed::Truncated),
            0 => Err(Closed::Eof),
            n => {
                self.filled += n;
                Ok(())
            }
        }
    }

    /// The descriptors that have come with what was read so far.
    pub fn take_fds(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.fds)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    use super::*;
    use crate::endpoint::{Admitted, ServiceSocket, read};

    async fn pair() -> (tempfile::TempDir, ServiceSocket, Transfer, Transfer) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("service.sock");
        let socket = ServiceSocket::bind(&path).unwrap();
        let connecting = actix_rt::spawn(async move { Transfer::connect(&path).await.unwrap() });
        let caller = socket.accept().await.unwrap();
        let Admitted::Successor(here) = caller.admit().await.unwrap() else {
            panic!("a successor is no client");
        };
        let there = connecting.await.unwrap();
        assert_eq!((here.pid(), there.pid()), (std::process::id(), here.pid()));
        (directory, socket, here, there)
    }

    #[actix_rt::test]
    async fn messages_of_any_size_come_in_order_and_descriptors_with_them() {
        let (_directory, _socket, mut here, mut there) = pair().await;
        let lengths = [0, 1, 70_000, 3, 9 << 20, 5];
        let sending = actix_rt::spawn(async move {
            let mut messages = Messages::new();
            for length in lengths {
                messages.add(&vec![7_u8; length]).unwrap();
            }
            let large = messages.add(&vec![7_u8; 17 << 20]);
            assert!(matches!(large, Err(SendError::TooLarge(_))), "{large:?}");
            let (reader, mut writer) = std::io::pipe().unwrap();
            here.send(&messages, &[reader.as_fd()]).await.unwrap();
            writer.write_all(b"piped").unwrap();
        });
        for length in lengths {
            let came = there.receive(|bytes| read::<Vec<u8>>(bytes).unwrap().len());
            assert_eq!(came.await.unwrap(), length);
        }
        sending.await.unwrap();
        let mut fds = there.take_fds();
        assert_eq!(fds.len(), 1);
        let mut piped = String::new();
        let mut reader = std::fs::File::from(fds.remove(0));
        reader.read_to_string(&mut piped).unwrap();
        assert_eq!(piped, "piped");
        let end = there.receive(|_| ()).await;
        assert!(matches!(end, Err(Closed::Eof)), "{end:?}");
    }

    #[actix_rt::test]
    async fn a_socket_that_is_handed_over_never_stops_listening() {
        let (directory, socket, mut here, mut there) = pair().await;
        let path = directory.path().join("service.sock");
        let mut messages = Messages::new();
        messages.add(&1_u8).unwrap();
        here.send(&messages, &[socket.as_fd()]).await.unwrap();
        // Who comes meanwhile waits, and is let in by whoever listens then.
        let early = UnixStream::connect(&path).await.unwrap();
        socket.bequeath();
        there.receive(|_| ()).await.unwrap();
        let inherited = ServiceSocket::inherit(there.take_fds().remove(0), &path).unwrap();
        inherited.accept().await.unwrap();
        drop(early);
        drop(inherited);
        assert!(!path.exists());

        let (reader, _writer) = std::io::pipe().unwrap();
        let none = ServiceSocket::inherit(reader.into(), &path).unwrap_err();
        assert!(none.to_string().contains("cannot listen on"), "{none}");
    }
}
