//! What waits to be written to one link: two lanes, bounded, written from whichever thread fills them.
//!
//! Frames are appended in place, under a short lock, and written without a detour: every [`BATCH`] frames at once, the rest
//! when the link's task next runs, or at once from a foreign thread (waking the link's thread would cost more than the write).
//!
//! At the bound: data is refused with [`Refusal::Backlogged`] (nothing waits); control beyond its bound is refused too, which only
//! a peer that has stopped reading can bring about. While the link is away, data is held up to [`HELD_FRAMES`], [`HELD_BYTES`] and
//! [`HELD_FOR`], then refused with [`Refusal::Unreachable`]; control is not held, as reports are made anew on reconnection.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::sys::stream::Stream;
use crate::wire::codec::{CodecError, LIMIT};
use crate::wire::frame::{self, CHUNK, HEADER, Header, Lane};

/// Frames that are gathered before they are written without waiting for the link's task: few, as the peer works on them meanwhile.
const BATCH: u32 = 32;
/// The same where the peer has no core to do so.
const SHARED_BATCH: u32 = 64;
/// Bytes gathered before they are written likewise.
const BATCH_BYTES: usize = 32 * 1024;
/// A segment is closed once it is this long: control may pass between segments.
const SEGMENT: usize = 64 * 1024;
/// The data lane refuses more once this much waits.
const DATA_BOUND: usize = 8 * 1024 * 1024;
/// The control lane refuses more once this much waits.
const CONTROL_BOUND: usize = 1024 * 1024;
/// Frames held while the peer is away.
const HELD_FRAMES: u32 = 4096;
/// Bytes held while the peer is away.
const HELD_BYTES: usize = 1024 * 1024;
/// How long frames are held while the peer is away.
const HELD_FOR: Duration = Duration::from_secs(10);

/// Why a frame was not taken.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The queue is at its bound: the peer does not keep up.
    Backlogged,
    /// The link has been away for too long, or for too many frames.
    Unreachable,
    /// The peer is gone for good.
    Closed,
    /// The message exceeds what one may hold.
    TooLarge(usize),
    /// The value could not be written.
    Codec(CodecError),
}

enum Phase {
    Open(Arc<Stream>),
    Away(Instant),
    Closed,
}

#[derive(Default)]
struct Segment {
    bytes: Vec<u8>,
    written: usize,
}

struct State {
    phase: Phase,
    control: Segment,
    data: VecDeque<Segment>,
    spare: Vec<Vec<u8>>,
    data_bytes: usize,
    /// Frames appended since the last write; while away, frames held.
    frames: u32,
    /// Bytes appended since it was last tried to write.
    untried: usize,
    /// The socket is full: the link's task writes as soon as it can.
    blocked: bool,
    /// Somebody waits for the queue to shrink.
    watched: bool,
    /// Nothing is written until it is said so.
    held: bool,
    /// More is about to come: what waits is written once it is [`BATCH_BYTES`].
    corked: bool,
}

/// The sending half of a link. It outlives a break: a new stream can be put under it.
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// Frames that are gathered.
    batch: AtomicU32,
    wake: Notify,
    written: Notify,
    home: usize,
}

/// Something that is the thread's own: its address tells threads apart at the price of a load.
fn this_thread() -> usize {
    thread_local!(static MARK: u8 = const { 0 });
    MARK.with(|mark| std::ptr::from_ref(mark) as usize)
}

impl Outbox {
    /// An outbox without a stream yet: it holds frames until one comes. To be made in the thread of the link.
    pub(crate) fn new() -> Self {
        Outbox {
            state: Mutex::new(State {
                phase: Phase::Away(Instant::now()),
                control: Segment::default(),
                data: VecDeque::new(),
                spare: Vec::new(),
                data_bytes: 0,
                frames: 0,
                untried: 0,
                blocked: false,
                watched: false,
                held: false,
                corked: false,
            }),
            batch: AtomicU32::new(BATCH),
            wake: Notify::new(),
            written: Notify::new(),
            home: this_thread(),
        }
    }

    /// Puts a stream under the outbox; what was held is written to it first, unless it has been held for too long: then it
    /// is dropped, and the number of its frames given back.
    pub(crate) fn open(&self, stream: Arc<Stream>) -> u32 {
        let mut state = self.state.lock();
        let stale = match state.phase {
            Phase::Away(since) if since.elapsed() >= HELD_FOR => state.frames,
            _ => 0,
        };
        if stale > 0 {
            state.clear();
        }
        state.phase = Phase::Open(stream);
        state.blocked = false;
        drop(state);
        self.wake.notify_one();
        stale
    }

