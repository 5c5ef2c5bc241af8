//! What operators want of the cluster, and the way to its end.

use std::time::{Duration, Instant};

use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tracing::info;

use super::death_queue::Reason;
use super::pid_files::PidFiles;
use super::proxy_state::State;
use super::start::MasterError;
use super::wanted::RollKind;
use super::wanted::command::{self, Accepted, Command, MOST_WORKERS, Refused};
use super::wanted::view::View;
use super::{End, Fate, Master, Waiter};
use crate::emitter::{Target, emit_json};
use crate::events;
use crate::id::WorkerId;
use crate::node::{Mark, Operated};
use crate::protocol::{Addressee, Operation, OperationError};

/// How long processes have beyond their time to drain, before all is forced.
pub(super) const MARGIN: Duration = Duration::from_secs(6);
/// An operation, as a message.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Operate(pub(super) Operated);

/// Start the cache manager; the answer comes when it serves.
#[derive(Message)]
#[rtype(result = "oneshot::Receiver<End>")]
pub(super) struct StartCache;

/// Start the workers; the answer comes when all are ready.
#[derive(Message)]
#[rtype(result = "oneshot::Receiver<End>")]
pub(super) struct Open {
    pub(super) sockets: Vec<crate::worker::application::Socket>,
}

/// The answer to whoever would start something while all is to end.
fn stopped() -> oneshot::Receiver<End> {
    let (tell, told) = oneshot::channel();
    let _ = tell.send(Err(MasterError::Stopped));
    told
}

impl Handler<StartCache> for Master {
    type Result = actix::MessageResult<StartCache>;

    fn handle(&mut self, _: StartCache, ctx: &mut Context<Self>) -> Self::Result {
        let ready = match self.is_stopping() {
            true => stopped(),
            false => self.start_cache(ctx),
        };
        self.publish();
        actix::MessageResult(ready)
    }
}

impl Handler<Open> for Master {
    type Result = actix::MessageResult<Open>;

    fn handle(&mut self, open: Open, ctx: &mut Context<Self>) -> Self::Result {
        if self.is_stopping() {
            return actix::MessageResult(stopped());
        }
        let (on_ready, ready) = oneshot::channel();
        self.spawner.set_sockets(open.sockets);
        self.on_ready = Some(on_ready);
        self.open = true;
        self.go_on_with_upgrade(ctx);
        self.reconcile(ctx);
        actix::MessageResult(ready)
    }
}

impl Handler<Operate> for Master {
    type Result = ();

    fn handle(&mut self, Operate(operated): Operate, ctx: &mut Context<Self>) {
        let Operated {
            operation,
            reply,
            progress,
        } = operated;
        let waiter = Waiter { reply, progress };
        match operation {
            Operation::Restart { wait } => self.restart(wait, waiter),
            Operation::Upgrade { wait } => self.upgrade(wait, waiter, ctx),
            Operation::Stop { timeout_ms } => self.stop(timeout_ms, waiter, ctx),
            Operation::Debug(debugging) => self.debug(debugging, waiter, ctx),
            other => {
                let _ = waiter.reply.send(self.at_once(other));
            }
        }
        self.reconcile(ctx);
    }
}

impl Master {
    pub(super) fn is_stopping(&self) -> bool {
        self.leaving || self.wanted.stopping.is_some()
    }

