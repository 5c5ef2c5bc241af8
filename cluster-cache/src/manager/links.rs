//! The connections, as the manager sees them.
//!
//! While more than [`CROWD`] bytes wait for a client, what it asks waits too. One that watches and does not read what it is told
//! loses its connection once 8 MiB wait for it: it connects again, and nobody else notices.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use cluster_core::WorkerId;
use cluster_core::endpoint::{CROWD, SendError, Sender};
use hashbrown::HashMap;
use tracing::warn;

use super::sequence::Sequence;
use super::spaces::Tie;
use crate::lease::LinkId;
use crate::protocol::{Answer, Told};

/// Bytes of answers after which it is looked how many of them wait.
const LOOK: usize = CROWD / 4;

/// Namespaces that a client may have numbers for.
const MOST_NUMBERS: u32 = 65_536;

pub(super) struct Link {
    sender: Sender,
    pid: u32,
    /// The worker that it is, if any, where that has been looked up.
    worker: Cell<Option<Option<WorkerId>>>,
    /// The namespaces by the client's numbers for them.
    spaces: Vec<Tie>,
    /// Bytes it was told since it was last looked how many wait.
    told: Cell<usize>,
    crowded: Cell<bool>,
    /// What it asked while much waited for it.
    deferred: VecDeque<Box<[u8]>>,
    held: Cell<bool>,
    /// It is to be closed, and not heard any more.
    broken: Cell<bool>,
}

pub(super) struct Links {
    /// Hashed at little cost, as each answer looks here several times; the numbers are the manager's own.
    links: HashMap<LinkId, Link>,
    broken: RefCell<Vec<LinkId>>,
    sequence: Sequence,
    /// What is told now is held back.
    holding: bool,
    held: RefCell<Vec<LinkId>>,
}

impl Drop for Links {
    fn drop(&mut self) {
        for link in self.links.values() {
            link.sender.close();
        }
    }
}

impl Links {
    pub(super) fn new(sequence: Sequence) -> Self {
        Links {
            links: HashMap::new(),
            broken: RefCell::default(),
            sequence,
            holding: false,
            held: RefCell::default(),
        }
    }

    pub(super) fn open(&mut self, link: LinkId, sender: Sender, pid: u32) {
        let opened = Link {
            sender,
            pid,
            worker: Cell::new(None),
            spaces: Vec::new(),
            told: Cell::new(0),
            crowded: Cell::new(false),
            deferred: VecDeque::new(),
            held: Cell::new(false),
            broken: Cell::new(false),
        };
        self.links.insert(link, opened);
    }

    /// Keeps a question for later where much waits for who asks; says what tells when it has been taken, for the first one.
    pub(super) fn defer(&mut self, link: LinkId, asked: &[u8]) -> Deferred {
        match self.links.get_mut(&link) {
            Some(link) if link.crowded.get() => {
                link.deferred.push_back(asked.into());
                match link.deferred.len() {
                    1 => Deferred::First(link.sender.clone()),
                    _ => Deferred::Too,
                }
            }
            _ => Deferred::No,
        }
    }

    /// A question that was kept for later, if it is time for it.
    pub(super) fn next_deferred(&mut self, link: LinkId) -> Option<Box<[u8]>> {
        let link = self.links.get_mut(&link)?;
        link.crowded.set(link.sender.waiting() > CROWD);
        match link.crowded.get() {
            true => None,
            false => link.deferred.pop_front(),
        }
    }

    /// Whose questions are still kept for later.
    pub(super) fn still_deferred(&self, link: LinkId) -> Option<Sender> {
        let link = self.links.get(&link)?;
        (!link.deferred.is_empty()).then(|| link.sender.clone())
    }

    /// What sends to a client.
    pub(super) fn sender(&self, link: LinkId) -> Option<Sender> {
        self.links.get(&link).map(|link| link.sender.clone())
    }

    /// The worker that a client is, if it is one; looked up once.
    pub(super) fn worker(
        &self,
        link: LinkId,
        look_up: impl FnOnce(u32) -> std::io::Result<Option<WorkerId>>,
    ) -> std::io::Result<Option<WorkerId>> {
        let Some(link) = self.links.get(&link) else {
            return Ok(None);
        };
        if let Some(known) = link.worker.get() {
            return Ok(known);
        }
        let worker = look_up(link.pid)?;
        link.worker.set(Some(worker));
        Ok(worker)
    }

    /// Forgets a connection; false where it is forgotten already.
    pub(super) fn close(&mut self, link: LinkId) -> bool {
        match self.links.remove(&link) {
            Some(link) => {
                link.sender.close();
                true
            }
            None => false,
        }
    }

    pub(super) fn is_open(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|link| !link.broken.get())
    }

    /// What a client means by its number for a namespace.
    pub(super) fn space(&self, link: LinkId, number: u32) -> Option<Tie> {
        let ties = &self.links.get(&link)?.spaces;
        ties.get(number as usize).copied()
    }

    /// Ties a client's number to a namespace; false where the number is too large.
    pub(super) fn tie(&mut self, link: LinkId, number: u32, space: Tie) -> bool {
        let Some(link) = self.links.get_mut(&link) else {
            return true;
        };
        if number >= MOST_NUMBERS {
            return false;
        }
        let at = number as usize;
        if link.spaces.len() <= at {
            link.spaces.resize(at + 1, Tie::default());
        }
        link.spaces[at] = space;
        true
    }

    pub(super) fn answer(&self, link: LinkId, number: u64, answer: Answer<'_>) {
        let as_of = self.sequence.last();
        let told = Told::Answer {
            number,
            as_of,
            answer,
        };
        self.tell(link, &told);
    }

    pub(super) fn tell(&self, id: LinkId, told: &Told<'_>) {
        let Some(link) = self.links.get(&id) else {
            return;
        };
        if self.holding && !link.held.replace(true) {
            link.sender.hold();
            self.held.borrow_mut().push(id);
        }
        match link.sender.send_written(|out| told.write(out)) {
            Ok(()) => {
                let bytes = link.told.get() + told.bytes();
                link.told.set(if bytes < LOOK { bytes } else { 0 });
                if bytes >= LOOK && link.sender.waiting() > CROWD {
                    link.crowded.set(true);
                }
            }
            Err(SendError::Closed) => {}
            Err(e) => {
                if !link.broken.replace(true) {
                    warn!(pid = link.pid, reason = %e, "a client of the cache is disconnected");
                    self.broken.borrow_mut().push(id);
                }
            }
        }
    }

    /// Tells everybody that another process serves now, and knows what has changed up to this version.
    pub(super) fn move_all(&self, as_of: u64) {
        for link in self.links.keys() {
            self.tell(*link, &Told::Moved { as_of });
        }
    }

    /// Holds back what is told from now on.
    pub(super) fn hold(&mut self) {
        self.holding = true;
    }

    /// What was held back sets out, or, where it may not be true, is lost with its connection.
    pub(super) fn release(&mut self, is_true: bool) {
        self.holding = false;
        for id in self.held.take() {
            let Some(link) = self.links.get(&id) else {
                continue;
            };
            link.held.set(false);
            if is_true {
                link.sender.release();
            } else {
                link.broken.set(true);
                self.broken.borrow_mut().push(id);
            }
        }
    }

    /// The connections that are to be closed.
    pub(super) fn take_broken(&self) -> Vec<LinkId> {
        std::mem::take(&mut self.broken.borrow_mut())
    }
}

/// What becomes of a question.
pub(super) enum Deferred {
    No,
    First(Sender),
    Too,
}
