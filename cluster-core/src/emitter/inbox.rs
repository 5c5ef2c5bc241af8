//! What waits for one actor: a queue for each kind of message, so that none needs a box of its own, and the order among them.
//!
//! One wake-up hands the actor all that waits by then, of which it works off [`BATCH`] messages a turn. At [`BOUND`] waiting, a further
//! message is refused.

use std::any::Any;
use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use actix::{Actor, Addr, AsyncContext, Context};
use parking_lot::{Mutex, MutexGuard};

use super::handler::HandlerActor;
use crate::wire::message::Verdict;

/// Messages that may wait for one actor.
const BOUND: usize = 65_536;
/// Messages worked off in a turn, so that others get theirs.
const BATCH: usize = 256;

/// What is done with one message.
pub(super) type Run<A, M> = fn(&mut A, M, &mut Context<A>);

/// Messages of one kind.
struct Lane<A: Actor<Context = Context<A>>, M> {
    messages: VecDeque<M>,
    run: Run<A, M>,
}

trait AnyLane<A: Actor<Context = Context<A>>>: Any + Send {
    /// Has the actor work off the first message.
    fn run_first(&mut self, actor: &mut A, ctx: &mut Context<A>);
    /// Another of this kind, without messages.
    fn empty(&self) -> Box<dyn AnyLane<A>>;
    /// Gives back what a burst has taken.
    fn shrink(&mut self);
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<A: HandlerActor, M: Send + 'static> AnyLane<A> for Lane<A, M> {
    fn run_first(&mut self, actor: &mut A, ctx: &mut Context<A>) {
        if let Some(message) = self.messages.pop_front() {
            (self.run)(actor, message, ctx);
        }
    }
    fn empty(&self) -> Box<dyn AnyLane<A>> {
        let lane: Lane<A, M> = Lane {
            messages: VecDeque::new(),
            run: self.run,
        };
        Box::new(lane)
    }
    fn shrink(&mut self) {
        self.messages.shrink_to(BATCH);
    }
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// Messages of all kinds, and the order in which they came, by the number of their lane.
struct Work<A: Actor<Context = Context<A>>> {
    order: VecDeque<usize>,
    lanes: Vec<Box<dyn AnyLane<A>>>,
}

impl<A: Actor<Context = Context<A>>> Work<A> {
    fn none() -> Self {
        Work {
            order: VecDeque::new(),
            lanes: Vec::new(),
        }
    }

    /// Has a lane for each of the other's.
    fn keep_up_with(&mut self, other: &Self) {
        for lane in &other.lanes[self.lanes.len().min(other.lanes.len())..] {
            self.lanes.push(lane.empty());
        }
    }

    fn shrink(&mut self) {
        if self.order.capacity() > 16 * BATCH {
            self.order.shrink_to(BATCH);
            self.lanes.iter_mut().for_each(|lane| lane.shrink());
        }
    }
}

pub(super) struct Queue<A: Actor<Context = Context<A>>> {
    waiting: Work<A>,
    /// What is used in turn with it, while the actor has nothing to do.
    spare: Option<Work<A>>,
    /// How many messages the actor has been handed and not worked off.
    handed: usize,
}

pub(super) struct Inbox<A: Actor<Context = Context<A>>> {
    queue: Mutex<Queue<A>>,
    addr: Addr<A>,
}

/// Some of what waits for an actor; made and run by derived code.
pub struct Batch<A: Actor<Context = Context<A>>> {
    inbox: Arc<Inbox<A>>,
    work: Work<A>,
}

impl<A: Actor<Context = Context<A>>> actix::Message for Batch<A> {
    type Result = ();
}

impl<A: HandlerActor> Batch<A> {
    /// Runs the batch in the actor's own turn.
    pub fn run(mut self, actor: &mut A, ctx: &mut Context<A>) {
        if self.work.order.is_empty() {
            let mut queue = self.inbox.queue.lock();
            mem::swap(&mut queue.waiting, &mut self.work);
            queue.waiting.keep_up_with(&self.work);
            queue.handed = self.work.order.len();
        }
        for _ in 0..BATCH {
            let Some(lane) = self.work.order.pop_front() else {
                break;
            };
            if let Some(lane) = self.work.lanes.get_mut(lane) {
                lane.run_first(actor, ctx);
            }
        }
        let mut queue = self.inbox.queue.lock();
        queue.handed = self.work.order.len();
        if queue.handed == 0 && queue.waiting.order.is_empty() {
            self.work.shrink();
            queue.waiting.shrink();
            queue.spare = Some(self.work);
        } else {
            drop(queue);
            ctx.address().do_send(self);
        }
    }
}

impl<A: HandlerActor> Inbox<A> {
    pub(super) fn new(addr: Addr<A>) -> Arc<Self> {
        let queue = Queue {
            waiting: Work::none(),
            spare: Some(Work::none()),
            handed: 0,
        };
        Arc::new(Inbox {
            queue: Mutex::new(queue),
            addr,
        })
    }

