//! The connections, as the manager sees them.
//!
//! A client that does not read what it is told loses its connection once 8 MiB wait for it: it connects again, and nobody else
//! notices.

use std::cell::RefCell;
use std::collections::HashMap;

use cluster_core::endpoint::{SendError, Sender};
use tracing::warn;

use super::sequence::Sequence;
use crate::lease::LinkId;
use crate::protocol::{Answer, Told};

/// Namespaces that a client may have numbers for.
const MOST_NUMBERS: u32 = 65_536;

pub(super) struct Link {
    sender: Sender,
    pid: u32,
    /// The namespaces by the client's numbers for them.
    spaces: Vec<Option<usize>>,
}

pub(super) struct Links {
    links: HashMap<LinkId, Link>,
    broken: RefCell<Vec<LinkId>>,
    sequence: Sequence,
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
        }
    }

    pub(super) fn open(&mut self, link: LinkId, sender: Sender, pid: u32) {
        let spaces = Vec::new();
        self.links.insert(
            link,
            Link {
                sender,
                pid,
                spaces,
            },
        );
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
        self.links.contains_key(&link)
    }

    /// The namespace that a client means.
    pub(super) fn space(&self, link: LinkId, number: u32) -> Option<usize> {
        *self.links.get(&link)?.spaces.get(number as usize)?
    }

    /// Ties a client's number to a namespace; false where the number is too large.
    pub(super) fn tie(&mut self, link: LinkId, number: u32, space: usize) -> bool {
        let Some(link) = self.links.get_mut(&link) else {
            return true;
        };
        if number >= MOST_NUMBERS {
            return false;
        }
        let at = number as usize;
        if link.spaces.len() <= at {
            link.spaces.resize(at + 1, None);
        }
        link.spaces[at] = Some(space);
        true
    }

    /// No client's number means this namespace any more.
    pub(super) fn untie(&mut self, space: usize) {
        for link in self.links.values_mut() {
            for tied in &mut link.spaces {
                if *tied == Some(space) {
                    *tied = None;
                }
            }
        }
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
        match link.sender.send(told) {
            Ok(()) | Err(SendError::Closed) => {}
            Err(e) => {
                let mut broken = self.broken.borrow_mut();
                if !broken.contains(&id) {
                    warn!(pid = link.pid, reason = %e, "a client of the cache is disconnected");
                    broken.push(id);
                }
            }
        }
    }

    /// The connections that are to be closed.
    pub(super) fn take_broken(&self) -> Vec<LinkId> {
        std::mem::take(&mut self.broken.borrow_mut())
    }
}
