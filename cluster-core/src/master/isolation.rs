//! Taking a worker out of service for whoever debugs it, and giving it back.
//!
//! ```text
//! isolate ─▶ queued ─▶ a successor serves ─▶ the worker leaves the shared sockets, and serves at an address of its own ─▶ answer
//! release ─▶ it serves with the others again, and one of them is too many; or it ends
//! ```
//!
//! As long as it is isolated it counts for nothing: it is not replaced, rolled, watched or judged.

use std::time::{Duration, Instant};

use serde_json::json;
use tracing::{info, warn};

use super::death_queue::Reason;
use super::debugging::Begun;
use super::proxy::Patience;
use super::proxy_state::{Event, State};
use super::{Master, Waiter, Worker};
use crate::id::WorkerId;
use crate::options::Options;
use crate::protocol::{DebugError, OperationError};

/// A worker that waits for a debugger has until then to start.
pub(super) const LONG: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long things may take for a worker that is being debugged.
pub(super) fn patience(options: &Options) -> Patience {
    Patience {
        start: LONG,
        ..Patience::usual(options)
    }
}

impl Master {
    pub(super) fn isolate(&mut self, worker: u32, waiter: Waiter) -> Begun {
        let id = match self.may_isolate(worker) {
            Ok(id) => id,
            Err(e) => return Err((waiter, e)),
        };
        match self.isolated_at(id) {
            Some(address) => {
                let _ = waiter
                    .reply
                    .send(Ok(json!({ "worker": id, "address": address })));
            }
            None => {
                if !self.wanted.isolated.contains(&id) && !self.queue.contains(id) {
                    info!(worker = %id, "to be isolated: a successor first");
                    self.queue.push(id, Reason::Isolate, Instant::now());
                }
                waiter.note(0, 1, "a successor is started first");
                self.isolations.push((id, waiter));
            }
        }
        Ok(())
    }

    /// Where an isolated worker serves, once it does.
    pub(super) fn isolated_at(&self, id: WorkerId) -> Option<&str> {
        self.workers.get(&id)?.isolated.as_deref()
    }

    pub(super) fn may_isolate(&self, number: u32) -> Result<WorkerId, OperationError> {
        let id = self.find(number)?;
        if self.is_stopping() {
            return Err(OperationError::Stopping);
        }
        let state = self.workers.get(&id).map_or(State::Died, |w| w.view.state);
        let queued = self.queue.iter().find(|entry| entry.worker == id);
        match queued.map(|entry| &entry.reason) {
            None if state.is_up() || self.wanted.isolated.contains(&id) => Ok(id),
            Some(Reason::Isolate) => Ok(id),
            Some(reason) => Err(OperationError::Busy(format!("its replacement ({reason})"))),
            None => Err(wrong_state(id, state)),
        }
    }

    /// A successor serves: the worker is set apart.
    pub(super) fn isolate_now(&mut self, id: WorkerId) {
        let left = self.queue.gone(id);
        self.left_queue(left);
        self.wanted.isolate(id);
        self.want(id, Event::Isolate, State::Isolated);
    }

    /// An isolated worker has said where it serves.
    pub(super) fn isolated(&mut self, id: WorkerId, address: Result<String, String>) {
        if !self.wanted.isolated.contains(&id) {
            return;
        }
        match address {
            Ok(address) => {
                info!(worker = %id, address, "isolated");
                for waiter in self.take_isolations(id) {
                    let at = json!({ "worker": id, "address": address });
                    let _ = waiter.reply.send(Ok(at));
                }
                if let Some(worker) = self.workers.get_mut(&id) {
                    worker.isolated = Some(address);
                }
            }
            Err(cause) => {
                warn!(worker = %id, cause, "isolated, and served nowhere");
                self.not_isolated(id, &cause);
            }
        }
    }

    /// A worker that was started for a debugger has come: from now on it lets this process trace it.
    pub(super) fn can_be_debugged(&mut self, id: WorkerId) {
        let is_new = |worker: &Worker| matches!(worker.view.state, State::Forked | State::Warming);
        if self.sessions.contains_key(&id) && self.workers.get(&id).is_some_and(is_new) {
            for waiter in self.take_isolations(id) {
                let _ = waiter.reply.send(Ok(json!(null)));
            }
        }
    }

    /// Who waits for the isolation of this worker waits in vain.
    pub(super) fn not_isolated(&mut self, worker: WorkerId, cause: &str) {
        for waiter in self.take_isolations(worker) {
            let cause = cause.to_owned();
            let error = DebugError::NotIsolated { worker, cause };
            let _ = waiter.reply.send(Err(error.into()));
        }
    }

    pub(super) fn isolations_over(&mut self) {
        for (_, waiter) in self.isolations.drain(..) {
            let _ = waiter.reply.send(Err(OperationError::Stopping));
        }
    }

    fn take_isolations(&mut self, id: WorkerId) -> Vec<Waiter> {
        let mut taken = Vec::new();
        for (of, waiter) in std::mem::take(&mut self.isolations) {
            match of == id {
                true => taken.push(waiter),
                false => self.isolations.push((of, waiter)),
            }
        }
        taken
    }

    pub(super) fn release(&mut self, worker: u32, retire: bool, waiter: Waiter) -> Begun {
        match self.may_release(worker) {
            Ok(id) => {
                let retires = self.give_back(id, retire);
                let released = json!({ "worker": id, "retires": retires });
                let _ = waiter.reply.send(Ok(released));
                Ok(())
            }
            Err(e) => Err((waiter, e)),
        }
    }

    fn may_release(&self, number: u32) -> Result<WorkerId, OperationError> {
        let id = self.find(number)?;
        let state = self.workers.get(&id).map_or(State::Died, |w| w.view.state);
        match self.wanted.isolated.contains(&id) {
            true if self.sessions.contains_key(&id) => Err(OperationError::Busy(format!(
                "the debugging of worker {id}"
            ))),
            true => Ok(id),
            false => Err(wrong_state(id, state)),
        }
    }

    /// Has an isolated worker serve again, or end: also where it is of an older generation than is wanted now, or has never served.
    pub(super) fn give_back(&mut self, id: WorkerId, retire: bool) -> bool {
        let Some(worker) = self.workers.get_mut(&id) else {
            return true;
        };
        worker.isolated = None;
        let is_old = worker.view.generation < self.wanted.generation;
        let retires = retire || is_old || worker.view.state != State::Isolated;
        if retires {
            info!(worker = %id, "released: it ends");
            self.dismiss(id);
        } else {
            info!(worker = %id, "released: it serves with the others again");
            self.wanted.isolated.remove(&id);
            self.want(id, Event::Resume, State::Active);
        }
        retires
    }
}

fn wrong_state(worker: WorkerId, state: State) -> OperationError {
    let state = state.to_string();
    DebugError::WrongState { worker, state }.into()
}
