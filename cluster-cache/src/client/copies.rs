//! Which copies a connection sees to: it hears for them which keys have changed, and tells them when it hears nothing any more.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};

use tracing::debug;

use super::answer::Got;
use super::link::{Again, Link};
use super::near::Near;
use super::space::Space;
use crate::error::CacheError;
use crate::protocol::{Changed, Op};

struct Followed {
    space: Arc<Space>,
    /// Gone where no copies are to be kept any more.
    near: Weak<Near>,
    /// The manager has said that it tells of changes.
    begun: bool,
}

/// The copies that one connection sees to, by the numbers of their watches.
#[derive(Default)]
pub(super) struct Copies(RefCell<HashMap<u64, Followed>>);

impl Copies {
    /// Hears of a change; false where the watch is not for copies.
    pub(super) fn hear(&self, link: &Link, watch: u64, change: &Changed<'_>) -> bool {
        let found = {
            let all = self.0.borrow();
            all.get(&watch).map(|f| (f.near.upgrade(), f.space.number))
        };
        let Some((near, space)) = found else {
            return false;
        };
        let Some(near) = near else {
            self.0.borrow_mut().remove(&watch);
            link.tell(space, Op::Unwatch { watch });
            return true;
        };
        match (change, change.of_key()) {
            (_, Some((key, version))) => near.changed(key, version),
            (Changed::Cleared { version }, _) => near.cleared(*version),
            // The next reader has it followed anew.
            _ => {
                self.0.borrow_mut().remove(&watch);
                near.orphan();
                link.tell(space, Op::Unwatch { watch });
            }
        }
        true
    }

    /// The connection broke: nothing is heard any more.
    pub(super) fn away(&self) {
        for followed in self.0.borrow().values() {
            if let Some(near) = followed.near.upgrade() {
                near.away();
            }
        }
    }

    /// There is a new connection, on which nothing is followed yet. Of a manager that has moved it is said up to which version its
    /// changes were heard of.
    pub(super) fn follow_again(&self, link: &Rc<Link>, moved: Option<u64>) {
        // Those that are not begun are seen to by who waits for that.
        let begun: Vec<_> = self.0.borrow_mut().extract_if(|_, f| f.begun).collect();
        for (_, followed) in begun {
            if let Some(near) = followed.near.upgrade() {
                follow_soon(link, &followed.space, near, moved);
            }
        }
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        for followed in self.0.get_mut().values() {
            if let Some(near) = followed.near.upgrade() {
                near.orphan();
            }
        }
    }
}

/// Sees to it that copies hear of changes, where nobody does yet.
pub(super) fn follow_unless_followed(link: &Rc<Link>, space: &Arc<Space>, near: &Arc<Near>) {
    if !near.followed.load(Relaxed) && !near.followed.swap(true, Relaxed) {
        follow_soon(link, space, Arc::clone(near), None);
    }
}

fn follow_soon(link: &Rc<Link>, space: &Arc<Space>, near: Arc<Near>, heard: Option<u64>) {
    let (link, space) = (Rc::clone(link), Arc::clone(space));
    tokio::task::spawn_local(async move {
        if let Err(e) = follow_on(&link, &space, &near, heard).await {
            debug!(namespace = %space.name, error = %e, "changes are not followed yet: copies are not served for long");
        }
    });
}

/// Has the manager tell this connection of changes. From then on what the manager answers is kept.
pub(super) async fn follow(
    link: &Rc<Link>,
    space: &Arc<Space>,
    near: &Arc<Near>,
) -> Result<(), CacheError> {
    follow_on(link, space, near, None).await
}

/// The same where changes were heard of up to a version: if there has been none since, what is held is still true.
async fn follow_on(
    link: &Rc<Link>,
    space: &Arc<Space>,
    near: &Arc<Near>,
    heard: Option<u64>,
) -> Result<(), CacheError> {
    loop {
        let attempt = Attempt::begin(link, space, near);
        let watch = attempt.watch;
        let copy = || match heard {
            None => Op::Copy { watch },
            Some(since) => Op::Rewatch {
                key: None,
                copies: true,
                watch,
                since,
            },
        };
        match link.ask_for_reply(space, copy, Again::No, space.wait).await {
            Ok(reply) if !matches!(reply.got, Got::Done | Got::Accepted(_)) => {
                return Err(CacheError::Protocol);
            }
            Ok(reply) if link.is_connection(reply.connection) => {
                let seamless = reply.got == Got::Accepted(true);
                attempt.succeeds(reply.as_of, seamless);
                return Ok(());
            }
            // The connection has broken since.
            Ok(_) | Err(CacheError::LinkLost) => {}
            Err(e) => return Err(e),
        }
    }
}

/// An attempt to have changes followed. Dropped before it succeeds, it leaves that to the next reader.
struct Attempt<'a> {
    link: &'a Link,
    near: &'a Arc<Near>,
    watch: u64,
    open: bool,
}

impl<'a> Attempt<'a> {
    /// Before the manager is asked: changes may be told of sooner than its answer is heard of here.
    fn begin(link: &'a Link, space: &Arc<Space>, near: &'a Arc<Near>) -> Self {
        near.followed.store(true, Relaxed);
        let watch = link.watches.number();
        let followed = Followed {
            space: Arc::clone(space),
            near: Arc::downgrade(near),
            begun: false,
        };
        link.copies.0.borrow_mut().insert(watch, followed);
        Attempt {
            link,
            near,
            watch,
            open: true,
        }
    }

    fn succeeds(mut self, as_of: u64, seamless: bool) {
        self.open = false;
        if let Some(followed) = self.link.copies.0.borrow_mut().get_mut(&self.watch) {
            followed.begun = true;
            match seamless {
                true => self.near.resume(),
                false => self.near.begin(as_of),
            }
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.open {
            let followed = self.link.copies.0.borrow_mut().remove(&self.watch);
            if let Some(followed) = followed {
                let watch = self.watch;
                self.link.tell(followed.space.number, Op::Unwatch { watch });
            }
            self.near.orphan();
        }
    }
}
