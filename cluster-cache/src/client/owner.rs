//! The owner of the session stores, asked by this thread's connection to the cache manager.

use std::future::poll_fn;
use std::path::Path;
use std::time::Duration;

use super::answer::Got;
use super::link::{Again, Link, Time};
use super::questions::Outcome as Asked;
use super::space::{self, Space};
use crate::error::CacheError;
use crate::protocol::{Op, Refusal, SessionAsk, SessionOp, SessionRefusal};
use crate::sessions::Outcome;

/// The owner at a socket.
pub(crate) struct Owner(Space);

impl Owner {
    pub(crate) fn at(socket: &Path, wait: Duration) -> Self {
        Owner(space::nameless(socket, wait))
    }

    /// Asks it. Where the connection breaks it is asked again: what is done twice leaves behind what it leaves done once.
    pub(crate) async fn ask(
        &self,
        store: &str,
        op: SessionOp<'_>,
        wait: Duration,
    ) -> Result<Result<Outcome, SessionRefusal>, CacheError> {
        let (link, time) = (Link::of(&self.0), Time::from(wait));
        let question = || Op::Session(SessionAsk { store, op });
        // The short way, which nearly all go.
        let asked = link.ask_at_once(&self.0, question(), time.end);
        let reply = match asked {
            Some(asked) => match poll_fn(|cx| asked.poll(cx)).await {
                Asked::Answered(reply) => Some(reply),
                Asked::TooLate => return Err(CacheError::late(wait)),
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
            Got::Refused(Refusal::Unknown) => Err(Refusal::Unknown.into()),
            Got::Refused(refusal) => Err(refusal.into()),
            _ => Err(CacheError::Protocol),
        }
    }
}
