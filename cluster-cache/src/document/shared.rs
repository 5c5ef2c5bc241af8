//! A document as all threads of this process share it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use cluster_core::endpoint::{SendError, Sender};
use parking_lot::{Mutex, MutexGuard, RwLock};
use serde_json::Value;
use tokio::sync::{Notify, oneshot, watch};

use super::error::DocumentError;
use super::path::{Keys, Path};
use super::replica::{Change, Replica, Unwritten, What};
use super::tree::Tree;
use crate::protocol::{Ask, Changing, DocumentOp, Op, Refusal};
use crate::value;

/// Why a document is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Closed,
    Destroyed,
}

impl From<Over> for DocumentError {
    fn from(over: Over) -> Self {
        match over {
            Over::Closed => DocumentError::Closed,
            Over::Destroyed => DocumentError::Destroyed,
        }
    }
}

/// What readers see.
#[derive(Debug, Default)]
struct Shown {
    tree: Tree,
    over: Option<Over>,
}

/// What became of a question.
#[derive(Debug)]
pub(super) enum Outcome {
    Done,
    Refused(Refusal),
}

/// What is not for readers; locked before what is.
pub(super) struct Inner {
    pub(super) replica: Replica,
    pub(super) sender: Option<Sender>,
    /// The manager tells this connection of changes.
    pub(super) joined: bool,
    /// Why it could not join last.
    pub(super) refused: Option<Refusal>,
    /// The last change that has set out on this connection.
    pub(super) sent: u64,
    questions: HashMap<u64, oneshot::Sender<Outcome>>,
    last_question: u64,
    /// A thread sees to the connection.
    pub(super) at_home: bool,
    watches: Vec<(Path, watch::Sender<()>)>,
}

