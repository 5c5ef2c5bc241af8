//! One live link: a task that reads frames to a receiver and writes what its outbox holds, until either end breaks it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::outbox::Outbox;
use super::turn::{self, Singles, Turns};
use super::vigil::Vigil;
use crate::sys::stream::Stream;
use crate::wire::codec::{CodecError, LIMIT};
use crate::wire::frame::{self, Assembler, FrameError, Header};

/// Room for what one read brings, at first: some hundred small frames, little enough for hundreds of links.
const SMALL: usize = 16 * 1024;
/// Room for what one read brings once a read has filled it: more than one frame of any size.
const LARGE: usize = 80 * 1024;

/// Why a link ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Closed {
    /// The peer closed it, or its process ended.
    #[error("the peer closed the link")]
    Eof,
    /// The peer closed it in the middle of a message, or its process ended there.
    #[error("the peer closed the link in the middle of a message")]
    Truncated,
    /// This side closed it.
    #[error("this side closed the link")]
    Here,
    /// Reading or writing failed.
    #[error("the link failed: {0}")]
    Io(#[source] io::Error),
    /// The peer broke the rules of framing.
    #[error("the peer broke the protocol: {0}")]
    Frame(#[source] FrameError),
    /// A message of the protocol itself cannot be read.
    #[error("the peer broke the protocol: a message of kind {kind} cannot be read: {source}")]
    Message {
        /// The kind that its header names.
        kind: u16,
        /// What is wrong with it.
        #[source]
        source: CodecError,
    },
    /// A message speaks for another process than the one at the other end.
    #[error("the peer broke the protocol: it speaks for another process")]
    Impostor,
    /// Reports come faster than they can be read.
    #[error("the peer floods this process with reports")]
    Flood,
    /// A message of a kind that the peer has no business to send.
    #[error("the peer broke the protocol: it may not send messages of kind {0}")]
    Forbidden(u16),
}

/// Runs a link until it ends. `receive` is called for each message, in order, in this task; its error ends the link.
pub(crate) async fn run(
    stream: &Arc<Stream>,
    outbox: &Outbox,
    receive: impl FnMut(Header, &[u8]) -> Result<(), Closed>,
) -> Closed {
    run_within(Bounds::default(), stream, outbox, receive).await
}

/// What a peer may send.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    /// Bytes of a message.
    pub(crate) bytes: usize,
    /// The links that it takes turns with, where what a read brings is not heard at once.
    pub(crate) turns: Option<Arc<Turns>>,
    /// Bytes that may wait for the peer while it is heard: with more it has to read first.
    pub(crate) crowd: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            bytes: LIMIT,
            turns: None,
            crowd: usize::MAX,
        }
    }
}

/// The same with a peer that may send only so much.
pub(crate) async fn run_within(
    bounds: Bounds,
    stream: &Arc<Stream>,
    outbox: &Outbox,
    receive: impl FnMut(Header, &[u8]) -> Result<(), Closed>,
) -> Closed {
    run_gated(bounds, stream, outbox, async || {}, receive).await
}

/// The same; before each read, `gate` is waited for.
pub(crate) async fn run_gated(
    bounds: Bounds,
    stream: &Arc<Stream>,
    outbox: &Outbox,
    gate: impl AsyncFn(),
    receive: impl FnMut(Header, &[u8]) -> Result<(), Closed>,
) -> Closed {
    let room = async || {
        if outbox.waiting() > bounds.crowd {
            outbox.drained_to(bounds.crowd).await;
        }
        gate().await;
    };
    tokio::select! {
        biased;
        closed = read_all(stream, outbox, &bounds, room, receive) => closed,
        error = outbox.write_all(stream) => match error.kind() {
            io::ErrorKind::ConnectionAborted => Closed::Here,
            io::ErrorKind::BrokenPipe => Closed::Eof,
            _ => Closed::Io(error),
        },
    }
}

async fn read_all(
    stream: &Stream,
    outbox: &Outbox,
    bounds: &Bounds,
    room: impl AsyncFn(),
    mut receive: impl FnMut(Header, &[u8]) -> Result<(), Closed>,
) -> Closed {
    let mut buffer = vec![0; SMALL];
    let mut filled = 0;
    let mut assembler = Assembler::new(bounds.bytes);
    let (mut vigil, mut singles) = (Vigil::default(), Singles::default());
    loop {
        room().await;
        let turn = || bounds.turns.as_ref().map(|turns| turns.now());
        let free = buffer.len() - filled;
        let most = turn().map_or(free, |turn| turn.bytes.min(free));
        if let Err(e) = something_has_come(stream, &mut vigil).await {
            return Closed::Io(e);
        }
        outbox.share_core(vigil.shares_its_core());
        let read = match stream.read(&mut buffer[filled..filled + most]).await {
            Ok(0) if filled > 0 || assembler.is_under_way() => return Closed::Truncated,
            Ok(0) => return Closed::Eof,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Closed::Eof,
            Err(e) => return Closed::Io(e),
        };
        filled += read;
        let (full, turn) = (filled == buffer.len(), turn());
        let (mut start, mut heard, mut left, mut corked) = (0, 0, turn, false);
        loop {
            match frame::cut(&buffer[start..filled]) {
                Err(e) => return Closed::Frame(e),
                Ok(None) => break,
                Ok(Some((frame, used))) => {
                    let is_chunk = frame.more || assembler.is_under_way();
                    let piece = turn.filter(|_| is_chunk);
                    for piece in frame.pieces(piece.map_or(usize::MAX, |turn| turn.bytes)) {
                        if left
                            .as_mut()
                            .is_some_and(|left| !left.spend(piece.payload.len()))
                        {
                            if turn.is_some_and(|turn| turn.corks) && !corked {
                                outbox.cork();
                                corked = true;
                            }
                            turn::others().await;
                            left = turn;
                        }
                        match assembler.push(piece, &mut receive) {
                            Err(e) => return Closed::Frame(e),
                            Ok(Some(Err(closed))) => return closed,
                            Ok(_) => {}
                        }
                    }
                    start += used;
                    heard += 1;
                }
            }
        }
        if corked {
            outbox.uncork();
        }
        if let Some(turns) = &bounds.turns {
            turns.heard(&mut singles, read, heard);
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
        if full {
            buffer.resize(LARGE, 0);
        }
        if read == most {
            // One read's worth of work per turn: HTTP shares this thread.
            turn::others().await;
        }
    }
}

/// Looks at a socket in vain, some microseconds, after which whoever else is ready may have the core.
const LOOKS: u32 = 4;

/// Waits until there is something to read: awake, where it is likely to come at once.
async fn something_has_come(stream: &Stream, vigil: &mut Vigil) -> io::Result<()> {
    let Some(reach) = vigil.reach() else {
        return stream.readable().await;
    };
    let began = Instant::now();
    if vigil.is_kept() {
        let (mut looks, mut looked) = (0, Duration::ZERO);
        while !stream.is_readable() && looked < reach {
            // The thread does its other work, and looks at its sockets without falling asleep.
            tokio::task::yield_now().await;
            looks += 1;
            if looks % LOOKS == 0 {
                let before = began.elapsed();
                // Who is to send the message may be waiting for this very core.
                std::thread::yield_now();
                looked = began.elapsed();
                vigil.offered(looked - before);
            }
        }
    }
    stream.readable().await?;
    vigil.waited(began.elapsed());
    Ok(())
}
