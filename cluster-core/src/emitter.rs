//! Typed events and questions between processes: [`Emitter`].
//!
//! ```text
//! emitter.to([Target::Workers]).emit(event)      told, at most once, in order per pair of processes
//! emitter.to([Target::Workers]).ask(request)     answered, one result per process, under a deadline
//! ```

mod ask;
pub(crate) mod fuzz;
pub(crate) mod handler;
pub(crate) mod hub;
mod inbox;
pub(crate) mod message;
pub(crate) mod registry;
pub(crate) mod replier;
mod subscription;
pub(crate) mod target;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub use handler::{Batch, Binder, HandledBy, HandlerActor};
pub use message::{Event, Kind, Request};
pub use subscription::Subscription;
pub use target::{Answer, AskError, EmitError, Target, Undelivered};

use crate::bridge::outbox::Refusal;
use crate::durations::Durations;
use crate::id::{ProcessId, Role, WorkerId};
use crate::wire::frame::Header;
use crate::wire::head::Head;
use crate::wire::message::{Destination, EventHead, Format, TypeTag, WireMessage};
use hub::{Hub, Routes};
use replier::Replier;

/// How long a question waits for its answer unless [`To::wait`] says otherwise.
pub const ASK_WAIT: Duration = Duration::from_secs(5);

/// Tells and asks other processes, and hears them. Cheap to clone; usable from every thread.
#[derive(Clone)]
pub struct Emitter {
    pub(crate) hub: Arc<Hub>,
}

/// What the emitter of one process has seen since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct EmitterCounters {
    /// Events that somebody here listened to.
    pub heard: u64,
    /// Events that arrived but nobody here listens to.
    pub unheard: u64,
    /// Messages that could not be read.
    pub undecodable: u64,
    /// Messages dropped at a full queue or for want of their receiver.
    pub dropped: u64,
    /// Answers that came after their deadline.
    pub late_answers: u64,
    /// Frames of kinds that this build does not know.
    pub unknown_kinds: u64,
}

impl Emitter {
    /// An emitter with no cluster around it: its only process is this one, which is its own master.
    ///
    /// ```
    /// use cluster_core::{Emitter, Event};
    /// use serde::{Deserialize, Serialize};
    /// use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
    ///
    /// #[derive(Clone, Serialize, Deserialize, Event)]
    /// struct Ping;
    ///
    /// let emitter = Emitter::alone();
    /// let heard = Arc::new(AtomicU32::new(0));
    /// let count = heard.clone();
    /// let subscription = emitter.on(move |_: Ping, _from| {
    ///     count.fetch_add(1, Ordering::Relaxed);
    /// });
    /// emitter.emit(Ping)?;
    /// drop(subscription);
    /// emitter.emit(Ping)?;
    /// assert_eq!(heard.load(Ordering::Relaxed), 1);
    /// # Ok::<(), cluster_core::EmitError>(())
    /// ```
    pub fn alone() -> Self {
        Emitter {
            hub: Hub::new(ProcessId::Master, Routes::Alone),
        }
    }

    /// Calls `hear` for each event of the type, with the process that it comes from, until the subscription is dropped.
    ///
    /// It is called in the thread on which the event arrives, between other messages: it must not block.
    ///
    /// # Panics
    ///
    /// Where another event type of the same name is listened to in this process.
    #[must_use = "dropping the subscription ends it; `.forever()` keeps it"]
    pub fn on<E: Event>(
        &self,
        hear: impl Fn(E, ProcessId) + Send + Sync + 'static,
    ) -> Subscription {
        let number = self.hub.registry.listen::<E>(false, Arc::new(hear));
        Subscription::new(&self.hub, E::KIND.id, number)
    }

    /// The same for the first event alone.
    ///
    /// # Panics
    ///
    /// As [`on`](Self::on).
    #[must_use = "dropping the subscription ends it; `.forever()` keeps it"]
    pub fn once<E: Event>(
        &self,
        hear: impl Fn(E, ProcessId) + Send + Sync + 'static,
    ) -> Subscription {
        let number = self.hub.registry.listen::<E>(true, Arc::new(hear));
        Subscription::new(&self.hub, E::KIND.id, number)
    }

    /// Ends a subscription; the same as dropping it.
    pub fn off(&self, subscription: Subscription) {
        drop(subscription);
    }

    /// Ends all subscriptions of this process to an event, actors' included.
    pub fn off_all<E: Event>(&self) {
        self.hub.registry.unlisten_all(E::KIND.id);
    }

