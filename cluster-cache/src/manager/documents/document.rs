//! A document, seen from the manager: who has joined it, and how far its file is.

use std::sync::Arc;

use parking_lot::Mutex;
use tracing::info;

use super::board::DocumentBoard;
use super::file::DocumentFile;
use crate::document::keeper::Keeper;
use crate::document::ledger::{Done, Made};
use crate::lease::LinkId;
use crate::manager::links::Links;
use crate::manager::turn::Asker;
use crate::protocol::{Answer, DocumentTold, Sequenced, Told, Version};
use crate::table::Millis;
use crate::value;

/// How long a replica has to say what it has.
const OFFER_MS: u64 = 2000;

/// How far the manager is with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its file is being read.
    Loading,
    /// Processes may know more than the file; they have until then to say so.
    Settling(Millis),
    /// This process knows most, and has until then to say what.
    Asking(LinkId, Millis),
    /// It is told to all who have joined.
    Kept,
}

/// A process that has asked to join.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) link: LinkId,
    /// The number of its question.
    pub(super) number: u64,
    pub(super) origin: u64,
    pub(super) version: Version,
    pub(super) joined: bool,
}

#[derive(Debug)]
pub(super) struct Document {
    pub(super) name: String,
    pub(super) phase: Phase,
    pub(super) keeper: Keeper,
    pub(super) file: Option<Arc<Mutex<DocumentFile>>>,
    pub(super) replicas: Vec<Replica>,
    /// After how many milliseconds a change is to be in the file.
    pub(super) gc_ms: u64,
    /// Since when something is not in the file, nor on its way there.
    pub(super) dirty: Option<Millis>,
    pub(super) writing: bool,
    /// Who waits for what is being written, and who for what is written next.
    pub(super) riding: Vec<Asker>,
    pub(super) flushes: Vec<Asker>,
    pub(super) board: DocumentBoard,
}

impl Document {
    pub(super) fn new(name: &str, gc_ms: u64) -> Self {
        Document {
            name: name.to_owned(),
            phase: Phase::Loading,
            keeper: Keeper::default(),
            file: None,
            replicas: Vec::new(),
            gc_ms,
            dirty: None,
            writing: false,
            riding: Vec::new(),
            flushes: Vec::new(),
            board: DocumentBoard::default(),
        }
    }

    /// When there is something to do for it next.
    pub(super) fn next(&self) -> Option<Millis> {
        match self.phase {
            Phase::Loading => None,
            Phase::Settling(until) | Phase::Asking(_, until) => Some(until),
            Phase::Kept => {
                let deadline = self.keeper.ledger.deadlines.next().map(|(at, _)| at);
                deadline.into_iter().chain(self.due()).min()
            }
        }
    }

    /// When the file is to be written.
    pub(super) fn due(&self) -> Option<Millis> {
        let dirty = self.dirty.filter(|_| !self.writing)?;
        Some(dirty.saturating_add(self.gc_ms))
    }

    /// Those who are to know have had their time: asks the one for the document that knows more than all others and the file, or keeps it.
    pub(super) fn decide(&mut self, links: &Links, now: Millis) {
        let best = self.replicas.iter().max_by_key(|replica| replica.version);
        match best.filter(|best| best.version > self.keeper.version()) {
            Some(best) => {
                info!(document = self.name, version = ?best.version, "a process knows more of a document than its file");
                self.phase = Phase::Asking(best.link, now.saturating_add(OFFER_MS));
                links.tell(best.link, &Told::Document(DocumentTold::Offer));
            }
            None => self.keep(links, now),
        }
    }

    /// From now on its changes are put in their order here.
    fn keep(&mut self, links: &Links, now: Millis) {
        let before = self.keeper.version();
        let epoch = (before.epoch + 1).max(now.saturating_mul(1000));
        self.keeper.begin(epoch);
        self.phase = Phase::Kept;
        for replica in &mut self.replicas {
            if replica.version == before {
                replica.version = self.keeper.version();
            }
        }
        self.welcome_all(links);
    }

    /// Lets all join who wait for it.
    pub(super) fn welcome_all(&mut self, links: &Links) {
        if self.phase != Phase::Kept {
            return;
        }
        let version = self.keeper.version();
        let behind = |replica: &Replica| !replica.joined && replica.version != version;
        if self.replicas.iter().any(behind) {
            let root = value::encode(self.keeper.root()).unwrap_or_default();
            let deadlines = self.keeper.ledger.deadlines();
            let whole = self.keeper.ledger.whole(&root, &deadlines);
            let state = Told::Document(DocumentTold::State(whole));
            for replica in self.replicas.iter().filter(|replica| behind(replica)) {
                links.tell(replica.link, &state);
            }
        }
        for replica in self.replicas.iter_mut().filter(|replica| !replica.joined) {
            replica.joined = true;
            links.answer(replica.link, replica.number, Answer::Document(version));
        }
    }

    /// Tells all who have joined of a change, of which path and value are still at hand as they came.
    pub(super) fn tell(
        &mut self,
        links: &Links,
        made: &Made,
        path: &str,
        value: &[u8],
        now: Millis,
    ) {
        let change = match made.done {
            Done::Nothing => Sequenced::Nothing,
            Done::Set { deadline, .. } => Sequenced::Set {
                path,
                value,
                deadline,
            },
            Done::Delete { .. } => Sequenced::Delete { path },
        };
        let told = Told::Document(DocumentTold::Changed {
            sequence: made.sequence,
            origin: made.origin,
            number: made.number,
            change,
        });
        // Before anybody is told: who looks there sees it without being woken.
        self.board.publish(&told);
        // Who wanted it has it already, and is told last.
        for own in [false, true] {
            let joined = self.replicas.iter().filter(|replica| replica.joined);
            for replica in joined.filter(|replica| (replica.origin == made.origin) == own) {
                links.tell(replica.link, &told);
            }
        }
        self.dirty.get_or_insert(now);
    }

    /// Deletes the paths whose time is over.
    pub(super) fn expire(&mut self, links: &Links, now: Millis) {
        while let Some(made) = self.keeper.expire(now) {
            let path = made.done.path().map(ToString::to_string);
            self.tell(links, &made, &path.unwrap_or_default(), &[], now);
        }
    }
}
