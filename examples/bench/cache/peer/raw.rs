//! Bare frames, of the lengths that ours have: what the system lets a client and a server do that keep nothing.
//!
//! A frame is its length (4 bytes), the caller's number (8), a kind, and as many bytes more as ours has.

use cluster_web::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::Peer;
use crate::VALUE;
use crate::multiplex::{Answer, Multiplex};

/// Lengths of our frames: of a question for a value, of one that sets it, and of their answers.
const GET: usize = 33;
const SET: usize = 139;
const FOUND: usize = 132;
const DONE: usize = 20;

/// What stands before the rest.
const HEAD: usize = 13;

/// Answers that are written at once, where as many are there: the best of 8, 16, 32 and 64.
const BATCH: usize = 32;

fn append(out: &mut Vec<u8>, number: [u8; 8], kind: u8, parts: [&[u8]; 2], length: usize) {
    let end = out.len() + length;
    out.extend_from_slice(&(length as u32).to_le_bytes());
    out.extend_from_slice(&number);
    out.push(kind);
    out.extend_from_slice(parts[0]);
    out.extend_from_slice(parts[1]);
    out.resize(end, 0);
}

/// The first frame: its length, its number and its kind.
fn frame(bytes: &[u8]) -> Option<(usize, [u8; 8], u8)> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    let length = u32::from_le_bytes(*length) as usize;
    (bytes.len() >= length).then(|| (length, *number, rest[0]))
}

fn cut(bytes: &[u8]) -> Option<Answer> {
    let (length, number, kind) = frame(bytes)?;
    Some(Answer {
        length,
        number: Some(u64::from_le_bytes(number) as usize),
        value: Ok((kind == b'g').then_some(HEAD..HEAD + VALUE)),
    })
}

/// A client of the server at a socket.
pub(crate) async fn connect(socket: &str) -> Result<Raw> {
    Ok(Raw(Multiplex::connect(socket, false, cut).await?))
}

#[derive(Clone)]
pub(crate) struct Raw(Multiplex);

impl Peer for Raw {
    async fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        let ask = |out: &mut Vec<u8>, number: usize| {
            append(out, number.to_le_bytes(), b'g', [key.as_bytes(), b""], GET);
        };
        self.0.ask(ask).await
    }

    async fn set(&mut self, key: &str, value: &[u8]) -> Result<()> {
        let ask = |out: &mut Vec<u8>, number: usize| {
            append(
                out,
                number.to_le_bytes(),
                b's',
                [key.as_bytes(), value],
                SET,
            );
        };
        self.0.ask(ask).await.map(drop)
    }
}

/// The server, all of whose values are one and the same.
pub(crate) async fn serve(socket: &str) -> Result<()> {
    let listener = UnixListener::bind(socket)?;
    loop {
        let (stream, _) = listener.accept().await?;
        // A client that is gone is no loss.
        actix_web::rt::spawn(async { answer(stream).await.ok() });
    }
}

async fn answer(stream: UnixStream) -> Result<()> {
    let (mut reader, mut writer) = stream.into_split();
    let (mut bytes, mut filled, mut out) = (vec![0; 64 * 1024], 0, Vec::new());
    let value = [b'v'; VALUE];
    loop {
        match reader.read(&mut bytes[filled..]).await? {
            0 => return Ok(()),
            length => filled += length,
        }
        let (mut start, mut answers) = (0, 0);
        while let Some((length, number, kind)) = frame(&bytes[start..filled]) {
            match kind {
                b'g' => append(&mut out, number, kind, [&value, b""], FOUND),
                _ => append(&mut out, number, kind, [b"", b""], DONE),
            }
            start += length;
            answers += 1;
            if answers % BATCH == 0 {
                writer.write_all(&out).await?;
                out.clear();
            }
        }
        writer.write_all(&out).await?;
        out.clear();
        bytes.copy_within(start..filled, 0);
        filled -= start;
    }
}
