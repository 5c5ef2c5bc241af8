//! The connections of one thread, each behind its gate: counted, known to be idle or busy, and to be closed from here.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    task::Waker,
    time::{Duration, Instant},
};

use cluster_core::Slot;
use slab::Slab;
use tokio::sync::Notify;

/// What a connection has been told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Serve on.
    Serve,
    /// No further request: what is read next is the end.
    Close,
    /// Drop everything at the next poll.
    Abort,
}

/// All open connections of one acceptor thread.
pub(crate) struct Connections {
    gates: RefCell<Slab<Rc<Gate>>>,
    live: Cell<u32>,
    draining: Cell<bool>,
    /// While some, the thread is one of those who share the connections of the cluster.
    slot: RefCell<Option<Slot>>,
    /// Told whenever a connection has gone.
    closed: Notify,
    /// Connections closed and not yet replaced, and when the last of them closed.
    vacant: Cell<u32>,
    vacated: Cell<Option<Instant>>,
}

/// How long the place of a closed connection is kept for the next one.
const VACANCY: Duration = Duration::from_millis(10);

/// Places kept at once. More would let a client that closes and opens many connections together pile them up on one worker.
const MOST_VACANT: u32 = 2;

impl Connections {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Connections {
            gates: RefCell::default(),
            live: Cell::new(0),
            draining: Cell::new(false),
            slot: RefCell::new(None),
            closed: Notify::new(),
            vacant: Cell::new(0),
            vacated: Cell::new(None),
        })
    }

    /// Connections that are open, from their acceptance to the end of their task.
    pub(crate) fn live(&self) -> u32 {
        self.live.get()
    }

    /// Whether each answer is to be the last of its connection.
    pub(crate) fn draining(&self) -> bool {
        self.draining.get()
    }

    pub(crate) fn set_draining(&self, draining: bool) {
        self.draining.set(draining);
    }

    /// From now on the others see our connections.
    pub(crate) fn join(&self, slot: Slot) {
        self.leave();
        slot.set_live(self.live.get());
        slot.join();
        *self.slot.borrow_mut() = Some(slot);
    }

    /// From now on the others share without us.
    pub(crate) fn leave(&self) {
        if let Some(slot) = self.slot.borrow_mut().take() {
            slot.leave();
            slot.set_live(0);
        }
    }

    /// Whether another acceptor should have the next connection: we hold more than the mean, and it would not merely
    /// take the place of one of ours that has just closed. Connections that come and go need no sharing out, and
    /// waiting for each other would only leave everyone idle.
    pub(crate) fn should_give_way(&self) -> bool {
        if !self.slot.borrow().as_ref().is_some_and(Slot::above_mean) {
            return false;
        }
        let fresh = self
            .vacated
            .get()
            .is_some_and(|since| since.elapsed() < VACANCY);
        let vacant = if fresh { self.vacant.get() } else { 0 };
        self.vacant.set(vacant.saturating_sub(1));
        vacant == 0
    }

    /// Resolves when a connection closes after this call.
    pub(crate) async fn one_closed(&self) {
        self.closed.notified().await;
    }

    /// Resolves when no connection is left.
    pub(crate) async fn all_closed(&self) {
        while self.live.get() > 0 {
            self.one_closed().await;
        }
    }

    /// Counts a new connection.
    pub(crate) fn open(self: &Rc<Self>) -> Pass {
        let mut gates = self.gates.borrow_mut();
        let entry = gates.vacant_entry();
        let gate = Rc::new(Gate {
            key: entry.key(),
            connections: Rc::downgrade(self),
            order: Cell::new(Order::Serve),
            in_flight: Cell::new(0),
            reading: Cell::new(false),
            was_idle: Cell::new(false),
            idle_looks: Cell::new(None),
            waker: RefCell::new(None),
        });
        entry.insert(Rc::clone(&gate));
        drop(gates);
        self.count(self.live.get() + 1);
        Pass(gate)
    }

    fn count(&self, live: u32) {
        self.live.set(live);
        if let Some(slot) = self.slot.borrow().as_ref() {
            slot.set_live(live);
        }
    }

    /// One round of the drain: closes the connections that were idle in the round before and still are. One that has
    /// sent a part of its next request counts as idle only where `patient` is false. Two rounds, so that the last
    /// answer of a connection that multiplexes has left its buffers.
    pub(crate) fn close_idle(&self, patient: bool) {
        self.for_each(|gate| {
            let idle = gate.in_flight.get() == 0 && !(patient && gate.reading.get());
            if idle && gate.was_idle.replace(idle) {
                gate.tell(Order::Close);
            } else {
                gate.was_idle.set(idle);
            }
        });
    }

    /// One look: closes the connections that have waited for their next request at more than so many looks before.
    pub(crate) fn grow_older(&self, most: u32) {
        self.for_each(|gate| match gate.idle_looks.get() {
            Some(looks) if looks >= most => gate.tell(Order::Close),
            Some(looks) => gate.idle_looks.set(Some(looks + 1)),
            None => {}
        });
    }

    /// Drops every connection, whatever it is doing.
    pub(crate) fn abort_all(&self) {
        self.for_each(|gate| gate.tell(Order::Abort));
    }

    /// A waker may run foreign code: no borrow is held while it does.
    fn for_each(&self, act: impl Fn(&Gate)) {
        let gates: Vec<_> = self
            .gates
            .borrow()
            .iter()
            .map(|(_, gate)| Rc::clone(gate))
            .collect();
        for gate in gates {
            act(&gate);
        }
    }
}

