//! The ways of an operation to the manager and back.
//!
//! The short way, which nearly all go: the connection stands, knows the namespace and has room, so the question sets out when the
//! operation is first polled, and the operation itself waits for the answer. Where anything is in its way, or comes between, it goes the
//! long one, as a future in a box: connecting, opening, waiting for room, asking again.

use std::task::{Context, Poll};

use futures_util::future::LocalBoxFuture;

use super::link::{Asked, Time};
use super::questions::Outcome;

/// How far an operation is.
pub(super) enum Way<'a, T> {
    /// It has not begun.
    Ahead,
    Short(Short),
    Long(LocalBoxFuture<'a, T>),
    Over,
}

/// A question on the short way.
pub(super) struct Short {
    pub(super) asked: Asked<'static>,
    pub(super) time: Time,
}

impl Short {
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<Outcome> {
        self.asked.poll(cx)
    }
}

/// Nobody polls what is over.
pub(super) fn over() -> ! {
    unreachable!("an operation was polled after its result was given")
}
