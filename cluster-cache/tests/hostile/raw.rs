//! A client that keeps to no rule: it writes its frames by hand.

use std::io;
use std::path::Path;
use std::time::Duration;

use cluster_core::endpoint;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// What a frame of the cache is sent as.
const KIND: u16 = 64;
/// Bytes of a frame's header.
const HEAD: usize = 8;
/// The longest payload of one frame.
pub(crate) const CHUNK: usize = 64 * 1024;
/// The flag of a frame that is not the last of its message, and that of the handshake's lane.
pub(crate) const MORE: u8 = 1;
const CONTROL: u8 = 2;

/// The places of the operations that are used here among all that there are.
pub(crate) const OPEN: u32 = 0;
pub(crate) const GET: u32 = 1;
pub(crate) const SET: u32 = 2;
pub(crate) const WATCH: u32 = 10;
pub(crate) const NAMESPACES: u32 = 15;

/// How an answer begins: with what it is, the question's number, the last change before it, the place of the answer, and that of
/// a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Refused(Refused),
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Key,
    Value,
    Namespaces,
    OfSessions,
    Other(u32),
}

pub(crate) struct Raw(UnixStream);

impl Raw {
    /// Connects, and introduces itself as it has to.
    pub(crate) async fn connect(socket: &Path) -> Self {
        let mut raw = Raw(UnixStream::connect(socket).await.unwrap());
        let (protocol, operator) = (1_u16, 3_u32);
        let pid = std::process::id();
        let hello = (protocol, "by hand", operator, None::<u16>, 0_u64, pid);
        raw.frame(1, CONTROL, &encode(&hello)).await.unwrap();
        raw.receive().await.unwrap();
        raw
    }

    /// A frame with a header of this length, which may be a lie.
    pub(crate) async fn write(&mut self, length: u32, flags: u8, body: &[u8]) -> io::Result<()> {
        self.0.write_all(&head(length, KIND, flags)).await?;
        self.0.write_all(body).await
    }

    async fn frame(&mut self, kind: u16, flags: u8, body: &[u8]) -> io::Result<()> {
        let mut bytes = head(length(body), kind, flags).to_vec();
        bytes.extend_from_slice(body);
        self.0.write_all(&bytes).await
    }

    /// Asks something, in as many frames as it takes.
    pub(crate) async fn ask<T: Serialize>(
        &mut self,
        number: u64,
        space: u32,
        op: &T,
    ) -> io::Result<()> {
        self.send(&question(number, space, op)).await
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await
    }

    async fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut head = [0; HEAD];
        self.0.read_exact(&mut head).await?;
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let mut body = vec![0; length as usize];
        self.0.read_exact(&mut body).await?;
        Ok(body)
    }

    /// The next answer, and the number of its question.
    pub(crate) async fn answer(&mut self) -> (u64, Answer) {
        let body = self.receive().await.unwrap();
        let (told, number) = endpoint::read_head::<(u32, u64)>(&body).unwrap();
        assert_eq!(told, 0, "an answer");
        let (_, _, _, answer) = endpoint::read_head::<(u32, u64, u64, u32)>(&body).unwrap();
        let answer = match answer {
            0 => Answer::Done,
            12 => {
                let head = endpoint::read_head::<(u32, u64, u64, u32, u32)>(&body);
                Answer::Refused(match head.unwrap().4 {
                    0 => Refused::Key,
                    1 => Refused::Value,
                    3 => Refused::Namespaces,
                    other => Refused::Other(other),
                })
            }
            // A session store's, which has refusals of its own.
            14 => {
                let head = endpoint::read_head::<(u32, u64, u64, u32, u32)>(&body);
                match head.unwrap().4 {
                    6 => Answer::Refused(Refused::OfSessions),
                    _ => Answer::Other,
                }
            }
            _ => Answer::Other,
        };
        (number, answer)
    }

    /// Reads on until the manager has closed the connection.
    pub(crate) async fn is_closed_within(&mut self, time: Duration) -> bool {
        let mut bytes = vec![0; CHUNK];
        let closed = async { while matches!(self.0.read(&mut bytes).await, Ok(n) if n > 0) {} };
        timeout(time, closed).await.is_ok()
    }
}

fn head(length: u32, kind: u16, flags: u8) -> [u8; HEAD] {
    let ([a, b, c, d], [e, f]) = (length.to_le_bytes(), kind.to_le_bytes());
    [a, b, c, d, e, f, 1, flags]
}

fn length(body: &[u8]) -> u32 {
    u32::try_from(body.len()).unwrap()
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    cluster_core::__bench::encode(value, &mut bytes).unwrap();
    bytes
}

/// A question as the bytes that it takes, frames included.
pub(crate) fn question<T: Serialize>(number: u64, space: u32, op: &T) -> Vec<u8> {
    let body = encode(&(number, space, op));
    let chunks = body.len().div_ceil(CHUNK);
    let mut bytes = Vec::with_capacity(body.len() + chunks * HEAD);
    for (n, chunk) in body.chunks(CHUNK).enumerate() {
        let flags = if n + 1 < chunks { MORE } else { 0 };
        bytes.extend_from_slice(&head(length(chunk), KIND, flags));
        bytes.extend_from_slice(chunk);
    }
    bytes
}

/// Opens a namespace that lets values be 8 MiB long.
pub(crate) fn open(name: &str) -> impl Serialize {
    let options = (
        false,
        None::<u64>,
        0_u8,
        0_u64,
        0_u64,
        None::<u64>,
        8_u64 << 20,
    );
    let built_ms = 0_u64;
    (OPEN, name.to_owned(), Some(options), built_ms)
}

pub(crate) fn get(key: &str) -> impl Serialize {
    (GET, key.to_owned(), false)
}

pub(crate) fn set(key: &str, bytes: usize) -> impl Serialize {
    let value = serde_bytes::ByteBuf::from(vec![0; bytes]);
    let keep = (None::<u64>, None::<bool>);
    (SET, key.to_owned(), value, keep, false)
}

pub(crate) fn watch(key: &str, number: u64) -> impl Serialize {
    (WATCH, Some(key.to_owned()), number)
}
