//! The master's ends of the links: who is let in, and what becomes of what they send.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::{Addr, Message, Recipient};
use tokio::net::UnixStream;
use tracing::{debug, warn};

use super::adopt::Bequeathed;
use super::operators;
use super::proxy::{Linked, Reported, Unlinked, WorkerProxy};
use crate::bridge::handshake;
use crate::bridge::link::{self, Bounds, Closed};
use crate::bridge::listener::Arrival;
use crate::bridge::outbox::Outbox;
use crate::emitter::hub::Hub;
use crate::id::ProcessId;
use crate::node::Cluster;
use crate::protocol::{Adopt, Hello, OPERATION_LIMIT, Operate, PROTOCOL, Refused, Report, Welcome};
use crate::sys::stream::Stream;
use crate::wire::codec;
use crate::wire::frame::Header;
use crate::wire::message::WireMessage;

/// Somebody has arrived at the master's socket.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Arrived(pub(crate) Arrival);

/// A link to a process is open: tell it who is there.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct LinkOpened(pub(crate) ProcessId);

/// Who hears of a process that is let in.
pub(super) struct Ears {
    pub(super) proxy: Addr<WorkerProxy>,
    pub(super) opened: Recipient<LinkOpened>,
    pub(super) bequeathed: Recipient<Bequeathed>,
    /// What is addressed to a process of this name goes to this one.
    pub(super) routed: bool,
}

/// Turns an arrival away.
pub(crate) fn refuse(arrival: Arrival, refused: Refused) {
    warn!(pid = arrival.hello.pid, role = %arrival.hello.role, reason = %refused, "a link was refused");
    actix_rt::spawn(async move {
        let _ = handshake::send(&arrival.stream, &refused).await;
    });
}

fn welcome(you: ProcessId) -> Welcome {
    Welcome {
        protocol: PROTOCOL,
        build: crate::build::id().to_owned(),
        pid: std::process::id(),
        you,
    }
}

/// Lets in a process of ours, after it has handed over what it has where it is to be adopted, and runs its link.
pub(super) fn admit(
    arrival: Arrival,
    process: ProcessId,
    cluster: Cluster,
    adopt: Option<Adopt>,
    ears: Ears,
) {
    let Arrival { hello, stream, .. } = arrival;
    let Ears {
        proxy,
        opened,
        bequeathed,
        routed,
    } = ears;
    actix_rt::spawn(async move {
        if let Some(adopt) = adopt {
            match handshake::adopt(&stream, &adopt).await {
                // Once for each process that is adopted, and not to be lost: `do_send`.
                Ok(bequest) => bequeathed.do_send(Bequeathed {
                    process,
                    pid: hello.pid,
                    generation: hello.generation,
                    bequest,
                }),
                Err(e) => {
                    warn!(%process, pid = hello.pid, error = %e, "it does not hand over what it has");
                    return;
                }
            }
        }
        if let Err(e) = handshake::send(&stream, &welcome(process)).await {
            debug!(%process, error = %e, "a link ended in its handshake");
            return;
        }
        let stream = match Stream::new(stream) {
            Ok(stream) => Arc::new(stream),
            Err(e) => {
                warn!(%process, error = %e, "a link cannot be watched");
                return;
            }
        };
        let hub = Arc::clone(&cluster.emitter().hub);
        let outbox = Arc::new(Outbox::new());
        outbox.open(Arc::clone(&stream));
        if routed {
            hub.link(process, Arc::clone(&outbox));
        }
        linked(process, &hello);
        // Links come and go rarely, and neither word may be lost: `do_send`.
        proxy.do_send(Linked {
            outbox: Arc::clone(&outbox),
            build: hello.build,
        });
        opened.do_send(LinkOpened(process));
        let receive = |header, body: &[u8]| receive(&hub, process, &proxy, header, body);
        let closed = link::run(&stream, &outbox, receive).await;
        ended(process, hello.pid, &closed);
        outbox.close();
        hub.unlink(process, &outbox);
        proxy.do_send(Unlinked { outbox });
    });
}

fn linked(process: ProcessId, hello: &Hello) {
    debug!(%process, pid = hello.pid, build = hello.build, "linked");
}

fn ended(process: ProcessId, pid: u32, closed: &Closed) {
    match closed {
        Closed::Eof | Closed::Here => debug!(%process, pid, reason = %closed, "the link has ended"),
        breach => warn!(%process, pid, reason = %breach, "the link was closed"),
    }
}

fn receive(
    hub: &Arc<Hub>,
    process: ProcessId,
    proxy: &Addr<WorkerProxy>,
    header: Header,
    body: &[u8],
) -> Result<(), Closed> {
    if hub.receive(process, header, body)? {
        return Ok(());
    }
    if header == Report::HEADER {
        let report = codec::decode(body).map_err(|source| Closed::Message {
            kind: header.kind,
            source,
        })?;
        // A proxy that is gone needs no reports; one that is full has a process that floods it.
        match proxy.try_send(Reported(report)) {
            Err(actix::prelude::SendError::Full(_)) => Err(Closed::Flood),
            _ => Ok(()),
        }
    } else {
        hub.counters().unknown_kinds.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Lets in an operator, and runs its link.
pub(crate) fn admit_operator(arrival: Arrival, process: ProcessId, cluster: Cluster) {
    let Arrival {
        hello,
        stream,
        place,
    } = arrival;
    actix_rt::spawn(async move {
        if handshake::send(&stream, &welcome(process)).await.is_ok() {
            debug!(%process, pid = hello.pid, "an operator has come");
            run_operator(process, hello.pid, stream, cluster).await;
        }
        drop(place);
    });
}

async fn run_operator(process: ProcessId, pid: u32, stream: UnixStream, cluster: Cluster) {
    let stream = match Stream::new(stream) {
        Ok(stream) => Arc::new(stream),
        Err(e) => {
            warn!(%process, pid, error = %e, "a link cannot be watched");
            return;
        }
    };
    let outbox = Arc::new(Outbox::new());
    outbox.open(Arc::clone(&stream));
    let places = operators::places();
    let (_linked, linked) = tokio::sync::watch::channel(());
    let receive = |header: Header, body: &[u8]| {
        if header != Operate::HEADER {
            return Err(Closed::Forbidden(header.kind));
        }
        let operate: Operate = codec::decode(body).map_err(|source| Closed::Message {
            kind: header.kind,
            source,
        })?;
        operators::carry_out(operate, process, &cluster, &outbox, &places, linked.clone());
        Ok(())
    };
    let bounds = Bounds {
        bytes: OPERATION_LIMIT,
        ..Bounds::default()
    };
    let closed = link::run_within(bounds, &stream, &outbox, receive).await;
    ended(process, pid, &closed);
    outbox.close();
}
