//! What the master hears: of processes, of the nanny, of arrivals.

use std::time::Instant;

use actix::{AsyncContext, Context, Handler};
use tracing::{error, info, warn};

use super::Master;
use super::accidents::{Accident, Verdict};
use super::death_queue::Reason;
use super::links::{self, Arrived, LinkOpened};
use super::nanny::{Heard, Watch};
use super::proxy::{Happening, ShowStacks, Told, Want, What};
use super::proxy_state::{Event, State};
use crate::emitter::Target;
use crate::events;
use crate::health::policy::Judgement;
use crate::id::{ProcessId, Role, WorkerId};
use crate::protocol::{Adopt, Beat, Refused};

impl Handler<Told> for Master {
    type Result = ();

    fn handle(&mut self, told: Told, ctx: &mut Context<Self>) {
        let Told { process, pid, what } = told;
        for what in what {
            match process {
                ProcessId::Worker(id) => self.told_of_worker(id, what),
                ProcessId::CacheManager if self.is_next_cache(pid) => {
                    self.told_of_next_cache(what, ctx);
                }
                ProcessId::CacheManager => self.told_of_cache(pid, what, ctx),
                ProcessId::Master | ProcessId::Operator(_) => {}
            }
        }
        self.reconcile(ctx);
    }
}

impl Master {
    fn told_of_worker(&mut self, id: WorkerId, what: What) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        match what {
            What::State(state) => {
                worker.view.state = state;
                let process = ProcessId::Worker(id);
                match state {
                    // It has been started to be debugged.
                    State::Active if self.wanted.isolated.contains(&id) => {
                        self.want(id, Event::Isolate, State::Isolated);
                    }
                    State::Active => {
                        self.nanny(Watch::Begin(process));
                        self.nanny(Watch::Include(process));
                        self.let_serve(id);
                    }
                    State::Paused => self.nanny(Watch::Exempt(process)),
                    State::Isolated => self.nanny(Watch::End(process)),
                    State::Retiring | State::Died => self.nanny(Watch::End(process)),
                    // One that was adopted may have been taken for one that serves.
                    State::Forked | State::Warming => self.nanny(Watch::End(process)),
                }
                // The roster first: who is told of a listening worker can reach it.
                self.publish();
            }
            What::Linked { build, .. } => {
                worker.linked = true;
                worker.build = build;
                self.can_be_debugged(id);
            }
            What::Unlinked => worker.linked = false,
            What::Beat(beat) => self.beat(id, *beat),
            What::Isolated(address) => self.isolated(id, address),
            What::Happened(happening) => self.announce(id, happening),
            What::Accident(accident) => self.note_accident(id, accident),
            What::Ended => self.ended(id),
        }
    }

    /// A worker that was started while all were paused serves nobody yet: it is told to, unless it is to be paused on.
    fn let_serve(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if std::mem::take(&mut worker.held) && !self.wanted.pauses(id) {
            worker.addr.do_send(Want(Event::LinkBack));
        }
    }

    fn beat(&mut self, id: WorkerId, beat: Beat) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        worker.suspect = false;
        worker.beat = Some(beat.clone());
        let (pid, state) = (worker.pid, worker.view.state);
        // Whoever is paused or on its way out is left alone; the first beat, which says how it was born, comes before it serves.
        let looked_at = matches!(state, State::Forked | State::Warming | State::Active);
        let (generation, build) = (worker.view.generation, worker.build.clone());
        if looked_at && !self.queue.contains(id) {
            self.judge(id, &beat);
        }
        let heartbeat = events::Heartbeat {
            worker: id,
            pid,
            generation,
            build,
            beat,
        };
        // Told to this process alone, which cannot fail.
        let _ = self.cluster.emitter().emit_to(Target::Myself, heartbeat);
    }

    /// What a heartbeat says of whether the worker is to be replaced.
    fn judge(&mut self, id: WorkerId, beat: &Beat) {
        let limits = self.retirement.limits(&self.cluster, self.wanted.count);
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        let vitals = worker.history.note(id, beat);
        let retirement = &mut self.retirement;
        let decide = |said| retirement.decide(&vitals, said);
        match worker.tally.judge(&vitals, &limits, decide) {
            Judgement::Keep => {}
            Judgement::Replace(decay) => self.enqueue(id, Reason::Decay(decay)),
            Judgement::Unheeded(decays) => {
                for decay in decays {
                    error!(worker = %id, rule = decay.rule(), "{decay}, and it has just been born: the rule is not heeded for it, as its successor would be no better");
                }
            }
        }
    }

    pub(super) fn note_accident(&mut self, id: WorkerId, accident: Accident) {
        if self.wanted.stopping.is_some() {
            return;
        }
        match self.accidents.note(Instant::now(), accident) {
            Verdict::CrashLoop {
                kind, named: true, ..
            } => {
                error!(worker = %id, kind = %kind, "crash loop: workers die of this again and again; the next starts come at the slowest pace");
            }
            Verdict::CrashLoop { after, .. } | Verdict::Restart { after } => {
                let after_ms = after.as_millis();
                warn!(worker = %id, accident = %accident, restart_after_ms = after_ms, "a worker ended by itself");
            }
        }
    }

    fn ended(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.remove(&id) else {
            return;
        };
        self.spawner.free(&worker.slots);
        self.pids.remove(ProcessId::Worker(id));
        self.wanted.forget(id);
        self.not_isolated(id, "it has ended");
        self.sessions.remove(&id);
        self.left_debugged.remove(&id);
        let left = self.queue.gone(id);
        self.left_queue(left);
        self.look_who_is_missing();
        self.note_stops(&format!("worker {id} has ended"));
    }

    fn announce(&mut self, id: WorkerId, happening: Happening) {
        let Some(worker) = self.workers.get(&id) else {
            return;
        };
        let (pid, generation) = (worker.pid, worker.view.generation);
        let emitter = self.cluster.emitter().clone();
        let told = match happening {
            Happening::Warming => {
                info!(worker = %id, pid, "warming");
                emitter.emit(events::WorkerWarming {
                    worker: id,
                    pid,
                    generation,
                })
            }
            Happening::Warmed => emitter.emit(events::Warmed { worker: id, pid }),
            Happening::WarmUpFailed { step, cause } => {
                let at = step.map_or_else(|| "start".to_owned(), |step| step.to_string());
                error!(worker = %id, pid, step = at, %cause, "a worker did not start");
                self.last_failure = Some(format!("worker {id}: {at} failed: {cause}"));
                let gave_up = self.queue.successor_failed(id);
                self.left_queue(gave_up);
                emitter.emit(events::WarmUpFailed {
                    worker: id,
                    pid,
                    step,
                    cause,
                })
            }
            Happening::Listening { addresses } => {
                self.accidents.listened();
                let ready_ms = worker.started.elapsed().as_millis();
                info!(worker = %id, pid, ready_ms, "listening");
                emitter.emit(events::Listening {
                    worker: id,
                    pid,
                    addresses,
                })
            }
            Happening::Paused => {
                info!(worker = %id, pid, "paused");
                emitter.emit(events::Paused { worker: id, pid })
            }
            Happening::Resumed => {
                info!(worker = %id, pid, "resumed");
                emitter.emit(events::Resumed { worker: id, pid })
            }
            Happening::Retiring => {
                let queued = self.queue.iter().find(|entry| entry.worker == id);
                let kind = queued.map_or("scale", |entry| entry.reason.kind());
                let reason = queued.map(|entry| entry.reason.to_string());
                let why = reason.as_deref().unwrap_or("no longer needed");
                info!(worker = %id, pid, reason = why, "retiring");
                emitter.emit(events::Retiring {
                    worker: id,
                    pid,
                    reason,
                    kind: kind.to_owned(),
                })
            }
            Happening::Died { exit, accident } => {
                info!(worker = %id, pid, %exit, accident, "worker ended");
                emitter.emit(events::Died {
                    worker: id,
                    pid,
                    exit,
                    accident,
                })
            }
        };
        if let Err(e) = told {
            warn!(error = %e, "not everybody heard of it");
        }
    }
}