    /// Answers each request of the type with what `answer` resolves to. A later answerer of the same type replaces this one.
    ///
    /// The future runs on the arbiter that the request arrives on.
    pub fn answer<R: Request, F>(&self, answer: impl Fn(R, ProcessId) -> F + Send + Sync + 'static)
    where
        F: Future<Output = R::Reply> + 'static,
    {
        self.hub.registry.answer::<R>(Arc::new(
            move |request, from, replier: Replier<R::Reply>| {
                let reply = answer(request, from);
                actix_rt::spawn(async move { replier.reply(Ok(reply.await)) });
            },
        ));
    }

    /// Starts to address processes; duplicates are told once.
    pub fn to(&self, targets: impl IntoIterator<Item = Target>) -> To {
        let mut list: Vec<Target> = Vec::new();
        for target in targets {
            if !list.contains(&target) {
                list.push(target);
            }
        }
        To {
            hub: Arc::clone(&self.hub),
            targets: list,
            wait: ASK_WAIT,
        }
    }

    /// Tells the default audience: from the master itself and all active workers, from any other process itself and the master.
    ///
    /// # Errors
    ///
    /// As [`To::emit`].
    pub fn emit<E: Event>(&self, event: E) -> Result<(), EmitError> {
        self.to(self.audience()).emit(event)
    }

    /// Tells one target.
    ///
    /// # Errors
    ///
    /// As [`To::emit`].
    pub fn emit_to<E: Event>(&self, target: Target, event: E) -> Result<(), EmitError> {
        self.to([target]).emit(event)
    }

    /// Whom [`emit`](Self::emit) tells.
    pub fn audience(&self) -> [Target; 2] {
        match self.hub.me.role() {
            Role::Master => [Target::Myself, Target::Workers],
            _ => [Target::Myself, Target::Master],
        }
    }

    /// Starts an actor's part in the cluster: it hears and answers what its `#[handles(..)]` lists.
    ///
    /// # Panics
    ///
    /// Where another event type of the same name as one of those is listened to in this process.
    pub fn bind<A: HandlerActor>(&self, addr: actix::Addr<A>) {
        Binder::bind(&self.hub, addr);
    }

    /// Waits until the links of this process have room again, after an emit was refused as backlogged; at once when they have.
    ///
    /// # Cancel safety
    ///
    /// It only watches: dropping it changes nothing.
    pub async fn ready(&self) {
        const LOW: usize = 2 * 1024 * 1024;
        match &self.hub.routes {
            Routes::Alone => {}
            Routes::Member(uplink) => uplink.drained_to(LOW).await,
            Routes::Master(links) => {
                let links: Vec<_> = links.read().values().cloned().collect();
                for link in links {
                    link.drained_to(LOW).await;
                }
            }
        }
    }

    /// What this process's emitter has seen so far.
    pub fn counters(&self) -> EmitterCounters {
        let counters = self.hub.counters();
        EmitterCounters {
            heard: counters.heard.load(Ordering::Relaxed),
            unheard: counters.unheard.load(Ordering::Relaxed),
            undecodable: counters.undecodable.load(Ordering::Relaxed),
            dropped: counters.dropped.load(Ordering::Relaxed),
            late_answers: counters.late_answers.load(Ordering::Relaxed),
            unknown_kinds: counters.unknown_kinds.load(Ordering::Relaxed),
        }
    }

    /// How long questions of this process to others have taken, until their answer or why there is none; one in [`TIMED_ONE_IN`](crate::TIMED_ONE_IN) is timed.
    pub fn asks(&self) -> Durations {
        self.hub.asks.durations()
    }
}

/// Processes that are being addressed; can be kept and used again.
#[derive(Clone)]
pub struct To {
    hub: Arc<Hub>,
    targets: Vec<Target>,
    wait: Duration,
}

impl To {
    /// How long [`ask`](Self::ask) waits for each answer; 5 s unless set.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Tells the targets. Never waits: what a link cannot take at once waits in its bounded queue.
    ///
    /// Delivery is at most once, and in order between each two processes.
    ///
    /// # Errors
    ///
    /// Names each target for which the event did not set out, and why; all others are told.
    pub fn emit<E: Event>(&self, event: E) -> Result<(), EmitError> {
        let tag = TypeTag {
            id: E::KIND.id,
            fingerprint: E::KIND.fingerprint,
            format: self.hub.format(),
        };
        let encode = |out: &mut Vec<u8>| registry::write(tag.format, &event, out);
        let (here, failures) = post(&self.hub, &self.targets, tag, &encode);
        if here {
            self.hub.registry.deliver_local(event, self.hub.me);
        }
        if failures.is_empty() {
            Ok(())
        } else {
            Err(EmitError {
                event: E::KIND.name.into(),
                failures,
            })
        }
    }
}

/// Tells an event of which only the name is known here, its value as JSON.
pub(crate) fn emit_json(
    emitter: &Emitter,
    targets: &[Target],
    name: &str,
    json: &str,
) -> Result<(), EmitJsonError> {
    serde_json::from_str::<serde::de::IgnoredAny>(json).map_err(EmitJsonError::Json)?;
    let hub = &emitter.hub;
    let tag = TypeTag {
        id: Kind::id_of(name),
        fingerprint: 0,
        format: Format::Json,
    };
    let encode = |out: &mut Vec<u8>| {
        out.extend_from_slice(json.as_bytes());
        Ok(())
    };
    let (here, failures) = post(hub, targets, tag, &encode);
    if here {
        hub.registry.deliver(hub.me, tag, json.as_bytes());
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(EmitError {
            event: name.to_owned().into(),
            failures,
        }
        .into())
    }
}

/// Why an event was not told by its name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EmitJsonError {
    /// Its value is no JSON.
    #[error("the value is no JSON: {0}")]
    Json(#[source] serde_json::Error),
    /// It did not reach everybody.
    #[error(transparent)]
    Emit(#[from] EmitError),
}

type Encode<'a> = dyn Fn(&mut Vec<u8>) -> Result<(), crate::wire::codec::CodecError> + 'a;

/// Sends a payload out to the targets; says whether this process is one of them, and which were not reached.
pub(crate) fn post(
    hub: &Hub,
    targets: &[Target],
    tag: TypeTag,
    encode: &Encode<'_>,
) -> (bool, Vec<(Target, Undelivered)>) {
    let mut here = false;
    let mut failures = Vec::new();
    let all_workers = targets.contains(&Target::Workers);
    for &target in targets {
        let process = match resolve(hub, target) {
            Ok(process) => process,
            Err(e) => {
                failures.push((target, e));
                continue;
            }
        };
        let sent = match process {
            Some(process) if process == hub.me => {
                here = true;
                Ok(())
            }
            Some(ProcessId::Worker(id)) if all_workers && is_active(hub, id) => Ok(()),
            Some(process) => send(hub, process, Destination::One(process), tag, encode),
            None => {
                here |= matches!(hub.me, ProcessId::Worker(id) if is_active(hub, id));
                send_to_workers(hub, tag, encode, &mut failures)
            }
        };
        if let Err(e) = sent {
            failures.push((target, e.into()));
        }
    }
    (here, failures)
}

/// The one process that a target names, or none where it names all workers.
pub(crate) fn resolve(hub: &Hub, target: Target) -> Result<Option<ProcessId>, Undelivered> {
    let roster = match target {
        Target::Myself => return Ok(Some(hub.me)),
        Target::Master => return Ok(Some(ProcessId::Master)),
        Target::Workers => return Ok(None),
        Target::CacheManager | Target::Worker(_) => hub.roster(),
    };
    let process = match target {
        Target::Worker(number) => {
            ProcessId::Worker(roster.find(number).ok_or(Undelivered::Unknown)?)
        }
        _ if roster.cache_in_master => ProcessId::Master,
        _ => ProcessId::CacheManager,
    };
    if process == hub.me || roster.knows(process) {
        Ok(Some(process))
    } else {
        Err(Undelivered::Unknown)
    }
}

fn is_active(hub: &Hub, id: WorkerId) -> bool {
    hub.roster().active.iter().any(|(active, _)| *active == id)
}

fn send_to_workers(
    hub: &Hub,
    tag: TypeTag,
    encode: &Encode<'_>,
    failures: &mut Vec<(Target, Undelivered)>,
) -> Result<(), Refusal> {
    match &hub.routes {
        Routes::Alone => Ok(()),
        Routes::Member(_) => send(hub, ProcessId::Master, Destination::Workers, tag, encode),
        Routes::Master(links) => {
            let roster = hub.roster();
            if roster.active.is_empty() {
                return Ok(());
            }
            let mut body = Vec::with_capacity(256);
            let head = EventHead {
                from: hub.me,
                to: Destination::Workers,
                tag,
            };
            write_event(&head, encode, &mut body).map_err(Refusal::Codec)?;
            let links = links.read();
            for (id, _) in &roster.active {
                let sent =
                    links
                        .get(&ProcessId::Worker(*id))
                        .map_or(Err(Refusal::Closed), |link| {
                            link.push(EventHead::HEADER, |out| {
                                out.extend_from_slice(&body);
                                Ok(())
                            })
                        });
                if let Err(e) = sent {
                    failures.push((Target::Worker(id.0), e.into()));
                }
            }
            Ok(())
        }
    }
}

fn send(
    hub: &Hub,
    process: ProcessId,
    to: Destination,
    tag: TypeTag,
    encode: &Encode<'_>,
) -> Result<(), Refusal> {
    const HEADER: Header = EventHead::HEADER;
    let head = EventHead {
        from: hub.me,
        to,
        tag,
    };
    hub.push(process, HEADER, |out| write_event(&head, encode, out))
}

fn write_event(
    head: &EventHead,
    encode: &Encode<'_>,
    out: &mut Vec<u8>,
) -> Result<(), crate::wire::codec::CodecError> {
    head.write(out);
    encode(out)
}
