//! Where messages of one process come together: what arrives is delivered here or sent on, what is emitted finds its link.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
use tracing::debug;

use super::registry::{Counters, Registry};
use super::replier::{Answers, WayBack, WriteReply};
use crate::bridge::link::Closed;
use crate::bridge::outbox::{Outbox, Refusal};
use crate::bridge::pending::{Pending, Settled};
use crate::durations::DurationCounter;
use crate::id::ProcessId;
use crate::protocol::Roster;
use crate::wire::codec::CodecError;
use crate::wire::frame::Header;
use crate::wire::head::{Head, NoHead};
use crate::wire::message::{
    AnswerHead, AskHead, Destination, EventHead, Format, Verdict, WireMessage,
};

/// How a process reaches others.
pub(crate) enum Routes {
    /// There are no others.
    Alone,
    /// The master: a link to each.
    Master(RwLock<BTreeMap<ProcessId, Arc<Outbox>>>),
    /// Any other: one link, to the master.
    Member(Arc<Outbox>),
}

/// The messages of one process.
pub(crate) struct Hub {
    pub(crate) me: ProcessId,
    pub(crate) registry: Registry,
    pub(crate) pending: Pending,
    /// How long questions to other processes take.
    pub(crate) asks: DurationCounter,
    pub(crate) routes: Routes,
    roster: RwLock<Arc<Roster>>,
    /// The roster's word on builds, for every message to read.
    mixed_builds: AtomicBool,
}

impl Hub {
    /// To be made in the runtime that lives the longest.
    pub(crate) fn new(me: ProcessId, routes: Routes) -> Arc<Self> {
        Arc::new(Hub {
            me,
            registry: Registry::default(),
            pending: Pending::new(),
            asks: DurationCounter::default(),
            routes,
            roster: RwLock::default(),
            mixed_builds: AtomicBool::new(false),
        })
    }

    pub(crate) fn roster(&self) -> Arc<Roster> {
        Arc::clone(&self.roster.read())
    }

    /// Takes a new roster; questions to processes that it no longer names end as dead.
    pub(crate) fn set_roster(&self, roster: Roster) {
        self.mixed_builds
            .store(roster.mixed_builds, Ordering::Relaxed);
        let roster = Arc::new(roster);
        *self.roster.write() = Arc::clone(&roster);
        self.pending
            .fail(|p| !roster.knows(p), || Settled::Refused(Verdict::Dead));
    }

    /// The link that leads to a process.
    pub(crate) fn route(&self, to: ProcessId) -> Result<Arc<Outbox>, Refusal> {
        match &self.routes {
            Routes::Alone => Err(Refusal::Closed),
            Routes::Member(uplink) => Ok(Arc::clone(uplink)),
            Routes::Master(links) => links.read().get(&to).cloned().ok_or(Refusal::Closed),
        }
    }

    /// Appends a message to the link that leads to a process.
    pub(crate) fn push(
        &self,
        to: ProcessId,
        header: Header,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
    ) -> Result<(), Refusal> {
        match &self.routes {
            Routes::Alone => Err(Refusal::Closed),
            Routes::Member(uplink) => uplink.push(header, write),
            Routes::Master(links) => match links.read().get(&to) {
                Some(link) => link.push(header, write),
                None => Err(Refusal::Closed),
            },
        }
    }

    /// Bytes that wait to be sent on the links of this process.
    pub(crate) fn waiting(&self) -> usize {
        match &self.routes {
            Routes::Alone => 0,
            Routes::Member(uplink) => uplink.waiting(),
            Routes::Master(links) => links.read().values().map(|link| link.waiting()).sum(),
        }
    }

    /// In the master: a process is linked.
    pub(crate) fn link(&self, process: ProcessId, outbox: Arc<Outbox>) {
        if let Routes::Master(links) = &self.routes {
            links.write().insert(process, outbox);
        }
    }

    /// In the master: a link is gone, unless the process has another by now.
    pub(crate) fn unlink(&self, process: ProcessId, outbox: &Arc<Outbox>) {
        let Routes::Master(links) = &self.routes else {
            return;
        };
        let mut links = links.write();
        if links.get(&process).is_some_and(|l| Arc::ptr_eq(l, outbox)) {
            links.remove(&process);
            drop(links);
            self.pending.fail(|p| p == process, || Settled::LinkLost);
        }
    }

    /// In any other process: the link to the master broke, and with it every question under way, as all pass the master.
    pub(crate) fn link_lost(&self) {
        self.pending.fail(|_| true, || Settled::LinkLost);
    }

