//! The way back of a question: to a waiting task of this process, or over a link.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::oneshot;

use super::registry;
use crate::wire::codec::CodecError;
use crate::wire::message::{AnswerHead, Verdict};

/// Appends a reply to a buffer.
pub(crate) type WriteReply<'a> = dyn Fn(&mut Vec<u8>) -> Result<(), CodecError> + 'a;

/// Who sends answers to other processes.
pub(crate) trait Answers: Send + Sync {
    /// Sends an answer on its way; what `write` appends stands behind its head.
    fn send(&self, head: AnswerHead, write: &WriteReply<'_>);
}

/// The way back to another process; its head says yet that nobody answered.
pub(crate) struct WayBack {
    pub(crate) answers: Arc<dyn Answers>,
    pub(crate) head: AnswerHead,
}

impl WayBack {
    /// Says why there is no reply.
    pub(crate) fn refuse(self, verdict: Verdict) {
        self.answers.send(
            AnswerHead {
                verdict,
                ..self.head
            },
            &|_| Ok(()),
        );
    }

    fn reply<T: Serialize>(self, reply: &T) {
        let head = AnswerHead {
            verdict: Verdict::Answered,
            ..self.head
        };
        self.answers
            .send(head, &|out| registry::write(head.format, reply, out));
    }
}

enum Way<T> {
    Here(oneshot::Sender<Result<T, Verdict>>),
    There(WayBack),
}

/// Takes the one answer to a question; dropped without, the question is answered as abandoned.
pub(crate) struct Replier<T: Serialize>(Option<Way<T>>);

impl<T: Serialize> Replier<T> {
    /// To a task of this process.
    pub(crate) fn here(asker: oneshot::Sender<Result<T, Verdict>>) -> Self {
        Replier(Some(Way::Here(asker)))
    }

    /// To another process.
    pub(crate) fn there(way: WayBack) -> Self {
        Replier(Some(Way::There(way)))
    }

    pub(crate) fn reply(mut self, result: Result<T, Verdict>) {
        self.send(result);
    }

    fn send(&mut self, result: Result<T, Verdict>) {
        match (self.0.take(), result) {
            (None, _) => {}
            // Who no longer waits needs no answer.
            (Some(Way::Here(asker)), result) => drop(asker.send(result)),
            (Some(Way::There(way)), Ok(reply)) => way.reply(&reply),
            (Some(Way::There(way)), Err(verdict)) => way.refuse(verdict),
        }
    }
}

impl<T: Serialize> Drop for Replier<T> {
    fn drop(&mut self) {
        self.send(Err(Verdict::Abandoned));
    }
}
