//! Questions: one result per process, under a deadline.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::hub::Hub;
use super::registry;
use super::replier::Replier;
use super::target::{Answer, AskError, Target, Undelivered};
use super::{ASK_WAIT, Emitter, Request, To, resolve};
use crate::bridge::pending::{self, Settled};
use crate::id::ProcessId;
use crate::wire::codec;
use crate::wire::head::Head;
use crate::wire::message::{AskHead, Format, TypeTag, Verdict, WireMessage};

impl Emitter {
    /// Asks one process; of [`Target::Workers`] the first active one.
    ///
    /// # Errors
    ///
    /// Why there is no answer: within 5 s, or at all.
    ///
    /// # Cancel safety
    ///
    /// Dropping it forgets the question; the other side may answer it all the same.
    pub async fn ask<R: Request>(&self, target: Target, request: R) -> Result<R::Reply, AskError> {
        let time = Time::from_now(ASK_WAIT);
        let process = match resolve(&self.hub, target) {
            Ok(Some(process)) => process,
            Ok(None) => match self.hub.roster().active.first() {
                Some((id, _)) => ProcessId::Worker(*id),
                None => return Err(undelivered(target, Undelivered::Unknown)),
            },
            Err(source) => return Err(undelivered(target, source)),
        };
        ask_one(&self.hub, target, process, request, time).await
    }
}

impl To {
    /// Asks every target; resolves once all have answered or the wait is over.
    ///
    /// A target that cannot be asked costs an error entry of its own, never the others' answers.
    ///
    /// # Cancel safety
    ///
    /// Dropping it forgets the questions; the other sides may answer them all the same.
    pub async fn ask<R: Request + Clone>(&self, request: R) -> Vec<Answer<R::Reply>> {
        let time = Time::from_now(self.wait);
        let mut asked = Vec::new();
        for (target, process) in self.processes() {
            let request = request.clone();
            let hub = &self.hub;
            asked.push(async move {
                let result = match process {
                    Ok(process) => ask_one(hub, target, process, request, time).await,
                    Err(source) => Err(undelivered(target, source)),
                };
                Answer { target, result }
            });
        }
        join_all(asked).await
    }

    /// Each process that the targets name, once.
    fn processes(&self) -> Vec<(Target, Result<ProcessId, Undelivered>)> {
        let mut list: Vec<(Target, Result<ProcessId, Undelivered>)> = Vec::new();
        let mut add = |target, process: Result<ProcessId, Undelivered>| {
            let known = |(_, p): &(_, Result<ProcessId, Undelivered>)| matches!((p, &process), (Ok(a), Ok(b)) if a == b);
            if !list.iter().any(known) {
                list.push((target, process));
            }
        };
        for &target in &self.targets {
            match resolve(&self.hub, target) {
                Ok(Some(process)) => add(target, Ok(process)),
                Err(e) => add(target, Err(e)),
                Ok(None) => {
                    for (id, _) in &self.hub.roster().active {
                        add(Target::Worker(id.0), Ok(ProcessId::Worker(*id)));
                    }
                }
            }
        }
        list
    }
}

/// When a question was asked, and how long it may take.
#[derive(Clone, Copy)]
struct Time {
    begun: Instant,
    wait: Duration,
}

impl Time {
    fn from_now(wait: Duration) -> Self {
        Time {
            begun: Instant::now(),
            wait,
        }
    }

    /// Decades later where the wait has no end.
    fn deadline(self) -> Instant {
        const DECADES: Duration = Duration::from_secs(30 * 365 * 86_400);
        self.begun + self.wait.min(DECADES)
    }
}

fn undelivered(target: Target, source: Undelivered) -> AskError {
    AskError::Undelivered { target, source }
}

fn refused(process: ProcessId, verdict: Verdict) -> AskError {
    match verdict {
        Verdict::NoHandler => AskError::NoHandler(process),
        Verdict::Overloaded => AskError::Overloaded(process),
        Verdict::Undecodable | Verdict::Answered => AskError::Undecodable(process),
        Verdict::Dead => AskError::Dead(process),
        Verdict::Abandoned => AskError::Abandoned(process),
    }
}

/// Forgets a question when whoever asked it no longer waits.
struct Asked<'a> {
    hub: &'a Hub,
    number: u64,
    settled: bool,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.hub.pending.forget(self.number);
        }
    }
}

async fn ask_one<R: Request>(
    hub: &Arc<Hub>,
    target: Target,
    process: ProcessId,
    request: R,
    time: Time,
) -> Result<R::Reply, AskError> {
    let deadline = time.deadline();
    let waited_ms = u64::try_from(time.wait.as_millis()).unwrap_or(u64::MAX);
    let too_late = move || AskError::Deadline {
        target: process,
        waited_ms,
    };
    if process == hub.me {
        let (tx, rx) = oneshot::channel();
        hub.registry.ask_local(request, hub.me, Replier::here(tx));
        let Ok(answer) = timeout_at(deadline, rx).await else {
            return Err(too_late());
        };
        let result = answer.unwrap_or(Err(Verdict::Abandoned));
        return result.map_err(|verdict| refused(process, verdict));
    }
    let (tx, rx) = oneshot::channel::<Result<R::Reply, AskError>>();
    let waiter = Box::new(move |settled: Settled<'_>| {
        let result = match settled {
            Settled::Reply(format, payload) => {
                read_reply(format, payload).map_err(|()| AskError::Undecodable(process))
            }
            Settled::Refused(verdict) => Err(refused(process, verdict)),
            Settled::LinkLost => Err(AskError::LinkLost(process)),
            Settled::TooLate => Err(too_late()),
        };
        let _ = tx.send(result);
    });
    let Some(number) = hub.pending.file(process, deadline, waiter) else {
        return Err(AskError::Overloaded(hub.me));
    };
    let mut asked = Asked {
        hub,
        number,
        settled: false,
    };
    let tag = TypeTag {
        id: R::KIND.id,
        fingerprint: R::KIND.fingerprint,
        format: hub.format(),
    };
    let head = AskHead {
        from: hub.me,
        to: process,
        correlation: number,
        tag,
    };
    let sent = hub.push(process, AskHead::HEADER, |out| {
        head.write(out);
        registry::write(tag.format, &request, out)
    });
    if let Err(e) = sent {
        return Err(undelivered(target, e.into()));
    }
    let answer = rx.await;
    asked.settled = true;
    if pending::is_timed(number) {
        hub.asks.count(time.begun.elapsed());
    }
    answer.unwrap_or(Err(AskError::Abandoned(process)))
}

fn read_reply<T: serde::de::DeserializeOwned>(format: Format, payload: &[u8]) -> Result<T, ()> {
    match format {
        Format::Bincode => codec::decode(payload).map_err(drop),
        Format::Json => serde_json::from_slice(payload).map_err(drop),
    }
}