    /// Takes a message from a link. `peer` is who is at its other end; the master speaks for everyone, others for themselves.
    /// False when the message is none of the emitter's.
    pub(crate) fn receive(
        self: &Arc<Self>,
        peer: ProcessId,
        header: Header,
        body: &[u8],
    ) -> Result<bool, Closed> {
        if header == EventHead::HEADER {
            let (head, payload) = read_head::<EventHead>(body)?;
            check(peer, head.from)?;
            self.event(&head, header, body, payload);
        } else if header == AskHead::HEADER {
            let (head, payload) = read_head::<AskHead>(body)?;
            check(peer, head.from)?;
            self.ask(&head, header, body, payload);
        } else if header == AnswerHead::HEADER {
            let (head, payload) = read_head::<AnswerHead>(body)?;
            check(peer, head.from)?;
            self.answer(&head, header, body, payload);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn event(&self, head: &EventHead, header: Header, body: &[u8], payload: &[u8]) {
        match (head.to, &self.routes) {
            (Destination::Workers, Routes::Master(links)) => {
                let roster = self.roster();
                let links = links.read();
                for (id, _) in &roster.active {
                    let to = ProcessId::Worker(*id);
                    if to == head.from {
                        continue;
                    }
                    match links.get(&to) {
                        Some(link) => self.forward(link, to, header, body),
                        None => self.count_dropped(to, &Refusal::Closed),
                    }
                }
            }
            (Destination::One(to), Routes::Master(_)) if to != self.me => match self.route(to) {
                Ok(link) => self.forward(&link, to, header, body),
                Err(e) => self.count_dropped(to, &e),
            },
            _ => self.registry.deliver(head.from, head.tag, payload),
        }
    }

    fn ask(self: &Arc<Self>, head: &AskHead, header: Header, body: &[u8], payload: &[u8]) {
        if head.to != self.me {
            let sent = self.push(head.to, header, |out| {
                out.extend_from_slice(body);
                Ok(())
            });
            if let Err(e) = sent {
                let verdict = match e {
                    Refusal::Backlogged | Refusal::Unreachable => Verdict::Overloaded,
                    _ => Verdict::Dead,
                };
                let answer = AnswerHead {
                    from: head.to,
                    to: head.from,
                    correlation: head.correlation,
                    verdict,
                    format: head.tag.format,
                };
                self.send_answer(answer, &|_| Ok(()));
            }
            return;
        }
        let answer = AnswerHead {
            from: self.me,
            to: head.from,
            correlation: head.correlation,
            verdict: Verdict::Abandoned,
            format: head.tag.format,
        };
        let way = WayBack {
            answers: Arc::clone(self) as Arc<dyn Answers>,
            head: answer,
        };
        self.registry.ask(head.from, head.tag, payload, way);
    }

    fn send_answer(&self, head: AnswerHead, write: &WriteReply<'_>) {
        let sent = self.push(head.to, AnswerHead::HEADER, |out| {
            head.write(out);
            write(out)
        });
        match sent {
            Ok(()) => {}
            Err(Refusal::Codec(_) | Refusal::TooLarge(_)) if head.verdict == Verdict::Answered => {
                let head = AnswerHead {
                    verdict: Verdict::Undecodable,
                    ..head
                };
                self.send_answer(head, &|_| Ok(()));
            }
            Err(e) => self.count_dropped(head.to, &e),
        }
    }

    fn answer(&self, head: &AnswerHead, header: Header, body: &[u8], payload: &[u8]) {
        if head.to != self.me {
            match self.route(head.to) {
                Ok(link) => self.forward(&link, head.to, header, body),
                Err(e) => self.count_dropped(head.to, &e),
            }
            return;
        }
        let settled = match head.verdict {
            Verdict::Answered => Settled::Reply(head.format, payload),
            verdict => Settled::Refused(verdict),
        };
        if !self.pending.settle(head.correlation, head.from, settled) {
            self.counters().late_answers.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The format in which a payload sets out: self-describing while processes of different builds are linked.
    pub(crate) fn format(&self) -> Format {
        if self.mixed_builds.load(Ordering::Relaxed) {
            Format::Json
        } else {
            Format::Bincode
        }
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.registry.counters
    }

    fn forward(&self, link: &Outbox, to: ProcessId, header: Header, body: &[u8]) {
        let sent = link.push(header, |out| {
            out.extend_from_slice(body);
            Ok(())
        });
        if let Err(e) = sent {
            self.count_dropped(to, &e);
        }
    }

    fn count_dropped(&self, to: ProcessId, why: &Refusal) {
        self.counters().dropped.fetch_add(1, Ordering::Relaxed);
        debug!(%to, ?why, "a message was dropped");
    }
}

impl Answers for Hub {
    fn send(&self, head: AnswerHead, write: &WriteReply<'_>) {
        self.send_answer(head, write);
    }
}

fn read_head<T: Head>(body: &[u8]) -> Result<(T, &[u8]), Closed> {
    let kind = T::HEADER.kind;
    T::read(body).map_err(|NoHead| Closed::Message {
        kind,
        source: CodecError::Head,
    })
}

/// Only the master speaks for others, as it passes their messages on.
fn check(peer: ProcessId, from: ProcessId) -> Result<(), Closed> {
    if peer == ProcessId::Master || peer == from {
        Ok(())
    } else {
        Err(Closed::Impostor)
    }
}