/// One connection, seen from outside.
pub(crate) struct Gate {
    key: usize,
    connections: Weak<Connections>,
    order: Cell<Order>,
    /// Requests that have begun and whose answer is not fully handed over.
    in_flight: Cell<u32>,
    /// Bytes came in that belong to no request yet.
    reading: Cell<bool>,
    was_idle: Cell<bool>,
    /// Looks since its last answer, while it waits for the next request; none before the first and while one is under way.
    idle_looks: Cell<Option<u32>>,
    waker: RefCell<Option<Waker>>,
}

impl Gate {
    pub(crate) fn order(&self) -> Order {
        self.order.get()
    }

    /// Whether what the connection reads next is to be its end.
    pub(crate) fn is_closing(&self) -> bool {
        self.order.get() != Order::Serve && self.in_flight.get() == 0
    }

    /// Whether each answer is to be the last of its connection.
    pub(crate) fn is_draining(&self) -> bool {
        self.order.get() != Order::Serve
            || self
                .connections
                .upgrade()
                .is_some_and(|all| all.draining.get())
    }

    pub(crate) fn bytes_read(&self) {
        self.reading.set(true);
        self.idle_looks.set(None);
    }

    pub(crate) fn request_begun(&self) {
        self.reading.set(false);
        self.idle_looks.set(None);
        self.in_flight.set(self.in_flight.get() + 1);
    }

    pub(crate) fn request_done(&self) {
        self.reading.set(false);
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
        if self.in_flight.get() == 0 {
            self.idle_looks.set(Some(0));
        }
    }

    /// Remembers whom to wake when the orders change.
    pub(crate) fn attend(&self, waker: &Waker) {
        let mut known = self.waker.borrow_mut();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    fn tell(&self, order: Order) {
        self.order.set(order);
        let waker = self.waker.borrow().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Proof that a connection is counted; dropping it counts the connection closed.
pub(crate) struct Pass(Rc<Gate>);

impl Pass {
    pub(crate) fn gate(&self) -> &Rc<Gate> {
        &self.0
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(connections) = self.0.connections.upgrade() {
            connections.gates.borrow_mut().try_remove(self.0.key);
            connections.count(connections.live.get().saturating_sub(1));
            let vacant = connections.vacant.get() + 1;
            connections.vacant.set(vacant.min(MOST_VACANT));
            connections.vacated.set(Some(Instant::now()));
            connections.closed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use cluster_core::Page;

    use super::*;

    #[test]
    fn only_who_stays_idle_is_closed() {
        let all = Connections::new();
        let [idle, busy, halfway] = [0; 3].map(|_| all.open());
        busy.gate().request_begun();
        halfway.gate().bytes_read();
        all.close_idle(true);
        assert_eq!(idle.gate().order(), Order::Serve, "one round is not enough");
        all.close_idle(true);
        assert!(idle.gate().is_closing());
        assert_eq!(busy.gate().order(), Order::Serve);
        assert_eq!(halfway.gate().order(), Order::Serve);
        all.close_idle(false);
        all.close_idle(false);
        assert!(halfway.gate().is_closing());
        busy.gate().request_done();
        all.close_idle(true);
        all.close_idle(true);
        assert!(busy.gate().is_closing());
    }

    #[test]
    fn who_waits_for_too_many_looks_is_closed() {
        let all = Connections::new();
        let [fresh, waits, half, busy] = [0; 4].map(|_| all.open());
        for used in [&waits, &half, &busy] {
            used.gate().request_begun();
            used.gate().request_done();
        }
        half.gate().bytes_read();
        busy.gate().request_begun();
        all.grow_older(2);
        all.grow_older(2);
        assert_eq!(waits.gate().order(), Order::Serve);
        all.grow_older(2);
        assert!(waits.gate().is_closing());
        assert_eq!(fresh.gate().order(), Order::Serve, "it has no request yet");
        assert_eq!(half.gate().order(), Order::Serve, "its next one has begun");
        assert_eq!(busy.gate().order(), Order::Serve);
    }

    #[test]
    fn the_slot_follows_the_count_while_joined() {
        let page = Page::create(1).unwrap();
        let all = Connections::new();
        let early = all.open();
        all.join(page.slot(0).unwrap());
        assert_eq!(page.live(), 1);
        let late = all.open();
        assert_eq!(page.live(), 2);
        drop(early);
        assert_eq!(page.live(), 1);
        all.leave();
        assert_eq!(page.live(), 0);
        assert_eq!(all.live(), 1);
        drop(late);
        assert_eq!(all.live(), 0);
    }

    #[test]
    fn an_abort_reaches_the_busy_too() {
        let all = Connections::new();
        let busy = all.open();
        busy.gate().request_begun();
        all.abort_all();
        assert_eq!(busy.gate().order(), Order::Abort);
    }
}
