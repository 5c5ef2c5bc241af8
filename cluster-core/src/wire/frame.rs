//! Frames: how they are cut from a stream of bytes, and how chunks make a message again.

use super::codec::LIMIT;

/// Bytes of a frame's header.
pub(crate) const HEADER: usize = 8;
/// The largest payload of one frame: a longer body is sent as several, so that a beat waits for one chunk at most.
pub(crate) const CHUNK: usize = 64 * 1024;

const MORE: u8 = 1;
const CONTROL: u8 = 2;

/// The two lanes of a link: commands and beats never wait behind data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// Handshake, commands, reports, rosters: small, and sent first.
    Control,
    /// Events, asks, answers: in order, chunked.
    Data,
}

/// What a frame says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: u16,
    pub(crate) version: u8,
    pub(crate) lane: Lane,
}

/// One frame, its payload still in the buffer it was read into.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) header: Header,
    pub(crate) more: bool,
    pub(crate) payload: &'a [u8],
}

/// How a peer broke the rules; it loses its link.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The length in a header is over the bound.
    #[error("a frame claims {0} bytes (allowed: up to 65536)")]
    TooLong(u32),
    /// A header sets flags that no protocol version knows.
    #[error("a frame has unknown flags {0:#04x}")]
    Flags(u8),
    /// The chunks of a message add up to more than a message may hold.
    #[error("a message exceeds {0} bytes")]
    MessageTooLong(usize),
    /// A chunk does not continue the message under way.
    #[error("a chunk does not belong to the message under way")]
    Interleaved,
    /// A control frame says that more follows.
    #[error("a control frame is chunked")]
    ChunkedControl,
}

impl<'a> Frame<'a> {
    /// The same as several frames with a payload of so many bytes at most. To be asked of a chunk only: together they are a message under
    /// way, or the end of one.
    pub(crate) fn pieces(self, most: usize) -> impl Iterator<Item = Frame<'a>> {
        let mut rest = Some(self.payload);
        std::iter::from_fn(move || {
            let payload = rest.take()?;
            let (payload, later) = payload.split_at(payload.len().min(most));
            rest = (!later.is_empty()).then_some(later);
            Some(Frame {
                header: self.header,
                more: self.more || rest.is_some(),
                payload,
            })
        })
    }
}

/// Appends a message to a buffer: room for the header, the body as `write` appends it, the header filled in afterwards,
/// the body cut into chunks where it is long. On an error the buffer is as it was.
#[inline]
pub(crate) fn append<E>(
    out: &mut Vec<u8>,
    header: Header,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let start = out.len();
    let mut undo = Undo { out, start };
    undo.out.extend_from_slice(&[0; HEADER]);
    write(undo.out)?;
    undo.start = usize::MAX;
    drop(undo);
    let length = out.len() - start - HEADER;
    if length <= CHUNK {
        out[start..start + HEADER].copy_from_slice(&head(header, length, false));
    } else {
        let body = out.split_off(start + HEADER);
        out.truncate(start);
        let chunks = body.len().div_ceil(CHUNK);
        for (i, chunk) in body.chunks(CHUNK).enumerate() {
            out.extend_from_slice(&head(header, chunk.len(), i + 1 < chunks));
            out.extend_from_slice(chunk);
        }
    }
    Ok(())
}

/// Cuts a buffer back to where it was, also when whoever writes to it panics: half a message would spoil all that follow.
struct Undo<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        self.out.truncate(self.start);
    }
}

fn head(header: Header, length: usize, more: bool) -> [u8; HEADER] {
    let mut flags = if more { MORE } else { 0 };
    if header.lane == Lane::Control {
        flags |= CONTROL;
    }
    let length = u32::try_from(length)
        .expect("a chunk is at most 64 KiB")
        .to_le_bytes();
    let kind = header.kind.to_le_bytes();
    [
        length[0],
        length[1],
        length[2],
        length[3],
        kind[0],
        kind[1],
        header.version,
        flags,
    ]
}

/// Cuts the first frame from the bytes: the frame and how many bytes it took, or nothing while it is incomplete.
/// The length is checked before anything waits for it.
#[inline]
pub(crate) fn cut(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
    let Some(head) = bytes.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    if length as usize > CHUNK {
        return Err(FrameError::TooLong(length));
    }
    let flags = head[7];
    if flags & !(MORE | CONTROL) != 0 {
        return Err(FrameError::Flags(flags));
    }
    let lane = if flags & CONTROL != 0 {
        Lane::Control
    } else {
        Lane::Data
    };
    let more = flags & MORE != 0;
    if more && lane == Lane::Control {
        return Err(FrameError::ChunkedControl);
    }
    let end = HEADER + length as usize;
    let Some(payload) = bytes.get(HEADER..end) else {
        return Ok(None);
    };
    let header = Header {
        kind: u16::from_le_bytes([head[4], head[5]]),
        version: head[6],
        lane,
    };
    Ok(Some((
        Frame {
            header,
            more,
            payload,
        },
        end,
    )))
}

/// Puts the chunks of the data lane together again. Holds only what has really come, and no more than its limit.
#[derive(Debug)]
pub(crate) struct Assembler {
    limit: usize,
    under_way: Option<Header>,
    body: Vec<u8>,
}

/// What is kept of a large buffer after its message has been handed on.
const KEPT: usize = 256 * 1024;

impl Default for Assembler {
    fn default() -> Self {
        Assembler::new(LIMIT)
    }
}

