//! Actors that hear events and answer requests from every process: [`HandlerActor`].
//!
//! What arrives for an actor waits in a queue of its own, and one wake-up hands it a batch: the mailbox sees one message for many.
//! At the bound of that queue an event is dropped and counted, and a question is answered as overloaded.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::dev::MessageResponse;
use actix::{Actor, Addr, Context, Handler};
use tokio::sync::oneshot;

use super::hub::Hub;
pub use super::inbox::Batch;
use super::inbox::Inbox;
use super::message::{Event, Request};
use super::replier::Replier;
use crate::wire::message::Verdict;

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

/// Connects an actor with what it handles; used by derived code.
pub struct Binder<A: HandlerActor> {
    inbox: Arc<Inbox<A>>,
    hub: Arc<Hub>,
}

impl<A: HandlerActor> Binder<A> {
    pub(crate) fn bind(hub: &Arc<Hub>, addr: Addr<A>) {
        let inbox = Inbox::new(addr);
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
        let lane = inbox.lane::<E>(|actor, event, ctx| {
            let response = <A as Handler<E>>::handle(actor, event, ctx);
            response.handle(ctx, None);
        });
        let hear = move |event: E, _| match inbox.room() {
            Ok(queue) => inbox.push(queue, lane, event),
            Err(_) => {
                if let Some(hub) = hub.upgrade() {
                    hub.counters().dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        self.hub.registry.listen::<E>(false, Arc::new(hear));
    }

    /// The actor answers this request.
    pub fn request<R: Request>(&mut self)
    where
        A: Handler<R>,
    {
        let inbox = Arc::clone(&self.inbox);
        let lane = inbox.lane::<(R, Replier<R::Reply>)>(|actor, (request, replier), ctx| {
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
        let answer = move |request: R, _, replier: Replier<R::Reply>| match inbox.room() {
            Ok(queue) => inbox.push(queue, lane, (request, replier)),
            Err(verdict) => replier.reply(Err(verdict)),
        };
        self.hub.registry.answer::<R>(Arc::new(answer));
    }
}
