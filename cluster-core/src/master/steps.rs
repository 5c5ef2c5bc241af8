//! Carrying out what the reconciler says, one step at a time.

use std::time::{Duration, Instant};

use actix::{Actor, AsyncContext, Context};
use serde_json::json;
use tracing::{error, info};

use super::accidents::Accident;
use super::commands::MARGIN;
use super::death_queue::{Entry, Outcome, Reason};
use super::nanny::Watch;
use super::proxy::{Dismiss, Patience, Want, WorkerProxy};
use super::proxy_state::{Event, State};
use super::spawn::Spawned;
use super::start::MasterError;
use super::wanted::RollKind;
use super::wanted::reconcile::{self, Step};
use super::wanted::view::{View, WorkerView};
use super::{Master, Worker};
use crate::id::{ProcessId, WorkerId};
use crate::log;
use crate::options::LogTarget;
use crate::protocol::OperationError;

impl Master {
    /// Steps towards what is wanted until there is nothing to do but wait; then publishes how things are.
    pub(super) fn reconcile(&mut self, ctx: &mut Context<Self>) {
        if self.open {
            while self.one_step(ctx) {}
        }
        self.look_whether_put_back(ctx);
        self.publish();
    }

    fn one_step(&mut self, ctx: &mut Context<Self>) -> bool {
        let workers = self.views();
        let view = View {
            workers: &workers,
            queue: &self.queue,
            accidents: &self.accidents,
            now: Instant::now(),
        };
        match reconcile::next(&self.wanted, &view) {
            Step::Start { as_successor_of } => self.start_worker(as_successor_of),
            Step::Dismiss { worker } => self.dismiss(worker),
            Step::Pause { worker } => self.want(worker, Event::Pause, State::Paused),
            Step::Resume { worker } => self.want(worker, Event::Resume, State::Active),
            Step::Isolate { worker } => self.isolate_now(worker),
            Step::Enqueue { worker, reason } => self.enqueue(worker, reason),
            Step::Kill { worker } => {
                self.queue.dismissed(worker);
                self.want(worker, Event::Kill, State::Retiring);
                if let Some(worker) = self.workers.get_mut(&worker) {
                    worker.view.killed = true;
                }
            }
            Step::RollDone => self.roll_done(ctx),
            Step::Wait { until } => {
                self.wake_at(until, ctx);
                return false;
            }
            Step::Settled => {
                self.settled();
                return false;
            }
            Step::Hopeless => {
                self.hopeless();
                return false;
            }
            Step::Stopped => {
                self.workers_stopped(ctx);
                return false;
            }
        }
        true
    }

    fn start_worker(&mut self, as_successor_of: Option<WorkerId>) {
        let id = self.take_number();
        if as_successor_of.is_some() {
            self.queue.started(id);
        }
        let process = ProcessId::Worker(id);
        let generation = self.wanted.generation;
        let paused = self.wanted.paused;
        let spawned = match self.spawner.spawn(process, generation, paused) {
            Ok(spawned) => spawned,
            Err(e) => {
                let program = self.spawner.program().display().to_string();
                error!(worker = %id, program, error = %e, "a worker could not be started");
                self.last_failure = Some(format!("{program}: {e}"));
                self.accidents.cannot_start();
                self.note_accident(id, Accident::StartFailed);
                let gave_up = self.queue.successor_failed(id);
                self.left_queue(gave_up);
                return;
            }
        };
        let pid = spawned.process.pid();
        match as_successor_of {
            Some(old) => {
                info!(worker = %id, pid, %generation, successor_of = %old, "worker started")
            }
            None => info!(worker = %id, pid, %generation, "worker started"),
        }
        let patience = Patience::usual(self.cluster.options());
        self.enter(id, spawned, paused, patience);
    }

    pub(super) fn take_number(&mut self) -> WorkerId {
        let id = WorkerId(self.next_worker);
        self.next_worker += 1;
        id
    }

    /// Enters a worker that has just been started.
    pub(super) fn enter(&mut self, id: WorkerId, spawned: Spawned, held: bool, patience: Patience) {
        let (process, pid) = (ProcessId::Worker(id), spawned.process.pid());
        let generation = self.wanted.generation;
        self.pids.write(process, pid);
        let Some(ears) = self.ears.clone() else {
            return;
        };
        let addr = WorkerProxy::new(process, spawned.process, patience, ears).start();
        let view = WorkerView {
            id,
            state: State::Forked,
            generation,
            killed: false,
            apart: false,
        };
        let worker = Worker {
            view,
            addr,
            pid,
            started: Instant::now(),
            slots: spawned.slots,
            build: String::new(),
            linked: false,
            suspect: false,
            held,
            to_adopt: false,
            isolated: None,
            beat: None,
            history: Default::default(),
            tally: Default::default(),
        };
        self.workers.insert(id, worker);
        self.prune_log();
    }

