//! Everything that reads what a peer sends, without the sockets: for the fuzzer, and for the test that stands in for it.

use std::sync::Arc;

use cluster_macros::{Event, Request};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use super::hub::{Hub, Routes};
use super::replier::{Answers, WayBack, WriteReply};
use super::{Emitter, Event, Kind, Request};
use crate::bridge::outbox::Outbox;
use crate::id::{ProcessId, WorkerId};
use crate::protocol::{
    Command, Hello, Operate, Outcome, Progress, Refused, Report, Roster, Welcome,
};
use crate::wire::codec::{self, LIMIT};
use crate::wire::frame::{self, Assembler, FrameError, Header};
use crate::wire::message::{AnswerHead, AskHead, EventHead, Format, TypeTag, Verdict, WireMessage};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "e")]
struct Heard {
    _text: String,
    _list: Vec<(u64, Option<String>)>,
}

#[derive(Serialize, Deserialize, Request)]
#[reply(String)]
#[request(name = "r")]
struct Asked {
    text: String,
}

/// A process that listens and answers, and that has a link which nobody reads.
fn process(me: ProcessId) -> Emitter {
    let outbox = Arc::new(Outbox::new());
    let routes = match me {
        ProcessId::Master => Routes::Master(RwLock::new(
            [(ProcessId::CacheManager, outbox)].into_iter().collect(),
        )),
        _ => Routes::Member(outbox),
    };
    let hub = Hub::new(me, routes);
    hub.set_roster(Roster {
        active: vec![(WorkerId(1), 10), (WorkerId(2), 20)],
        cache_manager: true,
        cache_in_master: false,
        ..Roster::default()
    });
    hub.registry
        .answer::<Asked>(Arc::new(|asked, _, replier| replier.reply(Ok(asked.text))));
    let emitter = Emitter { hub };
    emitter.on(|_: Heard, _| {}).forever();
    emitter
}

/// Cuts the bytes into frames, puts chunks together, and has every process read every message.
///
/// # Panics
///
/// Where a bound is broken, or a message that was read does not survive being written and read again.
pub fn frames(bytes: &[u8]) {
    let peers = [
        (process(ProcessId::Master), ProcessId::Worker(WorkerId(1))),
        (process(ProcessId::Worker(WorkerId(1))), ProcessId::Master),
    ];
    // The same bytes, in one piece and in pieces of a length that they choose themselves.
    let piece = bytes.first().map_or(1, |first| usize::from(*first) + 1);
    let whole = feed(bytes, bytes.len().max(1), |header, body| {
        for (emitter, peer) in &peers {
            // Its error is what ends the link.
            let _ = emitter.hub.receive(*peer, header, body);
        }
        read_all(header, body);
    });
    let pieces = feed(bytes, piece, |_, _| {});
    assert_eq!(whole, pieces, "what arrives depends on how it is read");
    for format in [Format::Bincode, Format::Json] {
        payload(&peers[0].0.hub, format, bytes);
    }
}

/// Has a process read the bytes as an event and as a question that it knows.
fn payload(hub: &Hub, format: Format, bytes: &[u8]) {
    let from = ProcessId::CacheManager;
    let tag = |kind: Kind| TypeTag {
        id: kind.id,
        fingerprint: kind.fingerprint,
        format,
    };
    hub.registry.deliver(from, tag(Heard::KIND), bytes);
    let head = AnswerHead {
        from: hub.me,
        to: from,
        correlation: 1,
        verdict: Verdict::Abandoned,
        format,
    };
    let way = WayBack {
        answers: Arc::new(Looks),
        head,
    };
    hub.registry.ask(from, tag(Asked::KIND), bytes, way);
}

/// Looks at answers instead of sending them.
struct Looks;

impl Answers for Looks {
    fn send(&self, head: AnswerHead, write: &WriteReply<'_>) {
        let mut reply = Vec::new();
        assert!(write(&mut reply).is_ok());
        assert!(matches!(
            head.verdict,
            Verdict::Answered | Verdict::Undecodable
        ));
    }
}

/// Reads as a link does; gives back how many messages there were, and how it ended.
fn feed(
    bytes: &[u8],
    piece: usize,
    mut deliver: impl FnMut(Header, &[u8]),
) -> (usize, Option<FrameError>) {
    let (mut buffer, mut assembler, mut messages) = (Vec::new(), Assembler::default(), 0);
    for part in bytes.chunks(piece) {
        buffer.extend_from_slice(part);
        let mut start = 0;
        loop {
            let (frame, used) = match frame::cut(&buffer[start..]) {
                Ok(Some(cut)) => cut,
                Ok(None) => break,
                Err(e) => return (messages, Some(e)),
            };
            let delivered = assembler.push(frame, |header, body| {
                assert!(body.len() <= LIMIT, "a message of {} bytes", body.len());
                deliver(header, body);
            });
            match delivered {
                Ok(whole) => messages += usize::from(whole.is_some()),
                Err(e) => return (messages, Some(e)),
            }
            start += used;
        }
        buffer.drain(..start);
    }
    (messages, None)
}

/// Reads the body as each message of the protocol that it may be.
fn read_all(header: Header, body: &[u8]) {
    survives::<Hello>(header, body);
    survives::<Welcome>(header, body);
    survives::<Refused>(header, body);
    survives::<Command>(header, body);
    survives::<Report>(header, body);
    survives::<Roster>(header, body);
    survives::<Operate>(header, body);
    survives::<Outcome>(header, body);
    survives::<Progress>(header, body);
    survives::<EventHead>(header, body);
    survives::<AskHead>(header, body);
    survives::<AnswerHead>(header, body);
}

fn survives<T: WireMessage>(header: Header, body: &[u8]) {
    if header.kind != T::HEADER.kind {
        return;
    }
    let Ok((value, _)) = codec::decode_head::<T>(body) else {
        return;
    };
    let (mut once, mut twice) = (Vec::new(), Vec::new());
    codec::encode_into(&value, &mut once).expect("what was read can be written");
    let again: T = codec::decode(&once).expect("what was written can be read");
    codec::encode_into(&again, &mut twice).expect("what was read can be written");
    assert_eq!(once, twice);
}
