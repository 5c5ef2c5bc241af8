//! A document as all threads of this process share it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cluster_core::endpoint::{SendError, Sender};
use cluster_core::sys::BoardReader;
use parking_lot::{Mutex, MutexGuard, RwLock};
use serde_json::Value;
use tokio::sync::{Notify, oneshot, watch};

use super::board;
use super::error::DocumentError;
use super::path::{Keys, Path};
use super::replica::{Change, Replica, Unwritten, What};
use super::tree::Tree;
use crate::protocol::{Ask, Changing, DocumentOp, Op, Refusal, Version};
use crate::value;

/// Changes that follow each other faster are written together.
const BURST: Duration = Duration::from_micros(100);

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
    /// Where changes stand before they come by the connection, for as long as this process has joined.
    board: Option<BoardReader>,
}

impl Shown {
    #[inline]
    fn has_news(&self) -> bool {
        self.board.as_ref().is_some_and(BoardReader::has_news)
    }
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
    /// When this process made its last change.
    written: Option<Instant>,
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
                written: None,
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
        let mut shown = self.shown.read();
        if shown.has_news() {
            drop(shown);
            self.look();
            shown = self.shown.read();
        }
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
                over: Some(why),
                ..Shown::default()
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
        let now = Instant::now();
        let last = inner.written.replace(now);
        let is_lone = last.is_none_or(|last| now - last > BURST);
        self.send_changes_as(&mut inner, is_lone);
        inner.wake_watches(&[at]);
        Ok(true)
    }

    /// Sends the changes that have not set out on this connection; in order, as it is locked meanwhile.
    pub(super) fn send_changes(&self, inner: &mut Inner) {
        self.send_changes_as(inner, false);
    }

    fn send_changes_as(&self, inner: &mut Inner, is_urgent: bool) {
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
            match send_change(sender, number, change, is_urgent) {
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

    /// Takes what is on the board before somebody reads, who waits for nobody that is at work with the document.
    #[cold]
    fn look(&self) {
        if let Some(mut inner) = self.inner.try_lock()
            && !inner.replica.is_at_work()
        {
            self.take_news(&mut inner);
        }
    }

    /// Takes what is on the board, as far as it goes on from what is known; the rest comes by the connection.
    fn take_news(&self, inner: &mut Inner) {
        let news = match &self.shown.read().board {
            Some(board) => board::read(board.take().iter(), inner.replica.version()),
            None => return,
        };
        let confirm = |replica: &mut Replica, tree: &mut Tree| replica.confirm(tree, news);
        // One that does not fit comes by the connection, too, and is seen to there.
        if let Ok(changed) = self.change_tree(inner, confirm) {
            inner.wake_watches(&changed);
        }
    }

    /// From now on changes stand on this board before they come by the connection: nothing where that is gone meanwhile.
    pub(super) fn put_up(&self, inner: &Inner, board: BoardReader) {
        if inner.joined {
            self.shown.write().board = Some(board);
        }
    }

    /// All of the document is to be asked for.
    pub(super) fn begin_anew(&self, inner: &mut Inner) {
        self.shown.write().board = None;
        inner.replica.is_at(Version::default());
    }

    /// The connection is gone, and the board with it, after a last look: what stands there a manager has made.
    pub(super) fn disconnect(&self, inner: &mut Inner) {
        self.take_news(inner);
        self.shown.write().board = None;
        inner.sender = None;
        inner.joined = false;
        inner.questions.clear();
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

fn send_change(
    sender: &Sender,
    number: u64,
    change: &Change,
    is_urgent: bool,
) -> Result<(), SendError> {
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
    let op = DocumentOp::Change { number, change };
    let ask = ask(0, op);
    match is_urgent {
        true => sender.send_urgent(|out| ask.write(out)),
        false => sender.send_written(|out| ask.write(out)),
    }
}

fn ask(number: u64, op: DocumentOp<'_>) -> Ask<'_> {
    Ask {
        number,
        space: 0,
        op: Op::Document(op),
    }
}

pub(super) fn send(sender: &Sender, number: u64, op: DocumentOp<'_>) -> Result<(), SendError> {
    let ask = ask(number, op);
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
