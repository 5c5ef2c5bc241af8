//! Questions under way on one connection. One task ends those whose time is over, as a timer for each would cost more than the
//! question; what is waited for stands in a slab, without a channel of its own.

use std::task::{Context, Poll, Waker};
use std::time::Instant;

use slab::Slab;

use super::answer::{Got, Reply};

/// Questions at most at one time, of one thread to one manager.
pub(super) const MOST: u64 = 1 << 20;

/// What became of a question.
#[derive(Debug)]
pub(super) enum Outcome {
    Answered(Reply),
    /// The connection broke.
    Lost,
    /// The manager has moved, and has not done it.
    Unheard,
    TooLate,
}

enum State {
    Waiting(Option<Waker>),
    Over(Outcome),
    /// Nobody waits any more, but an answer that is a lease has to be given back: of this namespace and key.
    Orphan(u32, Box<str>),
}

struct Question {
    number: u64,
    deadline: Instant,
    state: State,
}

#[derive(Default)]
pub(super) struct Questions {
    asked: u64,
    all: Slab<Question>,
    /// When the sweeper looks next: no later than the first deadline.
    pub(super) look: Option<Instant>,
}

impl Questions {
    /// Files a question; gives back its number, which no other has, or nothing at the bound. Says whether its deadline is before all
    /// that the sweeper knows of.
    pub(super) fn file(&mut self, deadline: Instant) -> Option<(u64, bool)> {
        let place = self.all.vacant_key() as u64;
        if place >= MOST {
            return None;
        }
        self.asked += 1;
        let number = self.asked * MOST + place;
        self.all.insert(Question {
            number,
            deadline,
            state: State::Waiting(None),
        });
        let earlier = self.look.is_none_or(|look| deadline < look);
        if earlier {
            self.look = Some(deadline);
        }
        Some((number, earlier))
    }

    fn place(&self, number: u64) -> Option<usize> {
        let place = (number % MOST) as usize;
        let found = self.all.get(place)?;
        (found.number == number).then_some(place)
    }

    /// What became of it, once; from then on the number means nothing.
    pub(super) fn poll(&mut self, number: u64, cx: &Context<'_>) -> Poll<Outcome> {
        let Some(place) = self.place(number) else {
            return Poll::Ready(Outcome::Lost);
        };
        match &mut self.all[place].state {
            State::Waiting(waker) => {
                match waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    None => *waker = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
            _ => match self.all.remove(place).state {
                State::Over(outcome) => Poll::Ready(outcome),
                _ => Poll::Ready(Outcome::Lost),
            },
        }
    }

    /// Nobody waits for it any more. Where it is for a lease, its answer is still looked at.
    pub(super) fn forget(&mut self, number: u64, lease_of: Option<(u32, Box<str>)>) {
        let Some(place) = self.place(number) else {
            return;
        };
        match (lease_of, &mut self.all[place].state) {
            (Some((space, key)), state @ State::Waiting(_)) => *state = State::Orphan(space, key),
            _ => drop(self.all.remove(place)),
        }
    }

    /// An answer has come; gives back who is to be woken, or of which key a lease is to be given back.
    pub(super) fn answer(&mut self, number: u64, reply: Reply) -> Heard {
        let Some(place) = self.place(number) else {
            return Heard::Nobody;
        };
        match &mut self.all[place].state {
            State::Waiting(waker) => {
                let waker = waker.take();
                self.all[place].state = State::Over(Outcome::Answered(reply));
                Heard::Wake(waker)
            }
            State::Over(_) => Heard::Nobody,
            State::Orphan(..) => match (self.all.remove(place).state, reply.got) {
                (State::Orphan(space, key), Got::Lease { lease, .. }) => {
                    Heard::GiveBack { space, key, lease }
                }
                _ => Heard::Nobody,
            },
        }
    }

    /// The connection broke, or the manager has moved: nothing under way is answered any more.
    pub(super) fn lose_all(&mut self, has_moved: bool) -> Vec<Waker> {
        self.all
            .retain(|_, question| !matches!(question.state, State::Orphan(..)));
        let outcome = || match has_moved {
            true => Outcome::Unheard,
            false => Outcome::Lost,
        };
        self.end(|_| true, outcome)
    }

    /// Ends those whose deadline has come; sets when to look next.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Waker> {
        let woken = self.end(|question| question.deadline <= now, || Outcome::TooLate);
        let waiting = |question: &Question| matches!(question.state, State::Waiting(_));
        let open = self.all.iter().filter(|(_, question)| waiting(question));
        self.look = open.map(|(_, question)| question.deadline).min();
        woken
    }

    fn end(
        &mut self,
        which: impl Fn(&Question) -> bool,
        outcome: impl Fn() -> Outcome,
    ) -> Vec<Waker> {
        let mut woken = Vec::new();
        for (_, question) in &mut self.all {
            if let State::Waiting(waker) = &mut question.state {
                let waker = waker.take();
                if which(question) {
                    question.state = State::Over(outcome());
                    woken.extend(waker);
                } else {
                    question.state = State::Waiting(waker);
                }
            }
        }
        woken
    }
}

/// What came of an answer.
pub(super) enum Heard {
    Wake(Option<Waker>),
    GiveBack {
        space: u32,
        key: Box<str>,
        lease: u64,
    },
    Nobody,
}