    /// Makes a lane for messages of a kind; gives back its number.
    pub(super) fn lane<M: Send + 'static>(&self, run: Run<A, M>) -> usize {
        let lane: Lane<A, M> = Lane {
            messages: VecDeque::new(),
            run,
        };
        let mut queue = self.queue.lock();
        queue.waiting.lanes.push(Box::new(lane));
        queue.waiting.lanes.len() - 1
    }

    /// The queue, where the actor takes a further message now.
    pub(super) fn room(&self) -> Result<MutexGuard<'_, Queue<A>>, Verdict> {
        if !self.addr.connected() {
            return Err(Verdict::NoHandler);
        }
        let queue = self.queue.lock();
        if queue.waiting.order.len() + queue.handed >= BOUND {
            Err(Verdict::Overloaded)
        } else {
            Ok(queue)
        }
    }

    /// Puts a message into the lane that was made for its kind.
    pub(super) fn push<M: Send + 'static>(
        self: &Arc<Self>,
        mut queue: MutexGuard<'_, Queue<A>>,
        number: usize,
        message: M,
    ) {
        let lane = queue.waiting.lanes.get_mut(number);
        let Some(lane) = lane.and_then(|lane| lane.as_any().downcast_mut::<Lane<A, M>>()) else {
            return;
        };
        lane.messages.push_back(message);
        queue.waiting.order.push_back(number);
        if let Some(work) = queue.spare.take() {
            drop(queue);
            // `do_send` ignores the mailbox's capacity: right here, as one batch at most is on its way.
            self.addr.do_send(Batch {
                inbox: Arc::clone(self),
                work,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emitter::{Binder, Emitter, Event, Target};
    use actix::Handler;
    use serde::{Deserialize, Serialize};
    use tokio::sync::oneshot;

    #[derive(Clone, Serialize, Deserialize, cluster_macros::Event)]
    struct Odd(u32);

    #[derive(Clone, Serialize, Deserialize, cluster_macros::Event)]
    struct Even(u32);

    #[derive(Default)]
    struct Numbers {
        heard: Vec<u32>,
        until: u32,
        done: Option<oneshot::Sender<Vec<u32>>>,
    }

    impl Actor for Numbers {
        type Context = Context<Self>;
    }

    impl Numbers {
        fn hear(&mut self, number: u32) {
            self.heard.push(number);
            if number + 1 == self.until
                && let Some(done) = self.done.take()
            {
                let _ = done.send(mem::take(&mut self.heard));
            }
        }
    }

    impl HandlerActor for Numbers {
        fn bind(binder: &mut Binder<Self>) {
            binder.event::<Odd>();
            binder.event::<Even>();
        }
    }

    impl Handler<Batch<Self>> for Numbers {
        type Result = ();
        fn handle(&mut self, batch: Batch<Self>, ctx: &mut Context<Self>) {
            batch.run(self, ctx);
        }
    }

    impl Handler<Odd> for Numbers {
        type Result = ();
        fn handle(&mut self, odd: Odd, _: &mut Context<Self>) {
            self.hear(odd.0);
        }
    }

    impl Handler<Even> for Numbers {
        type Result = ();
        fn handle(&mut self, even: Even, _: &mut Context<Self>) {
            self.hear(even.0);
        }
    }

    fn tell(emitter: &Emitter, number: u32) {
        let told = match number % 3 {
            0 => emitter.emit_to(Target::Myself, Even(number)),
            _ => emitter.emit_to(Target::Myself, Odd(number)),
        };
        told.unwrap();
    }

    #[actix_rt::test]
    async fn an_actor_hears_in_order_whatever_the_kinds_and_loses_only_what_exceeds_the_bound() {
        assert_ne!(Odd::KIND.id, Even::KIND.id);
        for count in [1, 7, 255, 256, 257, 5000, 65_536] {
            let emitter = Emitter::alone();
            let (done, heard) = oneshot::channel();
            let numbers = Numbers {
                until: count,
                done: Some(done),
                ..Numbers::default()
            };
            emitter.bind(numbers.start());
            for number in 0..count + 9 {
                tell(&emitter, number);
            }
            let heard = heard.await.unwrap();
            assert_eq!(heard, (0..count).collect::<Vec<_>>());
            let beyond = if count == 65_536 { 9 } else { 0 };
            assert_eq!(
                emitter.counters().dropped,
                beyond,
                "the actor had no turn before"
            );
        }
    }
}