    /// The stream broke and another may come. What waited is dropped, as nobody can tell which of it arrived; gives back how many bytes.
    pub(crate) fn away(&self) -> usize {
        let mut state = self.state.lock();
        let lost = state.data_bytes + state.control.bytes.len() - state.control.written;
        state.clear();
        state.phase = Phase::Away(Instant::now());
        drop(state);
        self.written.notify_waiters();
        lost
    }

    /// The peer is gone for good: every further frame is refused.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.clear();
        state.phase = Phase::Closed;
        drop(state);
        self.wake.notify_one();
        self.written.notify_waiters();
    }

    /// Appends a message, whose body `write` appends to the buffer it is given, and sees to it that it is written.
    pub(crate) fn push(
        &self,
        header: Header,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
    ) -> Result<(), Refusal> {
        self.push_as(header, this_thread() != self.home, write)
    }

    /// The same; where it is urgent it is written at once, whatever the thread.
    #[inline]
    pub(crate) fn push_as(
        &self,
        header: Header,
        urgent: bool,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
    ) -> Result<(), Refusal> {
        let mut state = self.state.lock();
        state.room_for(header.lane)?;
        match header.lane {
            Lane::Control => state.append_control(header, write)?,
            Lane::Data => state.append_data(header, write)?,
        }
        state.frames += 1;
        if state.held || !matches!(state.phase, Phase::Open(_)) {
            return Ok(());
        }
        // Also a full socket is tried again now and then: the link's task may be kept from it by whoever appends without a pause.
        let batch =
            !state.blocked && !state.corked && state.frames >= self.batch.load(Ordering::Relaxed);
        let full = state.untried >= BATCH_BYTES || batch;
        let urgent = urgent && !state.blocked && !state.corked;
        if full || urgent {
            let known = state.blocked;
            if self.write(&mut state).is_err() || (state.blocked && !known) {
                drop(state);
                self.wake.notify_one();
            }
        } else if state.frames == 1 && !state.blocked && !state.corked {
            drop(state);
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Waits until at most `limit` bytes wait on the data lane and none on the other, or the link is no longer open.
    ///
    /// # Cancel safety
    ///
    /// It only watches: dropping it changes nothing.
    pub(crate) async fn drained_to(&self, limit: usize) {
        loop {
            let written = self.written.notified();
            let mut written = std::pin::pin!(written);
            written.as_mut().enable();
            {
                let mut state = self.state.lock();
                let open = matches!(state.phase, Phase::Open(_));
                if !open || (state.data_bytes <= limit && state.control.bytes.is_empty()) {
                    return;
                }
                state.watched = true;
            }
            written.await;
        }
    }

    /// Has all that is pushed wait until [`release`](Self::release).
    pub(crate) fn hold(&self) {
        self.state.lock().held = true;
    }

    /// What has been held back may be written.
    pub(crate) fn release(&self) {
        self.state.lock().held = false;
        self.wake.notify_one();
    }

    /// Until [`uncork`](Self::uncork) what is pushed waits until it is [`BATCH_BYTES`]: more is about to come. Who corks waits
    /// for nothing that only what is written can bring about.
    pub(crate) fn cork(&self) {
        self.state.lock().corked = true;
    }

    /// What waits may be written, and what comes at once.
    pub(crate) fn uncork(&self) {
        let mut state = self.state.lock();
        if std::mem::take(&mut state.corked) && state.frames > 0 {
            drop(state);
            self.wake.notify_one();
        }
    }

    /// Says whether other processes want the core of this one.
    pub(crate) fn share_core(&self, shared: bool) {
        let batch = if shared { SHARED_BATCH } else { BATCH };
        self.batch.store(batch, Ordering::Relaxed);
    }

    /// How many bytes wait on the data lane.
    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().data_bytes
    }

    fn write(&self, state: &mut State) -> io::Result<()> {
        let outcome = state.write();
        if std::mem::take(&mut state.watched) {
            self.written.notify_waiters();
        }
        outcome
    }

    /// Writes what waits, for as long as the stream lives. The link's task runs this beside its reader.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped: what is unwritten stays.
    pub(crate) async fn write_all(&self, stream: &Stream) -> io::Error {
        loop {
            let blocked = {
                let mut state = self.state.lock();
                if matches!(state.phase, Phase::Closed) {
                    return io::ErrorKind::ConnectionAborted.into();
                }
                // Uncorking wakes this.
                if !state.corked
                    && let Err(e) = self.write(&mut state)
                {
                    return e;
                }
                state.blocked && !state.corked
            };
            if blocked {
                tokio::select! {
                    writable = stream.writable() => if let Err(e) = writable {
                        return e;
                    },
                    // It is closed: a peer that does not read would not let this side know.
                    () = self.wake.notified() => {}
                }
            } else {
                self.wake.notified().await;
            }
        }
    }
}

