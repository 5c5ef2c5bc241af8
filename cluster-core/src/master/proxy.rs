//! The worker proxy.
//!
//! *Owns* one process below the master (a worker, or the cache manager) and its state. *Hears* what the master wants of it, what it
//! reports, that its link came or went, and its end. *Tells* master, nanny and status aggregator.

mod messages;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Recipient, SpawnHandle, WrapFuture,
};
use tracing::{debug, warn};

use super::accidents::Accident;
use super::proxy_state::{self, Effect, Event, Lifecycle, Order, Signal, State, Timer};
use crate::bridge::outbox::Outbox;
use crate::id::ProcessId;
use crate::options::Options;
use crate::protocol::{Command, Report, StartStep};
use crate::status::aggregator::{Departed, Offered};
use crate::sys::process::Process;
use crate::sys::{Exit, signal};
use crate::wire::codec;
use crate::wire::message::WireMessage;

pub(crate) use messages::{
    Alive, Dismiss, Happening, Linked, Place, Reported, Settle, ShowStacks, Supersede, Told,
    Unlinked, Want, What,
};

/// How long a process may outlive SIGTERM.
const GRACE: Duration = Duration::from_secs(5);
/// How long the link of a process that has ended is read on.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// Reports that may wait for the proxy; a process that sends faster than they are read loses its link.
pub(crate) const REPORTS: usize = 4096;

/// Whom a proxy tells.
#[derive(Clone)]
pub(crate) struct Ears {
    pub(crate) master: Recipient<Told>,
    pub(crate) nanny: Option<Recipient<Alive>>,
    pub(crate) offered: Recipient<Offered>,
    pub(crate) departed: Recipient<Departed>,
}

/// How long things may take.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    /// From the fork until it listens.
    pub(crate) start: Duration,
    /// From its dismissal until SIGTERM.
    pub(crate) stop: Duration,
}

impl Patience {
    pub(crate) fn usual(options: &Options) -> Self {
        Patience {
            start: options.start_timeout + options.warm_up_timeout,
            stop: options.stop_timeout,
        }
    }
}

pub(crate) struct WorkerProxy {
    me: ProcessId,
    process: Rc<Process>,
    state: State,
    link: Option<Arc<Outbox>>,
    has_linked: bool,
    patience: Patience,
    timer: Option<SpawnHandle>,
    failure: Option<(Option<StartStep>, String)>,
    addresses: Vec<String>,
    /// Why it ends by itself: set with the first accident, for the word on its death.
    accident: Option<Accident>,
    exit: Option<Exit>,
    /// Its end has been dealt with.
    over: bool,
    /// Another process has its place: what it offered is the other's now.
    superseded: bool,
    /// What the master is to be told of the event at hand.
    to_tell: Vec<What>,
    ears: Ears,
}

impl WorkerProxy {
    pub(crate) fn new(me: ProcessId, process: Process, patience: Patience, ears: Ears) -> Self {
        WorkerProxy {
            me,
            process: Rc::new(process),
            state: State::Forked,
            link: None,
            has_linked: false,
            patience,
            timer: None,
            failure: None,
            addresses: Vec::new(),
            accident: None,
            exit: None,
            over: false,
            superseded: false,
            to_tell: Vec::new(),
            ears,
        }
    }

    /// A process that another master has started, in this state as far as is known.
    pub(crate) fn adopted(
        me: ProcessId,
        process: Process,
        state: State,
        patience: Patience,
        ears: Ears,
    ) -> Self {
        WorkerProxy {
            state,
            has_linked: true,
            ..Self::new(me, process, patience, ears)
        }
    }

    /// The same for one whose place another has, and until it is told otherwise.
    pub(crate) fn without_the_place(mut self) -> Self {
        self.superseded = true;
        self
    }

    fn step(&mut self, event: Event, ctx: &mut Context<Self>) {
        let (state, effects) = proxy_state::step(self.state, event);
        debug!(process = %self.me, ?event, from = %self.state, to = %state, "step");
        if state != self.state {
            self.state = state;
            self.tell(What::State(state));
        }
        for effect in effects {
            self.carry_out(*effect, event, ctx);
        }
        self.tell_all();
    }

    fn carry_out(&mut self, effect: Effect, event: Event, ctx: &mut Context<Self>) {
        match effect {
            Effect::Send(order) => self.send(order),
            Effect::Signal(which) => self.signal(which),
            Effect::StartTimer(timer) => self.start_timer(timer, ctx),
            Effect::Announce(lifecycle) => {
                let happening = self.happening(lifecycle, event);
                self.tell(What::Happened(happening));
            }
            Effect::Accident => {
                let accident = self.accident_of(event);
                self.accident = Some(accident);
                self.tell(What::Accident(accident));
            }
        }
    }

