//! The owner of the session stores, asked by this thread's connection to the cache manager.

use std::future::poll_fn;
use std::path::Path;
use std::time::{Duration, Instant};

use super::answer::Got;
use super::link::{Again, Link, Time};
use super::questions::Outcome as Asked;
use super::space::{self, Space};
use crate::error::CacheError;
use crate::protocol::{Op, SessionAsk, SessionOp, SessionRefusal};
use crate::sessions::Outcome;

/// How soon an owner that has just begun is asked again.
const PAUSE: Duration = Duration::from_millis(20);

/// The owner at a socket.
pub(crate) struct Owner(Space);

impl Owner {
    pub(crate) fn at(socket: &Path, wait: Duration) -> Self {
        Owner(space::nameless(socket, wait))
    }

    /// Tells each owner that follows that this worker may use this store.
    pub(crate) fn keep_granting(&self, store: &str, worker: u32) {
        Link::of(&self.0).grants.add(store, worker);
    }

    /// Tells it no more.
    pub(crate) fn grant_no_more(&self, store: &str, worker: u32) {
        Link::of(&self.0).grants.remove(store, worker);
    }

    /// Asks it. Where the connection breaks it is asked again: what is done twice leaves behind what it leaves done once.
    pub(crate) async fn ask(
        &self,
        store: &str,
        op: SessionOp<'_>,
        wait: Duration,
    ) -> Result<Result<Outcome, SessionRefusal>, CacheError> {
        let span = Link::of(&self.0).timed.session();
        let outcome = self.ask_until(store, op, Time::from(wait)).await;
        if let Some(span) = span {
            span.end();
        }
        outcome
    }

    async fn ask_until(
        &self,
        store: &str,
        op: SessionOp<'_>,
        time: Time,
    ) -> Result<Result<Outcome, SessionRefusal>, CacheError> {
        loop {
            match self.ask_once(store, op, time).await? {
                Err(SessionRefusal::Settling) if Instant::now() + PAUSE < time.end => {
                    tokio::time::sleep(PAUSE).await;
                }
                outcome => return Ok(outcome),
            }
        }
    }

    async fn ask_once(
        &self,
        store: &str,
        op: SessionOp<'_>,
        time: Time,
    ) -> Result<Result<Outcome, SessionRefusal>, CacheError> {
        let link = Link::of(&self.0);
        let question = || Op::Session(SessionAsk { store, op });
        // The short way, which nearly all go.
        let asked = link.ask_at_once(&self.0, question(), time.end);
        let reply = match asked {
            Some(asked) => match poll_fn(|cx| asked.poll(cx)).await {
                Asked::Answered(reply) => Some(reply),
                Asked::TooLate => return Err(CacheError::late(time.wait)),
                Asked::Lost | Asked::Unheard => None,
            },
            None => None,
        };
        let got = match reply {
            Some(reply) => reply.got,
            None => {
                let asking = link.ask_for_reply(&self.0, question, Again::Yes, time);
                asking.await?.got
            }
        };
        match got {
            Got::Session(outcome) => Ok(outcome),
            Got::Refused(refusal) => Err(refusal.into()),
            _ => Err(CacheError::Protocol),
        }
    }
}
