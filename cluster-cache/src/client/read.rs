//! Reading a value: from the copies of this process, else from the manager.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use serde::de::DeserializeOwned;

use super::answer::{Bytes, Got};
use super::copies;
use super::link::{Again, Link, Time};
use super::near::{Held, Offered};
use super::operation::{check_key, decode};
use super::questions::Outcome;
use super::space::Space;
use super::timed::Span;
use super::way::{Short, Way, over};
use crate::error::CacheError;
use crate::protocol::{Op, Refusal};

/// A value that was found.
pub(super) enum Found {
    /// In this process.
    Held(Arc<Held>),
    Bytes(Bytes),
}

impl Found {
    pub(super) fn decode<T: DeserializeOwned>(
        &self,
        space: &Space,
        key: &str,
    ) -> Result<T, CacheError> {
        match self {
            Found::Held(held) => decode(space, key, held.bytes()),
            Found::Bytes(bytes) => decode(space, key, bytes),
        }
    }

    /// The value as it is shared by all who read it from one copy; decoded once for them.
    pub(super) fn share<T>(&self, space: &Space, key: &str) -> Result<Arc<T>, CacheError>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let Found::Held(held) = self else {
            return self.decode(space, key).map(Arc::new);
        };
        let shared = held.shared.get().map(Arc::clone);
        if let Some(Ok(value)) = shared.map(Arc::downcast) {
            return Ok(value);
        }
        let value = Arc::new(self.decode::<T>(space, key)?);
        // Where readers want it as different types, the first one's is shared.
        let _ = held.shared.set(Arc::clone(&value) as _);
        Ok(value)
    }
}

/// Reading a value.
pub(super) struct Reading<'a> {
    space: &'a Arc<Space>,
    key: &'a str,
    /// Finding nothing is no miss yet.
    probe: bool,
    wait: Duration,
    way: Way<'a, Result<Option<Found>, CacheError>>,
    span: Option<Span>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(space: &'a Arc<Space>, key: &'a str, probe: bool, wait: Duration) -> Self {
        Reading {
            space,
            key,
            probe,
            wait,
            way: Way::Ahead,
            span: None,
        }
    }

    pub(super) fn wait(&mut self, wait: Duration) {
        self.wait = wait;
    }

    fn begin(&mut self) -> Result<Begun<'a>, CacheError> {
        let (space, key) = (self.space, self.key);
        check_key(space, key)?;
        if let Some(held) = space.with_copies(|near| near.read(key)) {
            if let Some(held) = held {
                return Ok(Begun::Found(Found::Held(held)));
            }
            self.span = Link::of(space).timed.get();
            return Ok(Begun::On(self.long(self.wait.into())));
        }
        let get = Op::Get {
            key,
            probe: self.probe,
        };
        let time = Time::from(self.wait);
        let link = Link::of(space);
        self.span = link.timed.get();
        let asked = link.ask_at_once(space, get, time.end);
        let short = asked.map(|asked| Way::Short(Short { asked, time }));
        Ok(Begun::On(short.unwrap_or_else(|| self.long(time))))
    }

    fn long(&self, time: Time) -> Way<'a, Result<Option<Found>, CacheError>> {
        let (space, key, probe) = (self.space, self.key, self.probe);
        Way::Long(async move { ask(&Link::of(space), space, key, probe, time).await }.boxed_local())
    }
}

impl Reading<'_> {
    fn over(
        &mut self,
        found: Result<Option<Found>, CacheError>,
    ) -> Poll<Result<Option<Found>, CacheError>> {
        self.way = Way::Over;
        if let Some(span) = self.span.take() {
            span.end();
        }
        Poll::Ready(found)
    }
}

enum Begun<'a> {
    Found(Found),
    On(Way<'a, Result<Option<Found>, CacheError>>),
}

impl Future for Reading<'_> {
    type Output = Result<Option<Found>, CacheError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            let next = match &mut this.way {
                Way::Ahead => match this.begin() {
                    Ok(Begun::On(way)) => way,
                    Ok(Begun::Found(found)) => return this.over(Ok(Some(found))),
                    Err(e) => return this.over(Err(e)),
                },
                Way::Short(short) => {
                    let outcome = ready!(short.poll(cx));
                    let found = match outcome {
                        Outcome::Answered(reply) => match reply.got {
                            Got::Hit { value, .. } => Some(Ok(Some(Found::Bytes(value)))),
                            Got::Absent => Some(Ok(None)),
                            Got::Refused(Refusal::Closed) => None,
                            Got::Refused(refusal) => Some(Err(refusal.into())),
                            _ => Some(Err(CacheError::Protocol)),
                        },
                        Outcome::Lost | Outcome::Unheard => None,
                        Outcome::TooLate => Some(Err(CacheError::late(this.wait))),
                    };
                    if let Some(found) = found {
                        return this.over(found);
                    }
                    let time = short.time;
                    this.long(time)
                }
                Way::Long(asking) => {
                    let found = ready!(asking.poll_unpin(cx));
                    return this.over(found);
                }
                Way::Over => over(),
            };
            this.way = next;
        }
    }
}

/// Asks the manager for a value, and keeps a copy where copies are to be kept.
async fn ask(
    link: &Rc<Link>,
    space: &Arc<Space>,
    key: &str,
    probe: bool,
    time: Time,
) -> Result<Option<Found>, CacheError> {
    let near = space.with_copies(Arc::clone);
    if let Some(near) = &near {
        copies::follow_unless_followed(link, space, near);
    }
    loop {
        let get = || Op::Get { key, probe };
        let reply = link.ask_for_reply(space, get, Again::Yes, time).await?;
        match (reply.got, &near) {
            (Got::Hit { value, .. }, None) => return Ok(Some(Found::Bytes(value))),
            (Got::Hit { value, left_ms }, Some(near)) => {
                match near.offer(key, value.to_vec(), reply.as_of, left_ms) {
                    Offered::Held(held) => return Ok(Some(Found::Held(held))),
                    Offered::Passed(bytes) => return Ok(Some(Found::Bytes(bytes.into()))),
                    // A change of it was heard of on another thread's connection meanwhile.
                    Offered::Outdated => {}
                }
            }
            (Got::Absent, Some(near)) if near.is_outdated(key, reply.as_of) => {}
            (Got::Absent, _) => return Ok(None),
            _ => return Err(CacheError::Protocol),
        }
    }
}
