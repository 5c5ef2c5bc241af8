//! The part of the manager that is about documents: what it is told by its own threads, and when it wakes for one.

use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, AsyncContext, Context, Handler, ResponseFuture};
use actix_rt::task::spawn_blocking;
use futures_util::future::join_all;
use parking_lot::Mutex;
use tracing::error;

use super::document::Phase;
use super::file::DocumentFile;
use super::{Documents, Key};
use crate::document::keeper::Keeper;
use crate::lease::LinkId;
use crate::manager::turn::Asker;
use crate::manager::{CacheManager, now};
use crate::protocol::{Answer, DocumentOp, DocumentRefusal, Refusal};
use crate::store::StoreError;
use crate::table::Millis;

/// The file of a document has been read.
pub(super) struct Loaded {
    pub(super) key: Key,
    pub(super) loaded: Result<(DocumentFile, Keeper), StoreError>,
}

impl actix::Message for Loaded {
    type Result = ();
}

/// The file of a document has been written.
pub(super) struct Written {
    pub(super) key: Key,
    pub(super) written: Result<(), StoreError>,
}

impl actix::Message for Written {
    type Result = ();
}

/// The file of a document has been removed.
pub(super) struct Removed {
    pub(super) asker: Asker,
    pub(super) removed: Result<(), StoreError>,
}

impl actix::Message for Removed {
    type Result = ();
}

/// The manager is about to end: resolves when all documents are in their files.
pub(in crate::manager) struct Rest;

impl actix::Message for Rest {
    type Result = ();
}

