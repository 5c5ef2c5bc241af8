//! Watches: changes of a namespace as a stream.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::Stream;

use super::link::Link;
use super::operation::Value;
use super::space::Space;
use crate::protocol::{Changed, Op};

/// Changes that may wait for a watcher; beyond it they are dropped, and the watcher is told [`Change::Resync`].
const BOUND: usize = 1024;

/// A change of a namespace.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// A value was set.
    Set {
        /// Its key.
        key: String,
        /// The value.
        value: Value,
    },
    /// A value was deleted, or it became known that there is none.
    Deleted {
        /// Its key.
        key: String,
    },
    /// The time of a value was over.
    Expired {
        /// Its key.
        key: String,
    },
    /// A value gave way to others.
    Evicted {
        /// Its key.
        key: String,
    },
    /// All entries were removed.
    Cleared,
    /// Changes may have been missed: read afresh what matters.
    Resync,
    /// The namespace was destroyed; the stream ends.
    Destroyed,
}

impl Change {
    /// The key that it is about, where it is about one.
    pub fn key(&self) -> Option<&str> {
        match self {
            Change::Set { key, .. }
            | Change::Deleted { key }
            | Change::Expired { key }
            | Change::Evicted { key } => Some(key),
            Change::Cleared | Change::Resync | Change::Destroyed => None,
        }
    }
}

impl From<Changed<'_>> for Change {
    fn from(changed: Changed<'_>) -> Self {
        match changed {
            Changed::Set { key, value, .. } => Change::Set {
                key: key.to_owned(),
                value: Value::new(value.to_vec()),
            },
            Changed::Deleted { key, .. } => Change::Deleted {
                key: key.to_owned(),
            },
            Changed::Expired { key, .. } => Change::Expired {
                key: key.to_owned(),
            },
            Changed::Evicted { key, .. } => Change::Evicted {
                key: key.to_owned(),
            },
            Changed::Cleared { .. } => Change::Cleared,

            Changed::Destroyed => Change::Destroyed,
            // Without the value only those are told of a key who keep copies.
            Changed::Resync | Changed::Stale { .. } => Change::Resync,
        }
    }
}

#[derive(Default)]
struct Queue {
    changes: VecDeque<Change>,
    waker: Option<Waker>,
    ended: bool,
}

struct Sink {
    space: Arc<Space>,
    key: Option<Box<str>>,
    /// The manager knew of it once.
    begun: Cell<bool>,
    queue: RefCell<Queue>,
}

impl Sink {
    fn push(&self, change: Change) {
        let waker = {
            let mut queue = self.queue.borrow_mut();
            if queue.changes.len() >= BOUND {
                queue.changes.clear();
                queue.changes.push_back(Change::Resync);
            }
            if change == Change::Resync {
                // What came before it says nothing any more.
                queue.changes.clear();
            }
            queue.ended |= change == Change::Destroyed;
            queue.changes.push_back(change);
            queue.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The watches of one connection.
#[derive(Default)]
pub(super) struct Watches {
    last: Cell<u64>,
    all: RefCell<HashMap<u64, Rc<Sink>>>,
}

impl Watches {
    /// A number that no other watch of this connection has.
    pub(super) fn number(&self) -> u64 {
        self.last.set(self.last.get() + 1);
        self.last.get()
    }

    pub(super) fn hear(&self, watch: u64, change: Changed<'_>) {
        let sink = self.all.borrow().get(&watch).cloned();
        if let Some(sink) = sink {
            // What this process has been told of, its copies know of too.
            if let Some((key, version)) = change.of_key() {
                sink.space.changed(key, version);
            }
            sink.push(change.into());
        }
    }

    /// On a new connection: the manager knows of none, and what happened meanwhile was missed. One that has taken over says by itself
    /// which watches have missed something, as it is told up to which version they have not.
    pub(super) fn begin_again(&self, link: &Link, moved: Option<u64>) {
        let all: Vec<_> = self
            .all
            .borrow()
            .iter()
            .filter(|(_, sink)| sink.begun.get())
            .map(|(number, sink)| (*number, Rc::clone(sink)))
            .collect();
        for (watch, sink) in all {
            link.open_unasked(&sink.space);
            let key = sink.key.as_deref();
            let op = match moved {
                Some(since) => Op::Rewatch {
                    key,
                    copies: false,
                    watch,
                    since,
                },
                None => {
                    sink.push(Change::Resync);
                    Op::Watch { key, watch }
                }
            };
            link.tell(sink.space.number, op);
        }
    }
}

/// Changes as a stream, in the order in which the manager made them. Dropping it ends the watch.
///
/// The stream ends when the namespace is destroyed, and never by itself: over a break of the connection it goes on with
/// [`Change::Resync`]. Where another process takes the cache manager's place in an upgrade, it does so only if there were changes in
/// that moment.
#[must_use = "dropping a watch ends it"]
pub struct Watch {
    link: Rc<Link>,
    number: u64,
    sink: Rc<Sink>,
}

impl Watch {
    pub(super) fn new(link: Rc<Link>, space: &Arc<Space>, key: Option<&str>) -> Self {
        let number = link.watches.number();
        let sink = Rc::new(Sink {
            space: Arc::clone(space),
            key: key.map(Into::into),
            begun: Cell::new(false),
            queue: RefCell::default(),
        });
        link.watches
            .all
            .borrow_mut()
            .insert(number, Rc::clone(&sink));
        Watch { link, number, sink }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The manager knows of it: from now on it outlives a break of the connection.
    pub(super) fn begun(&self) {
        self.sink.begun.set(true);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.link.watches.all.borrow_mut().remove(&self.number);
        let unwatch = Op::Unwatch { watch: self.number };
        self.link.tell(self.sink.space.number, unwatch);
    }
}

impl Stream for Watch {
    type Item = Change;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Change>> {
        let mut queue = self.sink.queue.borrow_mut();
        match queue.changes.pop_front() {
            Some(change) => Poll::Ready(Some(change)),
            None if queue.ended => Poll::Ready(None),
            None => {
                queue.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("namespace", &self.sink.space.name)
            .field("key", &self.sink.key)
            .finish_non_exhaustive()
    }
}
