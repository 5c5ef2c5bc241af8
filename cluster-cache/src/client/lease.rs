//! The leases that this thread holds: given back when they are dropped, claimed again from a manager that has followed another.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::link::Link;
use super::space::Space;
use crate::options::millis;
use crate::protocol::Op;

struct Held {
    space: Arc<Space>,
    key: Box<str>,
    until: Instant,
}

#[derive(Default)]
pub(super) struct Leases(RefCell<HashMap<u64, Held>>);

impl Leases {
    /// On a new connection: the manager may be a new one, which knows of none.
    pub(super) fn claim_again(&self, link: &Link) {
        for (lease, held) in self.0.borrow().iter() {
            link.open_unasked(&held.space);
            let left = held.until.saturating_duration_since(Instant::now());
            let claim = Op::Claim {
                key: &held.key,
                lease: *lease,
                left_ms: millis(left),
            };
            link.tell(held.space.number, claim);
        }
    }
}

/// The right to load a key. Dropped before it is done with, it is given to the next one.
pub(super) struct Lease {
    link: Rc<Link>,
    number: u64,
}

impl Lease {
    pub(super) fn hold(
        link: &Rc<Link>,
        space: &Arc<Space>,
        key: &str,
        number: u64,
        until: Instant,
    ) -> Self {
        let held = Held {
            space: Arc::clone(space),
            key: key.into(),
            until,
        };
        link.leases.0.borrow_mut().insert(number, held);
        Lease {
            link: Rc::clone(link),
            number,
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// What became of it is told otherwise.
    pub(super) fn done(self) -> u64 {
        self.link.leases.0.borrow_mut().remove(&self.number);
        self.number
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let held = self.link.leases.0.borrow_mut().remove(&self.number);
        if let Some(held) = held {
            let abandon = Op::Abandon {
                key: &held.key,
                lease: self.number,
                failure: None,
            };
            self.link.tell(held.space.number, abandon);
        }
    }
}