    fn send(&self, order: Order) {
        let within_ms = u64::try_from(self.patience.stop.as_millis()).unwrap_or(u64::MAX);
        let command = match order {
            Order::Pause => Command::Pause,
            Order::Resume => Command::Resume,
            Order::Isolate => Command::Isolate,
            Order::Retire => Command::Retire { within_ms },
        };
        if let Some(link) = &self.link {
            let sent = link.push(Command::HEADER, |out| codec::encode_into(&command, out));
            if let Err(e) = sent {
                warn!(process = %self.me, ?command, reason = ?e, "a command was not sent");
            }
        }
    }

    fn signal(&self, which: Signal) {
        let number = match which {
            Signal::Term => signal::Signal::TERM,
            Signal::Kill => signal::Signal::KILL,
        };
        if let Err(e) = self.process.signal(number) {
            debug!(process = %self.me, error = %e, "a signal was not sent");
        }
    }

    fn start_timer(&mut self, timer: Timer, ctx: &mut Context<Self>) {
        let (time, event) = match timer {
            Timer::Start => (self.patience.start, Event::StartTimeout),
            Timer::Stop => (self.patience.stop, Event::StopTimeout),
            Timer::Grace => (GRACE, Event::GraceOver),
        };
        if let Some(old) = self.timer.take() {
            ctx.cancel_future(old);
        }
        self.timer = Some(ctx.run_later(time, move |this, ctx| {
            this.timer = None;
            this.step(event, ctx);
        }));
    }

    fn happening(&mut self, lifecycle: Lifecycle, event: Event) -> Happening {
        match lifecycle {
            Lifecycle::Warming => Happening::Warming,
            Lifecycle::Warmed => Happening::Warmed,
            Lifecycle::Listening => Happening::Listening {
                addresses: std::mem::take(&mut self.addresses),
            },
            Lifecycle::Paused => Happening::Paused,
            Lifecycle::Resumed => Happening::Resumed,
            Lifecycle::Retiring => Happening::Retiring,
            Lifecycle::WarmUpFailed => {
                let (step, cause) = self.failure.take().unwrap_or_else(|| {
                    let cause = match (event, self.exit) {
                        (Event::StartTimeout, _) => {
                            format!(
                                "it did not serve within {} ms",
                                self.patience.start.as_millis()
                            )
                        }
                        (_, Some(exit)) => format!("its process ended with {exit}"),
                        _ => "it left before it served".to_owned(),
                    };
                    (None, cause)
                });
                Happening::WarmUpFailed { step, cause }
            }
            Lifecycle::Died => Happening::Died {
                exit: self.exit.unwrap_or(Exit::Unknown),
                accident: self.accident.is_some(),
            },
        }
    }

    fn accident_of(&self, event: Event) -> Accident {
        match (event, self.exit) {
            (Event::StartFailed, _) => Accident::StartFailed,
            (Event::StartTimeout, _) => Accident::StartTimeout,
            (Event::Leaving, _) => Accident::Left,
            (_, Some(Exit::Code(code))) => Accident::Exited(code),
            (_, Some(Exit::Signal(signal))) => Accident::Signalled(signal),
            _ => Accident::Unknown,
        }
    }

    fn tell(&mut self, what: What) {
        self.to_tell.push(what);
    }

    /// Tells the master. `do_send` passes its capacity by: states must not be lost, and each process causes few.
    fn tell_all(&mut self) {
        let what = std::mem::take(&mut self.to_tell);
        if !what.is_empty() {
            let (process, pid) = (self.me, self.process.pid());
            self.ears.master.do_send(Told { process, pid, what });
        }
    }

    /// What it offered is gone. `do_send`, as for states: it must not be lost, and comes once for each link.
    fn depart(&self) {
        if !self.superseded {
            self.ears.departed.do_send(Departed(self.me));
        }
    }

    /// The process has ended, and all that it had sent has been read.
    fn ended(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        self.step(Event::Exited, ctx);
        self.depart();
        self.tell(What::Ended);
        self.tell_all();
        actix::ActorContext::stop(ctx);
    }
}

impl Actor for WorkerProxy {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(REPORTS);
        for effect in proxy_state::begin(self.state) {
            self.carry_out(*effect, Event::LinkLost, ctx);
        }
        let process = Rc::clone(&self.process);
        let ended = async move { process.exited().await };
        ctx.spawn(ended.into_actor(self).map(|exit, this, ctx| {
            this.exit = Some(exit);
            if this.link.is_none() {
                this.ended(ctx);
            } else {
                // Its last words may still be in the socket; the end of the link follows them.
                ctx.run_later(LAST_WORDS, Self::ended);
            }
        }));
    }
}