/// Does something that may block, and tells the manager what came of it.
pub(super) fn when_done<M>(manager: &Addr<CacheManager>, work: impl FnOnce() -> M + Send + 'static)
where
    M: actix::Message<Result = ()> + Send + 'static,
    CacheManager: Handler<M>,
{
    let manager = manager.clone();
    actix_rt::spawn(async move {
        if let Ok(done) = spawn_blocking(work).await {
            // One is on its way at most for each document and each question; a manager that has ended needs to know no more.
            manager.do_send(done);
        }
    });
}

impl CacheManager {
    /// Hears what a replica asks.
    pub(in crate::manager) fn hear_replica(
        &mut self,
        asker: Asker,
        op: &DocumentOp<'_>,
        now: Millis,
    ) -> Result<(), Refusal> {
        let manager = self.intake.manager().clone();
        self.documents.hear(&self.links, &manager, asker, op, now)
    }

    /// A connection is gone.
    pub(in crate::manager) fn lose_replica(&mut self, link: LinkId, now: Millis) {
        let manager = self.intake.manager().clone();
        self.documents.lost(&self.links, &manager, link, now);
    }

    /// Sees to it that the manager wakes when there is something to do for a document next.
    pub(in crate::manager) fn set_documents_alarm(&mut self, ctx: &mut Context<Self>) {
        let next = self.documents.next();
        let set = self.documents.alarm.as_ref().map(|(at, _)| *at);
        if set == next {
            return;
        }
        if let Some((_, alarm)) = self.documents.alarm.take() {
            ctx.cancel_future(alarm);
        }
        if let Some(at) = next {
            let wait = Duration::from_millis(at.saturating_sub(now()));
            let alarm = ctx.run_later(wait, |this, ctx| {
                this.documents.alarm = None;
                if !this.is_frozen() {
                    this.tend_documents(ctx);
                }
            });
            self.documents.alarm = Some((at, alarm));
        }
    }

    fn tend_documents(&mut self, ctx: &mut Context<Self>) {
        let manager = ctx.address();
        self.documents.tend(&self.links, &manager, now());
        self.set_documents_alarm(ctx);
    }

    /// Writes what is not in its file yet, and from now on nothing, or goes on.
    pub(in crate::manager) fn rest_documents(&mut self, resting: bool, ctx: &mut Context<Self>) {
        self.documents.resting = resting;
        if !resting {
            self.tend_documents(ctx);
        }
    }

    /// Begins to write what is not in its file yet.
    pub(in crate::manager) fn write_documents(&mut self) {
        let manager = self.intake.manager().clone();
        let keys: Vec<Key> = self.documents.kept.keys().cloned().collect();
        for key in keys {
            let dirty = self.documents.kept.get(&key).and_then(|d| d.dirty);
            if dirty.is_some() {
                self.documents.write(&manager, &key);
            }
        }
    }

    /// Another process keeps the documents now.
    pub(in crate::manager) fn leave_documents(&mut self) {
        self.documents = Documents {
            resting: true,
            ..Documents::default()
        };
    }
}

impl Handler<Loaded> for CacheManager {
    type Result = ();

    fn handle(&mut self, Loaded { key, loaded }: Loaded, ctx: &mut Context<Self>) {
        let now = now();
        let Some(document) = self.documents.kept.get_mut(&key) else {
            return;
        };
        match loaded {
            Ok((file, keeper)) => {
                document.file = Some(Arc::new(Mutex::new(file)));
                document.keeper = keeper;
                document.phase = Phase::Settling(self.documents.settling);
                if self.documents.settling <= now {
                    document.decide(&self.links, now);
                }
            }
            Err(e) => {
                error!(error = %e, "a document cannot be kept");
                let Some(document) = self.documents.kept.remove(&key) else {
                    return;
                };
                let refusal = match e {
                    StoreError::Busy { .. } => DocumentRefusal::Held(e.to_string()),
                    _ => DocumentRefusal::File(e.to_string()),
                };
                for replica in document.replicas {
                    self.documents.links.remove(&replica.link);
                    let refused = Answer::Refused(refusal.clone().into());
                    self.links.answer(replica.link, replica.number, refused);
                }
            }
        }
        let manager = ctx.address();
        self.documents.write_or_leave(&manager, &key);
        self.set_documents_alarm(ctx);
    }
}

impl Handler<Written> for CacheManager {
    type Result = ();

    fn handle(&mut self, Written { key, written }: Written, ctx: &mut Context<Self>) {
        let Some(document) = self.documents.kept.get_mut(&key) else {
            return;
        };
        document.writing = false;
        let answer = match &written {
            Ok(()) => Answer::Document(document.keeper.version()),
            Err(e) => {
                error!(error = %e, "a document is not in its file: it is written again later");
                document.dirty.get_or_insert(now());
                let refusal = DocumentRefusal::File(e.to_string());
                Answer::Refused(refusal.into())
            }
        };
        for asker in std::mem::take(&mut document.riding) {
            self.links.answer(asker.link, asker.number, answer.clone());
        }
        let manager = ctx.address();
        if !document.flushes.is_empty() {
            self.documents.write(&manager, &key);
        } else if written.is_ok() {
            self.documents.write_or_leave(&manager, &key);
        }
        self.set_documents_alarm(ctx);
    }
}

impl Handler<Removed> for CacheManager {
    type Result = ();

    fn handle(&mut self, Removed { asker, removed }: Removed, _: &mut Context<Self>) {
        let answer = match removed {
            Ok(()) => Answer::Done,
            Err(e) => Answer::Refused(DocumentRefusal::File(e.to_string()).into()),
        };
        self.links.answer(asker.link, asker.number, answer);
    }
}

impl Handler<Rest> for CacheManager {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Rest, _: &mut Context<Self>) -> Self::Result {
        self.documents.resting = true;
        let last = self.documents.kept.values().filter_map(|document| {
            let (file, keeper) = (document.file.clone()?, document.keeper.clone());
            let is_due = document.dirty.is_some() || document.writing;
            // One that is being written is waited for.
            is_due.then(|| {
                spawn_blocking(move || {
                    if let Err(e) = file.lock().write(&keeper) {
                        error!(error = %e, "a document is not in its file");
                    }
                })
            })
        });
        let last: Vec<_> = last.collect();
        Box::pin(async move { drop(join_all(last).await) })
    }
}