impl Handler<Heard> for Master {
    type Result = ();

    fn handle(&mut self, heard: Heard, ctx: &mut Context<Self>) {
        match heard {
            Heard::Suspect(ProcessId::Worker(id)) | Heard::Cleared(ProcessId::Worker(id)) => {
                if let Some(worker) = self.workers.get_mut(&id) {
                    worker.suspect = matches!(heard, Heard::Suspect(_));
                }
            }
            Heard::Condemned {
                process: ProcessId::Worker(worker),
                silent,
            } => {
                let silent_ms = u64::try_from(silent.as_millis()).unwrap_or(u64::MAX);
                if let Some(condemned) = self.workers.get(&worker) {
                    // Why it hangs is to be known before it is gone; `do_send`: once for each that is condemned.
                    condemned.addr.do_send(ShowStacks);
                    self.enqueue(worker, Reason::Silent { silent_ms });
                }
            }
            Heard::Condemned { .. } => self.end_silent_cache(ctx),
            Heard::Suspect(_) | Heard::Cleared(_) => {}
        }
        self.reconcile(ctx);
    }
}

impl Handler<Arrived> for Master {
    type Result = ();

    fn handle(&mut self, Arrived(arrival): Arrived, ctx: &mut Context<Self>) {
        let hello = &arrival.hello;
        let expected = match (hello.role, hello.worker) {
            (Role::Operator, _) => {
                let operator = ProcessId::Operator(self.next_operator);
                self.next_operator = self.next_operator.wrapping_add(1);
                links::admit_operator(arrival, operator, self.cluster.clone());
                return;
            }
            (Role::Worker, Some(id)) => self
                .workers
                .get(&id)
                .filter(|worker| worker.pid == hello.pid)
                .map(|worker| (ProcessId::Worker(id), worker.addr.clone())),
            (Role::CacheManager, _) => [&self.cache, &self.next_cache]
                .into_iter()
                .flatten()
                .find_map(|cache| cache.proxy_of(hello.pid))
                .map(|addr| (ProcessId::CacheManager, addr)),
            _ => None,
        };
        match expected {
            Some((process, proxy)) => {
                let ears = links::Ears {
                    proxy,
                    opened: ctx.address().recipient(),
                    bequeathed: ctx.address().recipient(),
                    routed: !self.is_next_cache(arrival.hello.pid),
                };
                let adopt = self
                    .to_adopt(process, arrival.hello.pid)
                    .map(|sockets| Adopt { sockets });
                links::admit(arrival, process, self.cluster.clone(), adopt, ears);
            }
            None => links::refuse(arrival, Refused::Unexpected),
        }
    }
}

impl Handler<LinkOpened> for Master {
    type Result = ();

    fn handle(&mut self, LinkOpened(process): LinkOpened, _: &mut Context<Self>) {
        self.send_roster(process);
    }
}