    /// What is answered without waiting for anything.
    fn at_once(&mut self, operation: Operation) -> Result<Value, OperationError> {
        match operation {
            Operation::Status => {
                self.publish();
                Ok(serde_json::to_value(&*self.cluster.state()).unwrap_or(Value::Null))
            }
            Operation::Scale { workers } => {
                if !(1..=MOST_WORKERS).contains(&workers) {
                    return Err(OperationError::OutOfRange {
                        what: "workers".to_owned(),
                        value: workers.to_string(),
                        allowed: format!("1 to {MOST_WORKERS}"),
                    });
                }
                self.command(Command::Scale(workers))?;
                info!(workers, "scaling");
                Ok(json!({ "workers": workers }))
            }
            Operation::Pause { worker, force } => {
                let worker = worker.map(|number| self.find(number)).transpose()?;
                self.command(Command::Pause { worker, force })?;
                Ok(json!({ "paused": worker.map_or(json!("all"), |id| json!(id)) }))
            }
            Operation::Resume { worker } => {
                let worker = worker.map(|number| self.find(number)).transpose()?;
                self.command(Command::Resume { worker })?;
                Ok(json!({ "resumed": worker.map_or(json!("all"), |id| json!(id)) }))
            }
            Operation::Recycle { worker } => {
                let worker = self.find(worker)?;
                self.recycle(worker)?;
                Ok(json!({ "recycled": worker }))
            }
            Operation::MarkUp => self.set_mark(Mark::Up),
            Operation::MarkDown => self.set_mark(Mark::Down),
            Operation::Emit { name, json, to } => self.emit(&name, &json, &to),
            // What takes its time is carried out elsewhere.
            Operation::Restart { .. }
            | Operation::Upgrade { .. }
            | Operation::Stop { .. }
            | Operation::Statuses
            | Operation::ReadStatus { .. }
            | Operation::SetStatus { .. }
            | Operation::Debug(_) => Ok(Value::Null),
        }
    }

    /// The worker of this id or, where no such id is known, of this pid.
    pub(super) fn find(&self, number: u32) -> Result<WorkerId, OperationError> {
        let id = WorkerId(number);
        if self.workers.contains_key(&id) {
            return Ok(id);
        }
        let by_pid = self.workers.iter().find(|(_, worker)| worker.pid == number);
        by_pid
            .map(|(id, _)| *id)
            .ok_or(OperationError::NoSuchWorker(number))
    }

    pub(super) fn command(&mut self, command: Command) -> Result<Accepted, OperationError> {
        let workers = self.views();
        let view = View {
            workers: &workers,
            queue: &self.queue,
            accidents: &self.accidents,
            now: Instant::now(),
        };
        if self.leaving && !matches!(command, Command::Stop { .. }) {
            return Err(OperationError::Stopping);
        }
        command::command(&mut self.wanted, command, &view).map_err(|refused| match refused {
            Refused::Busy { running } => OperationError::Busy(running.to_string()),
            Refused::Stopping => OperationError::Stopping,
            Refused::LastActive { worker } => OperationError::LastActive(worker),
            Refused::Unknown { worker } => OperationError::NoSuchWorker(worker.0),
            Refused::Count { asked } => OperationError::OutOfRange {
                what: "workers".to_owned(),
                value: asked.to_string(),
                allowed: format!("1 to {MOST_WORKERS}"),
            },
        })
    }

    /// Queues one worker to be replaced. One that is queued already stays where it is.
    fn recycle(&mut self, worker: WorkerId) -> Result<(), OperationError> {
        if self.is_stopping() {
            return Err(OperationError::Stopping);
        }
        match self.workers.get(&worker).map(|worker| worker.view.state) {
            Some(State::Active | State::Paused) => {
                self.enqueue(worker, Reason::Operator);
                Ok(())
            }
            Some(state) => Err(OperationError::WrongState {
                worker,
                state: state.to_string(),
            }),
            None => Err(OperationError::NoSuchWorker(worker.0)),
        }
    }

    fn set_mark(&mut self, mark: Mark) -> Result<Value, OperationError> {
        self.mark = mark;
        self.publish();
        let told = match mark {
            Mark::Up => self.cluster.emitter().emit(events::MarkedUp {}),
            Mark::Down => self.cluster.emitter().emit(events::MarkedDown {}),
        };
        info!(?mark, "the node was marked");
        if let Err(e) = told {
            tracing::warn!(error = %e, "not everybody heard of the mark");
        }
        Ok(json!({ "mark": mark }))
    }

    fn emit(&self, name: &str, json: &str, to: &[Addressee]) -> Result<Value, OperationError> {
        let emitter = self.cluster.emitter();
        let targets: Vec<Target> = match to {
            [] => emitter.audience().to_vec(),
            some => some
                .iter()
                .map(|addressee| match addressee {
                    Addressee::Master => Target::Master,
                    Addressee::Workers => Target::Workers,
                    Addressee::Worker(number) => Target::Worker(*number),
                    Addressee::CacheManager => Target::CacheManager,
                })
                .collect(),
        };
        emit_json(emitter, &targets, name, json)
            .map_err(|e| OperationError::Emit(crate::worker::run::chain(&e)))?;
        Ok(json!({ "emitted": name }))
    }