impl Assembler {
    /// An assembler of messages of up to so many bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Assembler {
            limit,
            under_way: None,
            body: Vec::new(),
        }
    }

    /// Whether a part of a message has come, and not its end.
    pub(crate) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Takes a frame; hands the message to `deliver` when this frame ends one.
    #[inline]
    pub(crate) fn push<T>(
        &mut self,
        frame: Frame<'_>,
        deliver: impl FnOnce(Header, &[u8]) -> T,
    ) -> Result<Option<T>, FrameError> {
        match self.under_way {
            None if !frame.more => return Ok(Some(deliver(frame.header, frame.payload))),
            Some(_) if frame.header.lane == Lane::Control => {
                return Ok(Some(deliver(frame.header, frame.payload)));
            }
            Some(header) if header != frame.header => return Err(FrameError::Interleaved),
            _ => self.under_way = Some(frame.header),
        }
        if self.body.len() + frame.payload.len() > self.limit {
            return Err(FrameError::MessageTooLong(self.limit));
        }
        self.body.extend_from_slice(frame.payload);
        if frame.more {
            return Ok(None);
        }
        self.under_way = None;
        let delivered = deliver(frame.header, &self.body);
        self.body.clear();
        self.body.shrink_to(KEPT);
        Ok(Some(delivered))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DATA: Header = Header {
        kind: 6,
        version: 1,
        lane: Lane::Data,
    };
    const CONTROL: Header = Header {
        kind: 4,
        version: 1,
        lane: Lane::Control,
    };

    fn message(header: Header, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        append(&mut out, header, |o| {
            o.extend_from_slice(body);
            Ok::<(), ()>(())
        })
        .unwrap();
        out
    }

    /// Everything that the bytes hold, fed in pieces of the sizes named.
    fn read(bytes: &[u8], piece: usize) -> Result<Vec<(Header, Vec<u8>)>, FrameError> {
        let (mut buffer, mut assembler, mut out) = (Vec::new(), Assembler::default(), Vec::new());
        for part in bytes.chunks(piece) {
            buffer.extend_from_slice(part);
            while let Some((frame, used)) = cut(&buffer)? {
                if let Some(m) = assembler.push(frame, |h, b| (h, b.to_vec()))? {
                    out.push(m);
                }
                buffer.drain(..used);
            }
        }
        Ok(out)
    }

    #[test]
    fn golden_header() {
        assert_eq!(
            message(CONTROL, b"hi"),
            [2, 0, 0, 0, 4, 0, 1, 2, b'h', b'i']
        );
        assert_eq!(message(DATA, b""), [0, 0, 0, 0, 6, 0, 1, 0]);
    }

    #[test]
    fn the_pieces_of_a_chunk_make_the_same_message() {
        let bytes = message(DATA, &[7; CHUNK + 100]);
        let mut assembler = Assembler::default();
        let (mut rest, mut delivered) = (&bytes[..], Vec::new());
        while let Some((frame, used)) = cut(rest).unwrap() {
            for piece in frame.pieces(1000) {
                assert!(piece.payload.len() <= 1000);
                let ended = assembler.push(piece, |header, body| (header, body.to_vec()));
                delivered.extend(ended.unwrap());
            }
            rest = &rest[used..];
        }
        assert_eq!(delivered, [(DATA, vec![7; CHUNK + 100])]);
        let empty = Frame {
            header: DATA,
            more: false,
            payload: &[],
        };
        assert_eq!(empty.pieces(1000).count(), 1);
    }

    #[test]
    fn a_writer_that_panics_leaves_no_half_message() {
        let mut out = message(DATA, b"before");
        let before = out.clone();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = append(&mut out, DATA, |o| -> Result<(), ()> {
                o.extend_from_slice(b"half");
                panic!("a value that cannot be written");
            });
        }));
        assert!(panicked.is_err());
        assert_eq!(out, before);
    }

    #[test]
    fn a_long_length_is_refused_before_it_is_awaited() {
        let lie = [0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0];
        assert_eq!(cut(&lie), Err(FrameError::TooLong(0x7fff_ffff)));
    }

    #[test]
    fn control_passes_between_the_chunks_of_a_message() {
        let long = message(DATA, &vec![7; CHUNK + 1]);
        let (first, second) = long.split_at(HEADER + CHUNK);
        let bytes = [first, &message(CONTROL, b"beat"), second].concat();
        let got = read(&bytes, 1000).unwrap();
        assert_eq!(got[0], (CONTROL, b"beat".to_vec()));
        assert_eq!(got[1], (DATA, vec![7; CHUNK + 1]));
    }

    #[test]
    fn another_message_between_chunks_is_refused() {
        let long = message(DATA, &vec![7; CHUNK + 1]);
        let other = message(Header { kind: 7, ..DATA }, b"x");
        let bytes = [&long[..HEADER + CHUNK], &other].concat();
        assert_eq!(read(&bytes, 4096), Err(FrameError::Interleaved));
    }

    #[test]
    fn an_endless_message_is_refused_at_the_bound() {
        let mut chunk = vec![0; HEADER];
        chunk[..4].copy_from_slice(&(CHUNK as u32).to_le_bytes());
        chunk[7] = MORE;
        chunk.resize(HEADER + CHUNK, 1);
        let bytes = chunk.repeat(LIMIT / CHUNK + 1);
        assert_eq!(read(&bytes, CHUNK), Err(FrameError::MessageTooLong(LIMIT)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            bodies in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..300)), 0..20),
            stretch in prop::option::of(CHUNK..3 * CHUNK),
            piece in 1usize..5000,
        ) {
            let mut sent = Vec::new();
            for (control, body) in bodies {
                sent.push((if control { CONTROL } else { DATA }, body));
            }
            if let Some(n) = stretch {
                sent.push((DATA, vec![3; n]));
            }
            let bytes: Vec<u8> = sent.iter().flat_map(|(h, b)| message(*h, b)).collect();
            prop_assert_eq!(read(&bytes, piece).unwrap(), sent);
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
            let _ = read(&bytes, 97);
        }
    }
}
