//! The documents that the manager keeps: for each, the changes of all processes in one order, and its file.
//!
//! A manager that follows one that died, or takes over from one, gives processes a moment to say how far they are: what one knows that
//! the file does not is taken from it. Files are read and written on threads that may block.

mod actor;
mod board;
mod document;
mod file;

use std::path::Path;
use std::sync::Arc;

use actix::{Addr, SpawnHandle};
use hashbrown::HashMap;

pub(super) use self::actor::Rest;
use self::actor::{Loaded, Removed, Written, when_done};
use self::document::{Document, Phase, Replica};
use self::file::DocumentFile;
use super::CacheManager;
use super::links::Links;
use super::turn::Asker;
use crate::document::keeper::Keeper;
use crate::document::ledger::{Ledger, read_path, read_value};
use crate::document::limits::{MOST_DOCUMENT_BYTES, MOST_NESTING};
use crate::document::name::is_name;
use crate::document::replica::{Change, What};
use crate::document::tree;
use crate::lease::LinkId;
use crate::protocol::{
    Answer, Changing, DocumentOp, DocumentRefusal, DocumentTold, Refusal, Told, Version, Whole,
};
use crate::table::Millis;

/// Documents at most: each may take 8 MiB.
const MOST: usize = 256;
/// The shortest time in which changes are gathered for the file.
const LEAST_GC_MS: u64 = 10;
/// A directory's path has no more bytes.
const MOST_DIRECTORY_BYTES: usize = 4096;

type Key = Arc<str>;

/// All documents, by the paths of their files.
#[derive(Default)]
pub(super) struct Documents {
    kept: HashMap<Key, Document>,
    /// Which one a connection has joined, or is to join.
    links: HashMap<LinkId, Key>,
    /// Until then processes may say that they know more than a file.
    settling: Millis,
    /// Nothing is written any more: another process is about to.
    resting: bool,
    alarm: Option<(Millis, SpawnHandle)>,
}

impl Documents {
    /// Those of a manager that follows another: processes have until then to say what they know.
    pub(super) fn settling_until(settling: Millis) -> Self {
        Documents {
            settling,
            ..Documents::default()
        }
    }

    /// Hears what a replica asks.
    pub(super) fn hear(
        &mut self,
        links: &Links,
        manager: &Addr<CacheManager>,
        asker: Asker,
        op: &DocumentOp<'_>,
        now: Millis,
    ) -> Result<(), Refusal> {
        if self.resting {
            // It would not come into the file any more. It is not answered, and so is asked again of the next manager.
            return Ok(());
        }
        if let DocumentOp::Join {
            directory,
            name,
            origin,
            version,
            gc_ms,
        } = *op
        {
            let replica = Replica {
                link: asker.link,
                number: asker.number,
                origin,
                version,
                joined: false,
            };
            return self.join(links, manager, (directory, name), replica, gc_ms);
        }
        let key = self.links.get(&asker.link);
        let key = key.ok_or(DocumentRefusal::NotJoined)?.clone();
        let document = self.kept.get_mut(&key);
        let document = document.ok_or(DocumentRefusal::NotJoined)?;
        if let DocumentOp::Offer(whole) = op {
            if !matches!(document.phase, Phase::Asking(link, _) if link == asker.link) {
                return Err(DocumentRefusal::Offer.into());
            }
            let taken = take(whole, document.keeper.version());
            if let Some(keeper) = taken {
                document.keeper = keeper;
                document.dirty = Some(now);
            } else {
                // It is told what the others know.
                let asked = |replica: &&mut Replica| replica.link == asker.link;
                let replica = document.replicas.iter_mut().find(asked);
                if let Some(replica) = replica {
                    replica.version = Version::default();
                }
            }
            document.decide(links, now);
            return Ok(());
        }
        let of_asker = |replica: &&Replica| replica.link == asker.link && replica.joined;
        let replica = document.replicas.iter().find(of_asker);
        let origin = replica.ok_or(DocumentRefusal::NotJoined)?.origin;
        match op {
            DocumentOp::Change { number, change } => {
                let (path, value) = match *change {
                    Changing::Set { path, value, .. } => (path, value),
                    Changing::Delete { path } => (path, &[][..]),
                };
                let read = read_change(change);
                let made = document.keeper.make(origin, *number, read, now);
                if let Some(made) = made {
                    document.tell(links, &made, path, value, now);
                }
            }
            DocumentOp::Sync => {
                let answer = Answer::Document(document.keeper.version());
                links.answer(asker.link, asker.number, answer);
            }
            DocumentOp::Flush if document.dirty.is_some() => {
                document.flushes.push(asker);
                self.write(manager, &key);
            }
            DocumentOp::Flush if document.writing => document.riding.push(asker),
            DocumentOp::Flush => {
                let answer = Answer::Document(document.keeper.version());
                links.answer(asker.link, asker.number, answer);
            }
            DocumentOp::Destroy => self.destroy(links, manager, asker, &key),
            DocumentOp::Board => {
                if let Some(place) = document.board.place() {
                    links.tell(asker.link, &place);
                }
            }
            DocumentOp::Join { .. } | DocumentOp::Offer(_) => {}
        }
        Ok(())
    }