impl Handler<Want> for WorkerProxy {
    type Result = ();

    fn handle(&mut self, Want(event): Want, ctx: &mut Context<Self>) {
        self.step(event, ctx);
    }
}

impl Handler<Dismiss> for WorkerProxy {
    type Result = ();

    fn handle(&mut self, Dismiss { within }: Dismiss, ctx: &mut Context<Self>) {
        self.patience.stop = within;
        self.step(Event::Dismiss, ctx);
    }
}

impl Handler<Supersede> for WorkerProxy {
    type Result = ();

    fn handle(&mut self, _: Supersede, ctx: &mut Context<Self>) {
        self.superseded = true;
        self.step(Event::Dismiss, ctx);
    }
}

impl Handler<Place> for WorkerProxy {
    type Result = ();

    fn handle(&mut self, Place(has): Place, _: &mut Context<Self>) {
        self.superseded = !has;
    }
}

impl Handler<Settle> for WorkerProxy {
    type Result = ();

    fn handle(&mut self, Settle(state): Settle, ctx: &mut Context<Self>) {
        if self.state == State::Died {
            return;
        }
        debug!(process = %self.me, from = %self.state, to = %state, "settled");
        self.state = state;
        for effect in proxy_state::begin(state) {
            self.carry_out(*effect, Event::LinkBack, ctx);
        }
        self.tell(What::State(state));
        self.tell_all();
    }
}

impl Handler<Linked> for WorkerProxy {
    type Result = ();

    fn handle(&mut self, Linked { outbox, build }: Linked, ctx: &mut Context<Self>) {
        self.link = Some(Arc::clone(&outbox));
        self.tell(What::Linked { build, outbox });
        let event = if self.has_linked {
            Event::LinkBack
        } else {
            Event::Connected
        };
        self.has_linked = true;
        self.step(event, ctx);
    }
}

impl Handler<Unlinked> for WorkerProxy {
    type Result = ();

    fn handle(&mut self, Unlinked { outbox }: Unlinked, ctx: &mut Context<Self>) {
        if self
            .link
            .as_ref()
            .is_some_and(|link| Arc::ptr_eq(link, &outbox))
        {
            self.link = None;
            self.tell(What::Unlinked);
            self.step(Event::LinkLost, ctx);
            // It is offered again on the next link; a withdrawal in between would not be heard.
            self.depart();
            if self.exit.is_some() {
                self.ended(ctx);
            }
        }
    }
}

impl Handler<ShowStacks> for WorkerProxy {
    type Result = ();

    fn handle(&mut self, _: ShowStacks, _: &mut Context<Self>) {
        if let Err(e) = self.process.ask_for_stacks() {
            debug!(process = %self.me, error = %e, "its stacks are not shown");
        }
    }
}

impl Handler<Reported> for WorkerProxy {
    type Result = ();

    fn handle(&mut self, Reported(report): Reported, ctx: &mut Context<Self>) {
        // A process that reports is alive, whatever it says, as far as all of its threads run; a full nanny hears the next one.
        if let Some(nanny) = &self.ears.nanny {
            let silent = match &report {
                Report::Beat(beat) => beat.loops_silent_ms.iter().max().copied(),
                _ => None,
            };
            let _ = nanny.try_send(Alive {
                process: self.me,
                silent: Duration::from_millis(silent.unwrap_or(0).into()),
            });
        }
        let event = match report {
            Report::Warmed => Event::WarmedUp,
            Report::Listening { addresses } => {
                self.addresses = addresses;
                Event::Listening
            }
            Report::StartFailed { step, cause } => {
                self.failure = Some((Some(step), cause));
                Event::StartFailed
            }
            Report::Paused => Event::PauseDone,
            Report::Resumed => Event::ResumeDone,
            Report::Retiring => Event::Leaving,
            Report::Beat(beat) => {
                self.tell(What::Beat(beat));
                return self.tell_all();
            }
            Report::Isolated { address } => {
                self.tell(What::Isolated(address));
                return self.tell_all();
            }
            Report::StatusOffered { name } => return self.offer(name, true),
            Report::StatusWithdrawn { name } => return self.offer(name, false),
        };
        self.step(event, ctx);
    }
}

impl WorkerProxy {
    fn offer(&self, name: String, offered: bool) {
        let offered = Offered {
            process: self.me,
            name,
            offered,
        };
        // `do_send`: the aggregator keeps a bounded number of names of each process, and none must be lost on the way.
        self.ears.offered.do_send(offered);
    }
}
