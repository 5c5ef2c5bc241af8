//! What the master says to an operator, frame by frame.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::net::UnixStream;

use crate::bridge::link::Closed;
use crate::protocol::{Outcome, Progress};
use crate::wire::codec;
use crate::wire::frame::{self, Assembler, CHUNK, HEADER, Header};
use crate::wire::message::WireMessage;

/// What an operator is told.
#[derive(Debug)]
pub(super) enum Word {
    Outcome(Outcome),
    Progress(Progress),
}

/// The reading half of an operator's link.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// Holds one frame at most, whole or not, and what came with its end.
    buffer: BytesMut,
    assembler: Assembler,
}

impl Inbox {
    /// The next word; kinds that this build does not know are passed over.
    ///
    /// # Cancel safety
    /// Cancel safe: what has been read is kept for the next call.
    pub(super) async fn next(&mut self, stream: &UnixStream) -> Result<Word, Closed> {
        loop {
            while let Some((frame, used)) = frame::cut(&self.buffer).map_err(Closed::Frame)? {
                let word = self.assembler.push(frame, read).map_err(Closed::Frame)?;
                self.buffer.advance(used);
                if let Some(word) = word.transpose()?.flatten() {
                    return Ok(word);
                }
            }
            stream.readable().await.map_err(Closed::Io)?;
            self.buffer.reserve(HEADER + CHUNK);
            match stream.try_read_buf(&mut self.buffer) {
                Ok(0) => return Err(Closed::Eof),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Err(Closed::Eof),
                Err(e) => return Err(Closed::Io(e)),
            }
        }
    }
}

fn read(header: Header, body: &[u8]) -> Result<Option<Word>, Closed> {
    let word = match header.kind {
        kind if kind == Outcome::HEADER.kind => codec::decode(body).map(Word::Outcome),
        kind if kind == Progress::HEADER.kind => codec::decode(body).map(Word::Progress),
        _ => return Ok(None),
    };
    let kind = header.kind;
    word.map(Some)
        .map_err(|source| Closed::Message { kind, source })
}