    fn join(
        &mut self,
        links: &Links,
        manager: &Addr<CacheManager>,
        (directory, name): (&str, &str),
        replica: Replica,
        gc_ms: u64,
    ) -> Result<(), Refusal> {
        if !is_name(name) {
            return Err(DocumentRefusal::Name.into());
        }
        if !directory.starts_with('/') || directory.len() > MOST_DIRECTORY_BYTES {
            return Err(DocumentRefusal::Directory.into());
        }
        // Its changes would be taken for the manager's own; or it has joined already.
        if replica.origin == 0 || self.links.contains_key(&replica.link) {
            return Err(Refusal::Unknown);
        }
        let key: Key = format!("{directory}/{name}").into();
        let gc_ms = gc_ms.max(LEAST_GC_MS);
        if !self.kept.contains_key(&key) {
            if self.kept.len() >= MOST {
                return Err(DocumentRefusal::Documents(MOST).into());
            }
            let document = Document::new(name, gc_ms);
            self.kept.insert(key.clone(), document);
            let (directory, name) = (directory.to_owned(), name.to_owned());
            let loaded_key = key.clone();
            when_done(manager, move || Loaded {
                key: loaded_key,
                loaded: DocumentFile::open(Path::new(&directory), &name),
            });
        }
        self.links.insert(replica.link, key.clone());
        if let Some(document) = self.kept.get_mut(&key) {
            document.gc_ms = document.gc_ms.min(gc_ms);
            document.replicas.push(replica);
            document.welcome_all(links);
        }
        Ok(())
    }

    /// There is no such document any more.
    fn destroy(&mut self, links: &Links, manager: &Addr<CacheManager>, asker: Asker, key: &Key) {
        let Some(document) = self.kept.remove(key) else {
            return;
        };
        for replica in &document.replicas {
            self.links.remove(&replica.link);
            if replica.link != asker.link {
                links.tell(replica.link, &Told::Document(DocumentTold::Destroyed));
            }
        }
        if let Some(file) = document.file {
            when_done(manager, move || Removed {
                asker,
                removed: file.lock().remove(),
            });
        }
    }

    /// A connection is gone.
    pub(super) fn lost(
        &mut self,
        links: &Links,
        manager: &Addr<CacheManager>,
        link: LinkId,
        now: Millis,
    ) {
        let Some(key) = self.links.remove(&link) else {
            return;
        };
        let Some(document) = self.kept.get_mut(&key) else {
            return;
        };
        document.replicas.retain(|replica| replica.link != link);
        document.flushes.retain(|asker| asker.link != link);
        document.riding.retain(|asker| asker.link != link);
        if matches!(document.phase, Phase::Asking(asked, _) if asked == link) {
            document.decide(links, now);
        }
        self.write_or_leave(manager, &key);
    }

    /// A document that nobody has joined any more is written, and then left.
    fn write_or_leave(&mut self, manager: &Addr<CacheManager>, key: &Key) {
        let Some(document) = self.kept.get(key) else {
            return;
        };
        let is_idle = document.replicas.is_empty() && document.phase == Phase::Kept;
        if !is_idle || document.writing || self.resting {
            return;
        }
        match document.dirty {
            Some(_) => self.write(manager, key),
            None => drop(self.kept.remove(key)),
        }
    }

    /// Begins to write a document, unless it is being written.
    fn write(&mut self, manager: &Addr<CacheManager>, key: &Key) {
        let Some(document) = self.kept.get_mut(key).filter(|_| !self.resting) else {
            return;
        };
        let Some(file) = document.file.clone().filter(|_| !document.writing) else {
            return;
        };
        document.dirty = None;
        document.writing = true;
        document.riding = std::mem::take(&mut document.flushes);
        let (keeper, key) = (document.keeper.clone(), key.clone());
        when_done(manager, move || Written {
            key,
            written: file.lock().write(&keeper),
        });
    }

    /// Does what is due.
    fn tend(&mut self, links: &Links, manager: &Addr<CacheManager>, now: Millis) {
        let keys: Vec<Key> = self.kept.keys().cloned().collect();
        for key in keys {
            let Some(document) = self.kept.get_mut(&key) else {
                continue;
            };
            match document.phase {
                Phase::Settling(until) if until <= now => document.decide(links, now),
                Phase::Asking(link, until) if until <= now => {
                    // What it knows is not waited for any longer: it is told what the others know.
                    let silent = |replica: &&mut Replica| replica.link == link;
                    if let Some(replica) = document.replicas.iter_mut().find(silent) {
                        replica.version = Version::default();
                    }
                    document.decide(links, now);
                }
                Phase::Kept => {
                    document.expire(links, now);
                    if document.due().is_some_and(|due| due <= now) {
                        self.write(manager, &key);
                    }
                }
                _ => {}
            }
            self.write_or_leave(manager, &key);
        }
    }

    fn next(&self) -> Option<Millis> {
        self.kept.values().filter_map(Document::next).min()
    }
}

/// What a replica has offered, if it is a document and knows more.
fn take(whole: &Whole<'_>, known: Version) -> Option<Keeper> {
    let (tree, ledger) = Ledger::read(whole).ok()?;
    let fits = tree.bytes() <= MOST_DOCUMENT_BYTES && ledger.version > known;
    fits.then_some(Keeper { tree, ledger })
}

/// A change as it came; nothing where it is none.
fn read_change(change: &Changing<'_>) -> Option<Change> {
    let (path, what) = match *change {
        Changing::Set {
            path,
            value,
            ttl_ms,
        } => {
            let value = read_value(value).ok()?;
            (path, What::Set { value, ttl_ms })
        }
        Changing::Delete { path } => (path, What::Delete),
    };
    let path = read_path(path).ok()?;
    let levels = match &what {
        What::Set { value, .. } => tree::depth(value),
        What::Delete => 0,
    };
    (path.len() + levels <= MOST_NESTING).then_some(Change { path, what })
}
