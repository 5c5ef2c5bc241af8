//! What crosses a process border: events, requests, and the actors that handle them.

use std::marker::PhantomData;

use actix::{Actor, Context, Handler, Message};
use serde::{Serialize, de::DeserializeOwned};

/// What other processes know of a message's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind {
    /// The explicit, stable name.
    pub name: &'static str,
    /// FNV-1a of the name.
    pub id: u64,
    /// Changes with the layout.
    pub fingerprint: u64,
}

impl Kind {
    /// The kind of that name and layout.
    pub const fn new(name: &'static str, fingerprint: u64) -> Self {
        let bytes = name.as_bytes();
        let mut id = 0xcbf2_9ce4_8422_2325_u64;
        let mut at = 0;
        while at < bytes.len() {
            id = (id ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
            at += 1;
        }
        Self {
            name,
            id,
            fingerprint,
        }
    }
}

/// A value told to other processes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "add `#[derive(Clone, Serialize, Deserialize, Event)]` to `{Self}`"
)]
pub trait Event:
    Message<Result = ()> + Serialize + DeserializeOwned + Clone + Send + Sync + 'static
{
    /// Its kind.
    const KIND: Kind;
}

/// A value sent to another process, which answers it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a request",
    label = "not a request",
    note = "add `#[derive(Serialize, Deserialize, Request)]` and `#[reply(TYPE)]` to `{Self}`"
)]
pub trait Request:
    Message<Result = <Self as Request>::Reply> + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// What it is answered with.
    type Reply: Serialize + DeserializeOwned + Send + 'static;
    /// Its kind.
    const KIND: Kind;
}

/// An actor that every process can reach.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler actor",
    label = "not a handler actor",
    note = "add `#[derive(HandlerActor)]` and `#[handles(..)]` to `{Self}`"
)]
pub trait HandlerActor: Actor<Context = Context<Self>> + Handler<Batch<Self>> {
    /// Names the messages it handles.
    fn bind(binder: &mut Binder<Self>);
}

/// A message that the actor `A` handles; derived.
pub trait HandledBy<A: HandlerActor> {
    /// Makes itself known to `binder`.
    fn bind(binder: &mut Binder<A>);
}

/// A message that stands in the `#[handles(..)]` of the actor `A`: `HandledBy`, with an error that says what is missing
/// rather than which other messages there are.
#[diagnostic::on_unimplemented(
    message = "`{A}` cannot handle `{Self}`",
    label = "listed here, but not a message that `{A}` handles",
    note = "`{Self}` must derive `Event` or `Request`, and there must be an `impl actix::Handler<{Self}> for {A}`"
)]
pub trait Listed<A: HandlerActor> {
    /// Makes itself known to `binder`.
    fn bind(binder: &mut Binder<A>);
}

#[diagnostic::do_not_recommend]
impl<A: HandlerActor, M: HandledBy<A>> Listed<A> for M {
    fn bind(binder: &mut Binder<A>) {
        <M as HandledBy<A>>::bind(binder);
    }
}

/// Collects the kinds that an actor handles.
pub struct Binder<A> {
    kinds: Vec<Kind>,
    actor: PhantomData<fn(A)>,
}

impl<A: HandlerActor> Binder<A> {
    /// Takes up an event.
    pub fn event<E: Event>(&mut self)
    where
        A: Handler<E>,
    {
        self.kinds.push(E::KIND);
    }

    /// Takes up a request.
    pub fn request<R: Request>(&mut self)
    where
        A: Handler<R>,
    {
        self.kinds.push(R::KIND);
    }
}

type Delivery<A> = Box<dyn FnOnce(&mut A, &mut Context<A>) + Send>;

/// The messages that arrived for an actor in one wake-up.
pub struct Batch<A: Actor<Context = Context<A>>>(Vec<Delivery<A>>);

impl<A: Actor<Context = Context<A>>> Message for Batch<A> {
    type Result = ();
}

impl<A: Actor<Context = Context<A>>> Batch<A> {
    /// Hands each to its handler.
    pub fn run(self, actor: &mut A, ctx: &mut Context<A>) {
        for deliver in self.0 {
            deliver(actor, ctx);
        }
    }
}