    fn restart(&mut self, wait: bool, waiter: Waiter) {
        match self.command(Command::Roll(RollKind::Restart)) {
            Err(e) => {
                let _ = waiter.reply.send(Err(e));
            }
            Ok(accepted) => {
                let generation = self.wanted.generation;
                info!(%generation, ?accepted, "rolling restart");
                if wait {
                    self.rolls.push(waiter);
                } else {
                    let _ = waiter.reply.send(Ok(json!({ "generation": generation })));
                }
            }
        }
    }

    /// Probes hear "down" first; once one has, or none comes, the workers go. A second stop waits for nobody, and one without any time forces.
    fn stop(&mut self, timeout_ms: Option<u64>, waiter: Waiter, ctx: &mut Context<Self>) {
        self.stops.push(waiter);
        let within = timeout_ms.map_or(self.cluster.options().stop_timeout, Duration::from_millis);
        if within.is_zero() {
            info!("stopping at once");
            self.leaving = true;
            self.end_all(Command::Stop {
                deadline: None,
                force: true,
            });
            return;
        }
        if self.leaving {
            self.dismiss_all(within);
            return;
        }
        self.leaving = true;
        self.publish();
        let wait = self.cluster.probe_wait();
        info!(
            within_ms = within.as_millis(),
            probe_wait_ms = wait.as_millis(),
            "stopping"
        );
        if wait.is_zero() {
            self.dismiss_all(within);
            return;
        }
        let cluster = self.cluster.clone();
        let told = async move {
            let _ = tokio::time::timeout(wait, cluster.told_down()).await;
        };
        ctx.spawn(told.into_actor(self).map(move |(), this, ctx| {
            this.dismiss_all(within);
            this.reconcile(ctx);
        }));
    }

    fn dismiss_all(&mut self, within: Duration) {
        let deadline = Some(Instant::now() + within + MARGIN);
        self.end_all(Command::Stop {
            deadline,
            force: false,
        });
    }

    fn end_all(&mut self, stop: Command) {
        // A stop is never refused.
        let _ = self.command(stop);
        // Nobody is started any more, so that a cluster without workers stops too.
        self.open = true;
        for waiter in self.rolls.drain(..) {
            let _ = waiter.reply.send(Err(OperationError::Stopping));
        }
        self.upgrade_over(Err(OperationError::Stopping));
        self.isolations_over();
        // A worker that a debugger has stopped hears of nothing.
        self.sessions.clear();
    }

    pub(super) fn note_stops(&self, note: &str) {
        let left = u32::try_from(self.workers.len()).unwrap_or(u32::MAX);
        for waiter in &self.stops {
            waiter.note(0, left, note);
        }
    }

    /// The workers have ended: now the cache manager, and then all. Called again by every further word to stop.
    pub(super) fn workers_stopped(&mut self, ctx: &mut Context<Self>) {
        self.spawner.set_sockets(Vec::new());
        let (now, stopping) = (Instant::now(), self.wanted.stopping);
        let deadline = stopping.and_then(|stopping| stopping.deadline);
        let left = deadline.map(|at| at.saturating_duration_since(now));
        let forced = stopping.is_some_and(|s| s.forced) || left.is_some_and(|l| l.is_zero());
        let usual = self.cluster.options().stop_timeout;
        let within = left.map_or(usual, |left| left.min(usual));
        if !self.dismiss_cache((!forced).then_some(within)) {
            self.finish();
        } else if !forced {
            self.wake_at(deadline, ctx);
        }
    }

    /// Says that all has ended. What is left belongs to whoever started the master: sockets, files, the lock.
    pub(super) fn finish(&mut self) {
        self.pids = PidFiles::default();
        self.gathering = None;
        self.forget_cache();
        if let Some(on_ready) = self.on_ready.take() {
            let _ = on_ready.send(Err(MasterError::Stopped));
        }
        for waiter in self.stops.drain(..) {
            let _ = waiter.reply.send(Ok(json!({ "stopped": true })));
        }
        if let Some(fate) = self.fate.take() {
            info!("all processes have ended");
            // It has room: nothing else is told but an exchange, which waits for its end.
            let _ = fate.try_send(Fate::End(Ok(())));
        }
    }
}