impl State {
    fn clear(&mut self) {
        self.control = Segment::default();
        self.data.clear();
        self.spare.clear();
        self.data_bytes = 0;
        self.frames = 0;
        self.untried = 0;
        self.blocked = false;
    }

    fn room_for(&self, lane: Lane) -> Result<(), Refusal> {
        match (&self.phase, lane) {
            (Phase::Closed, _) => Err(Refusal::Closed),
            (Phase::Away(_), Lane::Control) => Err(Refusal::Unreachable),
            (Phase::Away(since), Lane::Data) => {
                let held = self.frames < HELD_FRAMES
                    && self.data_bytes < HELD_BYTES
                    && since.elapsed() < HELD_FOR;
                if held {
                    Ok(())
                } else {
                    Err(Refusal::Unreachable)
                }
            }
            (Phase::Open(_), Lane::Control) if self.control.bytes.len() >= CONTROL_BOUND => {
                Err(Refusal::Backlogged)
            }
            (Phase::Open(_), Lane::Data) if self.data_bytes >= DATA_BOUND => {
                Err(Refusal::Backlogged)
            }
            (Phase::Open(_), _) => Ok(()),
        }
    }

    fn append_control(
        &mut self,
        header: Header,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
    ) -> Result<(), Refusal> {
        let start = self.control.bytes.len();
        frame::append(&mut self.control.bytes, header, write).map_err(Refusal::Codec)?;
        let length = self.control.bytes.len() - start - HEADER;
        if length > CHUNK {
            self.control.bytes.truncate(start);
            return Err(Refusal::TooLarge(length));
        }
        Ok(())
    }

    fn append_data(
        &mut self,
        header: Header,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
    ) -> Result<(), Refusal> {
        if self
            .data
            .back()
            .is_none_or(|s| s.bytes.len() >= SEGMENT / 2)
        {
            let bytes = self
                .spare
                .pop()
                .unwrap_or_else(|| Vec::with_capacity(SEGMENT));
            self.data.push_back(Segment { bytes, written: 0 });
        }
        let Some(tail) = self.data.back_mut() else {
            return Ok(());
        };
        let start = tail.bytes.len();
        frame::append(&mut tail.bytes, header, write).map_err(Refusal::Codec)?;
        let length = tail.bytes.len() - start;
        if length > LIMIT {
            tail.bytes.truncate(start);
            tail.bytes.shrink_to(SEGMENT);
            return Err(Refusal::TooLarge(length));
        }
        self.data_bytes += length;
        self.untried += length;
        if tail.bytes.len() > 2 * (CHUNK + HEADER) {
            self.split_tail();
        }
        Ok(())
    }

    /// Cuts a long tail into segments of a frame each, so that control can pass between them.
    fn split_tail(&mut self) {
        let Some(tail) = self.data.pop_back() else {
            return;
        };
        let mut rest = tail.bytes.as_slice();
        let mut written = tail.written;
        while let Ok(Some((_, used))) = frame::cut(rest) {
            let (first, others) = rest.split_at(used);
            rest = others;
            if written >= used {
                written -= used;
                continue;
            }
            self.data.push_back(Segment {
                bytes: first.to_vec(),
                written,
            });
            written = 0;
        }
    }

    /// Writes until nothing waits or the socket is full. A segment once begun is finished before the other lane is served.
    fn write(&mut self) -> io::Result<()> {
        let Phase::Open(stream) = &self.phase else {
            return Ok(());
        };
        if self.held {
            return Ok(());
        }
        let stream = Arc::clone(stream);
        self.blocked = false;
        self.untried = 0;
        loop {
            let begun = self.data.front().is_some_and(|s| s.written > 0);
            let control = !begun && self.control.written < self.control.bytes.len();
            let segment = match (control, self.data.front_mut()) {
                (true, _) => &mut self.control,
                (false, Some(segment)) if segment.written < segment.bytes.len() => segment,
                _ => break,
            };
            match stream.try_write(&segment.bytes[segment.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    segment.written += n;
                    if !control {
                        self.data_bytes -= n;
                    }
                    if segment.written < segment.bytes.len() {
                        continue;
                    }
                    if control {
                        segment.bytes.clear();
                        segment.written = 0;
                    } else if let Some(done) = self.data.pop_front() {
                        self.keep(done.bytes);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = true;
                    return Ok(());
                }
                Err(e) => return Err(e),
            }
        }
        self.frames = 0;
        Ok(())
    }

    fn keep(&mut self, mut bytes: Vec<u8>) {
        if self.spare.len() < 4 && bytes.capacity() <= 4 * SEGMENT {
            bytes.clear();
            self.spare.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests;
