//! The nanny.
//!
//! *Owns* when each worker, and the cache manager, was last heard. *Hears* signs of life, whom to watch. *Tells* the master who has been silent.

use std::time::{Duration, Instant};

use actix::{Actor, AsyncContext, Context, Handler, Message, Recipient};
use tracing::{info, warn};

use super::proxy::Alive;
use crate::health::silence::{Overdue, Silence, Standing};
use crate::id::ProcessId;

/// A process's standing has changed.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) enum Heard {
    /// It has missed beats.
    Suspect(ProcessId),
    /// It was suspect, and has been heard again.
    Cleared(ProcessId),
    /// It has been silent for longer than is tolerated.
    Condemned {
        process: ProcessId,
        silent: Duration,
    },
}

/// What the master tells of a process.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) enum Watch {
    /// It serves: listen for it.
    Begin(ProcessId),
    /// It is gone or going.
    End(ProcessId),
    /// It is paused: its silence does not matter.
    Exempt(ProcessId),
    /// It is no longer paused.
    Include(ProcessId),
    /// It was condemned and is kept for want of a successor.
    Pardon(ProcessId),
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
            process,
            silent,
            standing,
        } in self.silence.tick(Instant::now())
        {
            let silent_ms = silent.as_millis();
            // `do_send`: each standing is told once and must not be lost.
            match standing {
                Standing::Condemned => {
                    warn!(%process, silent_ms, "condemned: silent for too long");
                    self.master.do_send(Heard::Condemned { process, silent });
                }
                _ => {
                    warn!(%process, silent_ms, "suspect: it has missed heartbeats");
                    self.master.do_send(Heard::Suspect(process));
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
        if self.silence.beat(process, Instant::now(), silent) {
            info!(%process, "no longer suspect");
            self.master.do_send(Heard::Cleared(process));
        }
    }
}

impl Handler<Watch> for Nanny {
    type Result = ();

    fn handle(&mut self, watch: Watch, _: &mut Context<Self>) {
        let now = Instant::now();
        match watch {
            Watch::Begin(process) => self.silence.watch(process, now),
            Watch::End(process) => self.silence.forget(process),
            Watch::Exempt(process) => self.silence.exempt(process),
            Watch::Include(process) => self.silence.include(process, now),
            Watch::Pardon(process) => self.silence.pardon(process, now),
        }
    }
}
