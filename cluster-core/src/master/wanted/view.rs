//! The world as the reconciler sees it.

use std::time::Instant;

use super::super::accidents::Accidents;
use super::super::death_queue::DeathQueue;
use super::super::proxy_state::State;
use crate::id::{Generation, WorkerId};

/// One worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WorkerView {
    /// Its number.
    pub(crate) id: WorkerId,
    /// What it is doing.
    pub(crate) state: State,
    /// That in which it was started.
    pub(crate) generation: Generation,
    /// It has been sent SIGKILL.
    pub(crate) killed: bool,
    /// It is isolated: whoever debugs it decides what becomes of it.
    pub(crate) apart: bool,
}

/// Everything a decision rests on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// All workers, those that are going too.
    pub(crate) workers: &'a [WorkerView],
    /// Who is to be replaced; every worker in it stands in `workers` too.
    pub(crate) queue: &'a DeathQueue,
    /// What went wrong lately.
    pub(crate) accidents: &'a Accidents,
    /// The time.
    pub(crate) now: Instant,
}

impl<'a> View<'a> {
    /// The workers that are neither gone nor going, nor isolated.
    pub(crate) fn living(&self) -> impl Iterator<Item = &'a WorkerView> {
        self.workers
            .iter()
            .filter(|worker| worker.state.is_living() && !worker.apart)
    }

    /// The living but for the one that a starting successor will replace: what is to be `count` in the end.
    pub(crate) fn staying(&self) -> impl Iterator<Item = &'a WorkerView> {
        let leaving = self.queue.being_replaced();
        self.living()
            .filter(move |worker| Some(worker.id) != leaving)
    }

    /// The worker of this number.
    pub(crate) fn worker(&self, id: WorkerId) -> Option<&'a WorkerView> {
        self.workers.iter().find(|worker| worker.id == id)
    }
}
