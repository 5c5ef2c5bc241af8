//! The nanny.
//!
//! *Owns* when each worker was last heard. *Hears* signs of life, which workers to watch. *Tells* the master who has been silent.

use std::time::{Duration, Instant};

use actix::{Actor, AsyncContext, Context, Handler, Message, Recipient};
use tracing::{info, warn};

use super::proxy::Alive;
use crate::health::silence::{Overdue, Silence, Standing};
use crate::id::{ProcessId, WorkerId};

/// A worker's standing has changed.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) enum Heard {
    /// It has missed beats.
    Suspect(WorkerId),
    /// It was suspect, and has been heard again.
    Cleared(WorkerId),
    /// It has been silent for longer than is tolerated.
    Condemned { worker: WorkerId, silent: Duration },
}

/// What the master tells of a worker.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) enum Watch {
    /// It serves: listen for it.
    Begin(WorkerId),
    /// It is gone or going.
    End(WorkerId),
    /// It is paused: its silence does not matter.
    Exempt(WorkerId),
    /// It is no longer paused.
    Include(WorkerId),
    /// It was condemned and is kept for want of a successor.
    Pardon(WorkerId),
}

pub(crate) struct Nanny {
    silence: Silence,
    interval: Duration,
    master: Recipient<Heard>,
}

impl Nanny {
    pub(crate) fn new(interval: Duration, tolerance: Duration, master: Recipient<Heard>) -> Self {
        Nanny {
            silence: Silence::new(interval, tolerance),
            interval,
            master,
        }
    }

    fn tick(&mut self) {
        for Overdue {
            worker,
            silent,
            standing,
        } in self.silence.tick(Instant::now())
        {
            let silent_ms = silent.as_millis();
            // `do_send`: each standing is told once and must not be lost.
            match standing {
                Standing::Condemned => {
                    warn!(%worker, silent_ms, "condemned: silent for too long");
                    self.master.do_send(Heard::Condemned { worker, silent });
                }
                _ => {
                    warn!(%worker, silent_ms, "suspect: it has missed heartbeats");
                    self.master.do_send(Heard::Suspect(worker));
                }
            }
        }
    }
}

impl Actor for Nanny {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(4096);
        ctx.run_interval(self.interval, |this, _| this.tick());
    }
}

impl Handler<Alive> for Nanny {
    type Result = ();

    fn handle(&mut self, Alive { process, silent }: Alive, _: &mut Context<Self>) {
        let ProcessId::Worker(worker) = process else {
            return;
        };
        if self.silence.beat(worker, Instant::now(), silent) {
            info!(%worker, "no longer suspect");
            self.master.do_send(Heard::Cleared(worker));
        }
    }
}

impl Handler<Watch> for Nanny {
    type Result = ();

    fn handle(&mut self, watch: Watch, _: &mut Context<Self>) {
        let now = Instant::now();
        match watch {
            Watch::Begin(worker) => self.silence.watch(worker, now),
            Watch::End(worker) => self.silence.forget(worker),
            Watch::Exempt(worker) => self.silence.exempt(worker),
            Watch::Include(worker) => self.silence.include(worker, now),
            Watch::Pardon(worker) => self.silence.pardon(worker, now),
        }
    }
}
