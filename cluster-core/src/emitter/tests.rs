//! The bridge and the emitter together, over real sockets, in one thread.

mod asks;
mod breaks;
mod delivery;
mod lanes;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use cluster_macros::{Event, Request};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::bridge::link::{self, Closed};
use crate::bridge::outbox::Outbox;
use crate::emitter::Emitter;
use crate::emitter::hub::{Hub, Routes};
use crate::id::{ProcessId, WorkerId};
use crate::protocol::Roster;
use crate::sys::stream::Stream;

const ONE: ProcessId = ProcessId::Worker(WorkerId(1));
const TWO: ProcessId = ProcessId::Worker(WorkerId(2));

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
struct Note {
    number: u64,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Request)]
#[reply(u64)]
struct Double(u64);

fn note(number: u64) -> Note {
    Note {
        number,
        text: String::new(),
    }
}

/// What must happen happens long before this.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), future)
        .await
        .expect("it does not happen")
}

fn roster(workers: &[u32]) -> Roster {
    let active = workers
        .iter()
        .map(|id| (WorkerId(*id), 1000 + id))
        .collect();
    Roster {
        active,
        ..Roster::default()
    }
}

/// The emitter of a master to which nobody is linked.
fn master(workers: &[u32]) -> Emitter {
    let hub = Hub::new(ProcessId::Master, Routes::Master(RwLock::default()));
    hub.set_roster(roster(workers));
    Emitter { hub }
}

/// The emitter of a worker without a link, and where its frames wait.
fn worker(me: ProcessId, workers: &[u32]) -> (Emitter, Arc<Outbox>) {
    let outbox = Arc::new(Outbox::new());
    let hub = Hub::new(me, Routes::Member(Arc::clone(&outbox)));
    hub.set_roster(roster(workers));
    (Emitter { hub }, outbox)
}

/// Runs one end of a link, as the roles do: what is none of the emitter's is passed over.
fn run_end(
    hub: &Arc<Hub>,
    peer: ProcessId,
    stream: UnixStream,
    outbox: &Arc<Outbox>,
) -> JoinHandle<Closed> {
    let (hub, outbox, stream) = (
        Arc::clone(hub),
        Arc::clone(outbox),
        Arc::new(Stream::new(stream).unwrap()),
    );
    outbox.open(Arc::clone(&stream));
    actix_rt::spawn(async move {
        let receive = |header, body: &[u8]| hub.receive(peer, header, body).map(drop);
        let closed = link::run(&stream, &outbox, receive).await;
        outbox.close();
        closed
    })
}

/// A master and one worker of it, linked.
struct Linked {
    worker: Emitter,
    up: Arc<Outbox>,
    down: Arc<Outbox>,
    upper: JoinHandle<Closed>,
    lower: JoinHandle<Closed>,
}

/// Links a new worker to a master that knows it.
fn link(master: &Emitter, me: ProcessId, workers: &[u32]) -> Linked {
    let (above, below) = UnixStream::pair().unwrap();
    let (worker, up) = worker(me, workers);
    let down = Arc::new(Outbox::new());
    master.hub.link(me, Arc::clone(&down));
    let upper = run_end(&master.hub, me, above, &down);
    let lower = run_end(&worker.hub, ProcessId::Master, below, &up);
    Linked {
        worker,
        up,
        down,
        upper,
        lower,
    }
}

/// What a process hears of an event, in order.
fn hear(emitter: &Emitter) -> mpsc::UnboundedReceiver<(Note, ProcessId)> {
    let (heard, hears) = mpsc::unbounded_channel();
    emitter
        .on(move |note: Note, from| {
            let _ = heard.send((note, from));
        })
        .forever();
    hears
}