/// A document as this process has it.
pub(crate) struct Shared {
    pub(super) name: String,
    pub(super) directory: PathBuf,
    pub(super) socket: PathBuf,
    pub(super) gc_ms: u64,
    pub(super) wait: Duration,
    shown: RwLock<Shown>,
    inner: Mutex<Inner>,
    /// It has joined, is over, or could not join.
    pub(super) turned: Notify,
    /// Something could not set out, as the connection had no room for it.
    pub(super) crowded: Notify,
    /// The connection is to end.
    pub(super) ended: Notify,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document")
            .field("name", &self.name)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(
        name: &str,
        directory: PathBuf,
        socket: PathBuf,
        gc_ms: u64,
        wait: Duration,
        origin: u64,
    ) -> Self {
        Shared {
            name: name.to_owned(),
            directory,
            socket,
            gc_ms,
            wait,
            shown: RwLock::default(),
            inner: Mutex::new(Inner {
                replica: Replica::new(origin),
                sender: None,
                joined: false,
                refused: None,
                sent: 0,
                questions: HashMap::new(),
                last_question: 0,
                at_home: false,
                watches: Vec::new(),
            }),
            turned: Notify::new(),
            crowded: Notify::new(),
            ended: Notify::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Reads what is at a path.
    #[inline]
    pub(super) fn read<T>(
        &self,
        path: &str,
        read: impl FnOnce(Option<&Value>) -> T,
    ) -> Result<T, DocumentError> {
        let keys = Keys::of(path).map_err(|fault| DocumentError::path(path, fault))?;
        let shown = self.shown.read();
        if let Some(over) = shown.over {
            return Err(over.into());
        }
        match shown.tree.find(keys) {
            Ok(found) => Ok(read(found)),
            Err(fault) => Err(DocumentError::path(path, fault)),
        }
    }

    pub(super) fn over(&self) -> Option<Over> {
        self.shown.read().over
    }

    /// Nothing is done with it any more. What is there is gone with it.
    pub(super) fn end(&self, why: Over) {
        {
            let mut inner = self.lock();
            let mut shown = self.shown.write();
            if shown.over.is_some() {
                return;
            }
            *shown = Shown {
                tree: Tree::default(),
                over: Some(why),
            };
            inner.watches.clear();
            inner.questions.clear();
        }
        self.ended.notify_one();
        self.turned.notify_waiters();
    }

    /// Makes a change, and sends it; false where it would change nothing.
    pub(super) fn write(&self, path: &str, change: Change) -> Result<bool, DocumentError> {
        let mut inner = self.lock();
        let at = change.path.clone();
        {
            let mut shown = self.shown.write();
            if let Some(over) = shown.over {
                return Err(over.into());
            }
            let written = inner.replica.write(&mut shown.tree, change);
            match written {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(false),
                Err(Unwritten::Backlogged) => return Err(DocumentError::Backlogged),
                Err(Unwritten::Misfit(fault)) => return Err(DocumentError::misfit(path, fault)),
            }
        }
        self.send_changes(&mut inner);
        inner.wake_watches(&[at]);
        Ok(true)
    }

    /// Sends the changes that have not set out on this connection; in order, as it is locked meanwhile.
    pub(super) fn send_changes(&self, inner: &mut Inner) {
        let Inner {
            replica,
            sender: Some(sender),
            joined: true,
            sent,
            ..
        } = inner
        else {
            return;
        };
        for (number, change) in replica.pending_after(*sent) {
            match send_change(sender, number, change) {
                Ok(()) => *sent = number,
                Err(SendError::Backlogged) => {
                    self.crowded.notify_one();
                    return;
                }
                // There will be another connection.
                Err(_) => return,
            }
        }
    }

    /// Changes what readers see.
    pub(super) fn change_tree<T>(
        &self,
        inner: &mut Inner,
        change: impl FnOnce(&mut Replica, &mut Tree) -> T,
    ) -> T {
        change(&mut inner.replica, &mut self.shown.write().tree)
    }

    /// Tells who watches a path below or above one of these, for as long as the receiver is there.
    pub(super) fn watch(&self, path: Path) -> Result<watch::Receiver<()>, DocumentError> {
        let mut inner = self.lock();
        if let Some(over) = self.over() {
            return Err(over.into());
        }
        let (sender, receiver) = watch::channel(());
        inner.watches.retain(|(_, watch)| !watch.is_closed());
        inner.watches.push((path, sender));
        Ok(receiver)
    }
}

fn send_change(sender: &Sender, number: u64, change: &Change) -> Result<(), SendError> {
    let path = change.path.to_string();
    let bytes;
    let change = match &change.what {
        What::Set { value, ttl_ms } => {
            bytes = value::encode(value).unwrap_or_default();
            Changing::Set {
                path: &path,
                value: &bytes,
                ttl_ms: *ttl_ms,
            }
        }
        What::Delete => Changing::Delete { path: &path },
    };
    send(sender, 0, DocumentOp::Change { number, change })
}

pub(super) fn send(sender: &Sender, number: u64, op: DocumentOp<'_>) -> Result<(), SendError> {
    let ask = Ask {
        number,
        space: 0,
        op: Op::Document(op),
    };
    sender.send_written(|out| ask.write(out))
}

impl Inner {
    /// Asks the manager something, after all changes of this process; nothing where that is not possible now.
    pub(super) fn ask(&mut self, op: DocumentOp<'_>) -> Option<oneshot::Receiver<Outcome>> {
        let sender = self.sender.as_ref().filter(|_| self.joined)?;
        if self.replica.pending_after(self.sent).next().is_some() {
            return None;
        }
        self.last_question += 1;
        send(sender, self.last_question, op).ok()?;
        let (answer, answered) = oneshot::channel();
        self.questions.retain(|_, asker| !asker.is_closed());
        self.questions.insert(self.last_question, answer);
        Some(answered)
    }

    /// The number of the question with which a connection begins.
    pub(super) fn first_question(&mut self) -> u64 {
        self.last_question += 1;
        self.last_question
    }

    pub(super) fn answer(&mut self, number: u64, outcome: Outcome) {
        if let Some(asker) = self.questions.remove(&number) {
            let _ = asker.send(outcome);
        }
    }

    /// The connection is gone, and with it what was asked on it.
    pub(super) fn disconnect(&mut self) {
        self.sender = None;
        self.joined = false;
        self.questions.clear();
    }

    pub(super) fn wake_watches(&self, changed: &[Path]) {
        for (path, watch) in &self.watches {
            if changed.iter().any(|at| at.meets(path)) {
                watch.send_replace(());
            }
        }
    }

    pub(super) fn wake_all_watches(&self) {
        for (_, watch) in &self.watches {
            watch.send_replace(());
        }
    }
}
