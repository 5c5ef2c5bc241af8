//! Which workers this thread has let reach which session stores: told again to each owner that follows.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::link::Link;
use super::space::NAMELESS;
use crate::protocol::{Op, SessionAsk, SessionOp};

#[derive(Default)]
pub(super) struct Grants(RefCell<BTreeSet<(Box<str>, u32)>>);

impl Grants {
    pub(super) fn add(&self, store: &str, worker: u32) {
        self.0.borrow_mut().insert((store.into(), worker));
    }

    pub(super) fn remove(&self, store: &str, worker: u32) {
        self.0.borrow_mut().remove(&(store.into(), worker));
    }

    /// On a new connection, before anybody asks anything.
    pub(super) fn tell_again(&self, link: &Link) {
        for (store, worker) in &*self.0.borrow() {
            let op = SessionOp::AddWorker { worker: *worker };
            link.tell(NAMELESS, Op::Session(SessionAsk { store, op }));
        }
    }
}