    /// Workers have numbers of their own, and so files: those that ended long ago make room for those that begin.
    fn prune_log(&self) {
        let options = self.cluster.options();
        if options.log == Some(LogTarget::Files) {
            let is_living = |id| self.workers.contains_key(&id);
            log::prune(
                &options.log_dir,
                &options.name,
                self.wanted.count,
                is_living,
            );
        }
    }

    pub(super) fn dismiss(&mut self, id: WorkerId) {
        self.queue.dismissed(id);
        let within = self.stop_timeout();
        if let Some(worker) = self.workers.get_mut(&id) {
            info!(worker = %id, pid = worker.pid, "dismissing");
            worker.view.state = State::Retiring;
            // `do_send` here and below: orders are few, and must not be lost.
            worker.addr.do_send(Dismiss { within });
        }
    }

    /// How long a dismissed worker may drain: up to the deadline of a stop, where one is under way.
    fn stop_timeout(&self) -> Duration {
        let usual = self.cluster.options().stop_timeout;
        let deadline = self.wanted.stopping.and_then(|stopping| stopping.deadline);
        deadline.map_or(usual, |at| {
            at.saturating_duration_since(Instant::now() + MARGIN)
        })
    }

    pub(super) fn want(&mut self, id: WorkerId, event: Event, expected: State) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.view.state = expected;
            worker.addr.do_send(Want(event));
        }
    }

    pub(super) fn enqueue(&mut self, worker: WorkerId, reason: Reason) {
        info!(%worker, %reason, "queued for replacement");
        self.queue.push(worker, reason, Instant::now());
    }

    fn roll_done(&mut self, ctx: &mut Context<Self>) {
        let Some(roll) = self.wanted.roll_done() else {
            return;
        };
        info!(generation = %roll.to, "{} done", roll.kind);
        if roll.kind == RollKind::Upgrade {
            return self.workers_upgraded(ctx);
        }
        for waiter in self.rolls.drain(..) {
            let _ = waiter.reply.send(Ok(json!({ "generation": roll.to })));
        }
    }

    /// An entry has left the queue: who waits for it is told how it ended.
    pub(super) fn left_queue(&mut self, left: Option<(Entry, Outcome)>) {
        let Some((entry, outcome)) = left else { return };
        match outcome {
            Outcome::Gone => {
                let generation = self.wanted.generation;
                let all = self.workers.values().filter(|w| w.view.state.is_living());
                let of = u32::try_from(all.clone().count()).unwrap_or(u32::MAX);
                let new = all.filter(|w| w.view.generation >= generation).count();
                let done = u32::try_from(new).unwrap_or(u32::MAX);
                for waiter in self.rolls.iter().chain(self.upgrade_waiters()) {
                    waiter.note(done, of, &format!("worker {} replaced", entry.worker));
                }
            }
            Outcome::GaveUp => {
                let cause = self
                    .last_failure
                    .clone()
                    .unwrap_or_else(|| "no cause known".to_owned());
                error!(worker = %entry.worker, reason = %entry.reason, %cause, "no successor would start; the worker is kept");
                self.nanny(Watch::Pardon(ProcessId::Worker(entry.worker)));
                if entry.reason == Reason::Isolate {
                    self.not_isolated(entry.worker, &format!("no successor would start: {cause}"));
                }
                let failed = self.wanted.gave_up(&entry.reason, &mut self.queue);
                if failed.is_some_and(|roll| roll.kind == RollKind::Upgrade) {
                    self.put_back(cause);
                } else if failed.is_some() {
                    for waiter in self.rolls.drain(..) {
                        let error = OperationError::RestartFailed(cause.clone());
                        let _ = waiter.reply.send(Err(error));
                    }
                }
            }
        }
    }

    pub(super) fn wake_at(&mut self, until: Option<Instant>, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if let Some(at) = until {
            let wait = at.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            self.timer = Some(ctx.run_later(wait, |this, ctx| {
                this.timer = None;
                this.reconcile(ctx);
            }));
        }
    }

    fn settled(&mut self) {
        self.exchanged();
        self.ready = true;
        if let Some(on_ready) = self.on_ready.take() {
            info!(workers = self.workers.len(), "all workers are ready");
            let _ = on_ready.send(Ok(()));
        }
    }

    fn hopeless(&mut self) {
        let cause = self
            .last_failure
            .clone()
            .unwrap_or_else(|| "no cause known".to_owned());
        if let Some(on_ready) = self.on_ready.take() {
            let _ = on_ready.send(Err(MasterError::NoWorker { cause }));
        }
    }

    pub(super) fn nanny(&self, watch: Watch) {
        if let Some(nanny) = &self.nanny {
            nanny.do_send(watch);
        }
    }
}
