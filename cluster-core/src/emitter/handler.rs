//! Actors that hear events and answer requests from every process: [`HandlerActor`].
//!
//! What arrives for an actor waits in a queue of its own, and one wake-up hands it a batch: the mailbox sees one message for many.
//! At [`BOUND`] waiting, an event is dropped and counted, and a question is answered as overloaded.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::dev::MessageResponse;
use actix::{Actor, Addr, AsyncContext, Context, Handler};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use super::hub::Hub;
use super::message::{Event, Request};
use super::replier::Replier;
use crate::wire::message::Verdict;

/// Messages that may wait for one actor.
const BOUND: usize = 65_536;
/// Messages handed over per wake-up, so that others get their turn.
const BATCH: usize = 256;

/// An actor that is reachable from every process of the cluster; derive it, and list what it handles.
///
/// ```
/// use actix::{Context, Handler};
/// use cluster_core::{Event, HandlerActor};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Debug, Serialize, Deserialize, Event)]
/// struct Tick(u64);
///
/// #[derive(Default, HandlerActor)]
/// #[handles(Tick)]
/// struct Clock(u64);
///
/// impl Handler<Tick> for Clock {
///     type Result = ();
///     fn handle(&mut self, tick: Tick, _: &mut Context<Self>) {
///         self.0 = tick.0;
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler actor",
    label = "not a handler actor",
    note = "add `#[derive(HandlerActor)]` and `#[handles(..)]` to `{Self}`"
)]
pub trait HandlerActor: Actor<Context = Context<Self>> + Handler<Batch<Self>> {
    /// Binds each message that the actor handles.
    fn bind(binder: &mut Binder<Self>);
}

/// A message that an actor can be bound to; derived with [`Event`] and [`Request`].
pub trait HandledBy<A: HandlerActor> {
    /// Binds the actor to the message.
    fn bind(binder: &mut Binder<A>);
}

/// A message that stands in the `#[handles(..)]` of the actor `A`: [`HandledBy`], with an error that says what is missing
/// rather than which other messages there are.
#[diagnostic::on_unimplemented(
    message = "`{A}` cannot handle `{Self}`",
    label = "listed here, but not a message that `{A}` handles",
    note = "`{Self}` must derive `Event` or `Request`, and there must be an `impl actix::Handler<{Self}> for {A}`"
)]
pub trait Listed<A: HandlerActor> {
    /// Binds the actor to the message.
    fn bind(binder: &mut Binder<A>);
}

#[diagnostic::do_not_recommend]
impl<A: HandlerActor, M: HandledBy<A>> Listed<A> for M {
    fn bind(binder: &mut Binder<A>) {
        <M as HandledBy<A>>::bind(binder);
    }
}

type Job<A> = Box<dyn FnOnce(&mut A, &mut Context<A>) + Send>;

struct Queue<A: Actor<Context = Context<A>>> {
    jobs: VecDeque<Job<A>>,
    /// A batch is on its way to the actor.
    woken: bool,
}

struct Inbox<A: Actor<Context = Context<A>>> {
    queue: Mutex<Queue<A>>,
    addr: Addr<A>,
}

/// Some of what waits for an actor; made and run by derived code.
pub struct Batch<A: Actor<Context = Context<A>>>(Arc<Inbox<A>>);

impl<A: Actor<Context = Context<A>>> actix::Message for Batch<A> {
    type Result = ();
}

impl<A: HandlerActor> Batch<A> {
    /// Runs the batch in the actor's own turn.
    pub fn run(self, actor: &mut A, ctx: &mut Context<A>) {
        let jobs: Vec<Job<A>> = {
            let mut queue = self.0.queue.lock();
            let n = queue.jobs.len().min(BATCH);
            queue.jobs.drain(..n).collect()
        };
        for job in jobs {
            job(actor, ctx);
        }
        let mut queue = self.0.queue.lock();
        queue.woken = !queue.jobs.is_empty();
        if queue.woken {
            drop(queue);
            ctx.address().do_send(Batch(self.0));
        }
    }
}

impl<A: HandlerActor> Inbox<A> {
    /// The queue, where the actor takes a further message now.
    fn room(&self) -> Result<MutexGuard<'_, Queue<A>>, Verdict> {
        if !self.addr.connected() {
            return Err(Verdict::NoHandler);
        }
        let queue = self.queue.lock();
        if queue.jobs.len() >= BOUND {
            Err(Verdict::Overloaded)
        } else {
            Ok(queue)
        }
    }

    fn push(self: &Arc<Self>, mut queue: MutexGuard<'_, Queue<A>>, job: Job<A>) {
        queue.jobs.push_back(job);
        if !std::mem::replace(&mut queue.woken, true) {
            drop(queue);
            // `do_send` ignores the mailbox's capacity: right here, as one batch at most is on its way.
            self.addr.do_send(Batch(Arc::clone(self)));
        }
    }
}

/// Connects an actor with what it handles; used by derived code.
pub struct Binder<A: HandlerActor> {
    inbox: Arc<Inbox<A>>,
    hub: Arc<Hub>,
}

impl<A: HandlerActor> Binder<A> {
    pub(crate) fn bind(hub: &Arc<Hub>, addr: Addr<A>) {
        let queue = Mutex::new(Queue {
            jobs: VecDeque::new(),
            woken: false,
        });
        let inbox = Arc::new(Inbox { queue, addr });
        A::bind(&mut Binder {
            inbox,
            hub: Arc::clone(hub),
        });
    }

    /// The actor hears this event.
    ///
    /// # Panics
    ///
    /// Where another event type of the same name is listened to already.
    pub fn event<E: Event>(&mut self)
    where
        A: Handler<E>,
    {
        let inbox = Arc::clone(&self.inbox);
        let hub = Arc::downgrade(&self.hub);
        let hear = move |event: E, _| {
            let Ok(queue) = inbox.room() else {
                if let Some(hub) = hub.upgrade() {
                    hub.counters().dropped.fetch_add(1, Ordering::Relaxed);
                }
                return;
            };
            let job = Box::new(|actor: &mut A, ctx: &mut Context<A>| {
                let response = <A as Handler<E>>::handle(actor, event, ctx);
                response.handle(ctx, None);
            });
            inbox.push(queue, job);
        };
        self.hub.registry.listen::<E>(false, Arc::new(hear));
    }

    /// The actor answers this request.
    pub fn request<R: Request>(&mut self)
    where
        A: Handler<R>,
    {
        let inbox = Arc::clone(&self.inbox);
        let answer = move |request: R, _, replier: Replier<R::Reply>| {
            let queue = match inbox.room() {
                Ok(queue) => queue,
                Err(verdict) => return replier.reply(Err(verdict)),
            };
            let job = Box::new(|actor: &mut A, ctx: &mut Context<A>| {
                let (tx, mut rx) = oneshot::channel();
                let response = <A as Handler<R>>::handle(actor, request, ctx);
                response.handle(ctx, Some(tx));
                match rx.try_recv() {
                    Ok(reply) => replier.reply(Ok(reply)),
                    Err(_) => {
                        actix_rt::spawn(async move {
                            replier.reply(rx.await.map_err(|_| Verdict::Abandoned));
                        });
                    }
                }
            });
            inbox.push(queue, job);
        };
        self.hub.registry.answer::<R>(Arc::new(answer));
    }
}
