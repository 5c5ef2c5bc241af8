//! The handle of a document, for applications.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster_core::Cluster;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout_at;

use super::error::DocumentError;
use super::known;
use super::limits::MOST_NESTING;
use super::link::keep_connected;
use super::options::DocumentOptions;
use super::path::Path;
use super::replica::{Change, What};
use super::shared::{Outcome, Over, Shared};
use super::value;
use super::watch::DocumentWatch;
use crate::options::millis;
use crate::protocol::{DocumentOp, Refusal};

/// Until when a question may wait that has no end: decades.
const DECADES: Duration = Duration::from_secs(30 * 365 * 86_400);

/// A JSON document that every process holds in its own memory. Cheap to clone; all handles of a process share one copy.
///
/// Reads are look-ups in this process. Writes are visible here at once, and soon everywhere; the manager puts those of all processes in one
/// order, in which the last one of a path wins. A new process has what others wrote once [`sync`](Self::sync) has resolved.
///
/// Only [`flush`](Self::flush) says that a change is kept: where the manager is killed, the next one begins with what was flushed and with what
/// processes know that are back within half a second, and one that is back later gives up what it knows for that, but for its own changes
/// that no manager had confirmed, which are sent and made as ever.
///
/// Paths are as in lodash: `a.b`, `a[0].b`, `a["x.y"]`; the empty path is the whole document. Paths have up to 1024 bytes and 64 keys, and
/// documents up to 8 MiB, nested up to 100 levels; a path makes arrays of up to 10,000 elements. What exceeds a bound is refused with a typed
/// error, and changes nothing.
///
/// ```
/// use cluster_cache::{DocumentOptions, Sharing, enable};
///
/// # let home = tempfile::tempdir()?;
/// actix::System::new().block_on(async {
///     let caches = enable(Sharing::new("shop").directory(home.path().join("run")))?;
///     let flags = caches.document("flags", DocumentOptions::default().dir(home.path()))?;
///     flags.sync().await?;
///     flags.set("checkout.steps[1]", "payment")?;
///     assert_eq!(flags.get_as::<Vec<Option<String>>>("checkout.steps")?.unwrap()[1].as_deref(), Some("payment"));
///     assert!(!flags.has("checkout.steps[2]")?);
///     flags.flush().await?;
///     assert!(flags.filename().exists());
///     Ok::<(), Box<dyn std::error::Error>>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Document {
    shared: Arc<Shared>,
}

impl Document {
    pub(crate) fn open(
        socket: &std::path::Path,
        name: &str,
        options: &DocumentOptions,
        wait: Duration,
    ) -> Result<Self, DocumentError> {
        let shared = known::open(socket, name, options, wait)?;
        Ok(Document { shared })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Its file: plain JSON, written by the cache manager alone.
    pub fn filename(&self) -> PathBuf {
        self.shared.directory.join(format!("{}.json", self.name()))
    }

    /// Whether changes of other processes arrive now: the manager is there, and has let this process join.
    pub fn is_connected(&self) -> bool {
        self.shared.lock().joined
    }

    /// Whether it was closed in this process, or destroyed.
    pub fn is_closed(&self) -> bool {
        self.shared.over().is_some()
    }

    /// A copy of what is at a path; nothing where there is nothing.
    ///
    /// # Errors
    ///
    /// That it is no path, or that the document is closed.
    pub fn get(&self, path: &str) -> Result<Option<Value>, DocumentError> {
        self.shared.read(path, |found| found.cloned())
    }

    /// The same as a value of a type.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); or that what is there is no value of this type.
    pub fn get_as<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, DocumentError> {
        let read = |found: Option<&Value>| found.map(T::deserialize).transpose();
        let read = self.shared.read(path, read)?;
        read.map_err(|source| DocumentError::shape(path, source))
    }

    /// Whether something is at a path; null is something.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn has(&self, path: &str) -> Result<bool, DocumentError> {
        self.shared.read(path, |found| found.is_some())
    }

    /// Sets what is at a path, and gives it back. Objects and arrays that are missing on the way are made; what is neither and stands in the way
    /// gives way. What was there is gone, and its time with it. Nothing is sent where the same is there already.
    ///
    /// # Errors
    ///
    /// That it is no path, that the value or the change does not fit into a document, that too many changes wait for the manager, or that the
    /// document is closed. Nothing has changed then.
    pub fn set<T: Serialize>(&self, path: &str, value: T) -> Result<T, DocumentError> {
        self.set_until(path, value, None)
    }

    /// The same for a time only, in whole milliseconds: after it the path is deleted, whatever is there by then. The time is the manager's; while
    /// it is away nothing is deleted. Ten years at most.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn set_for<T: Serialize>(
        &self,
        path: &str,
        value: T,
        time: Duration,
    ) -> Result<T, DocumentError> {
        self.set_until(path, value, Some(millis(time)))
    }

    fn set_until<T: Serialize>(
        &self,
        text: &str,
        value: T,
        ttl_ms: Option<u64>,
    ) -> Result<T, DocumentError> {
        let path = read(text)?;
        let taken = value::take(&value, MOST_NESTING - path.len());
        let taken = taken.map_err(|fault| DocumentError::value(text, fault))?;
        let what = What::Set {
            value: taken,
            ttl_ms,
        };
        self.write(text, Change { path, what })?;
        Ok(value)
    }

    /// Deletes what is at a path, and says whether there was something; its siblings stay. An element of an array leaves a null, so that the others keep their places; the last
    /// one makes the array shorter. Of the whole document an empty object is left.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn delete(&self, path: &str) -> Result<bool, DocumentError> {
        let change = Change {
            path: read(path)?,
            what: What::Delete,
        };
        self.write(path, change)
    }

    fn write(&self, path: &str, change: Change) -> Result<bool, DocumentError> {
        let changed = self.shared.write(path, change)?;
        keep_connected(&self.shared);
        Ok(changed)
    }

    /// Resolves when this process has all that the manager knew when it was asked, and the manager all that this process had changed.
    ///
    /// # Errors
    ///
    /// That the manager cannot be reached in time or does not keep the document, or that it is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing.
    pub async fn sync(&self) -> Result<(), DocumentError> {
        self.ask(|| DocumentOp::Sync).await
    }

    /// Resolves when all that this process had changed is in the file, and on the disk: it is what says that a change is kept.
    ///
    /// # Errors
    ///
    /// As [`sync`](Self::sync); or why the file cannot be written, and then it is tried again later.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it may have been done or not.
    pub async fn flush(&self) -> Result<(), DocumentError> {
        self.ask(|| DocumentOp::Flush).await
    }

    /// Flushes it, and closes it in this process: afterwards each operation of all its handles is [`DocumentError::Closed`]. Opened again, it
    /// begins anew.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush); it is not closed then.
    pub async fn close(&self) -> Result<(), DocumentError> {
        self.flush().await?;
        self.shared.end(Over::Closed);
        known::forget(&self.shared);
        Ok(())
    }

    /// Removes it with its file. Afterwards each operation is [`DocumentError::Destroyed`], in all processes that have it open.
    ///
    /// # Errors
    ///
    /// As [`sync`](Self::sync); or why the file cannot be removed.
    pub async fn destroy(&self) -> Result<(), DocumentError> {
        self.ask(|| DocumentOp::Destroy).await?;
        self.shared.end(Over::Destroyed);
        known::forget(&self.shared);
        Ok(())
    }

    /// What is at a path, and whenever it changes, what is there then. Values in between are passed over where they come faster than they are
    /// taken. The stream ends when the document is closed or destroyed.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn watch(&self, path: &str) -> Result<DocumentWatch, DocumentError> {
        let changes = self.shared.watch(read(path)?)?;
        Ok(DocumentWatch::new(self.clone(), path, changes))
    }

    /// Asks the manager, under a deadline; again where the connection breaks meanwhile.
    async fn ask(&self, op: impl Fn() -> DocumentOp<'static>) -> Result<(), DocumentError> {
        let wait = self.shared.wait;
        let end = (Instant::now() + wait.min(DECADES)).into();
        loop {
            self.joined(end).await?;
            let (asked, sender) = {
                let mut inner = self.shared.lock();
                (inner.ask(op()), inner.sender.clone())
            };
            let Some(answered) = asked else {
                // Changes are yet to set out, or the connection has broken and that is not known yet.
                let room = async {
                    if let Some(sender) = sender {
                        sender.ready().await;
                    }
                    tokio::task::yield_now().await;
                };
                let room = timeout_at(end, room).await;
                room.map_err(|_| DocumentError::late(wait))?;
                self.shared.send_changes(&mut self.shared.lock());
                continue;
            };
            let outcome = timeout_at(end, answered).await;
            match outcome.map_err(|_| DocumentError::late(wait))? {
                Ok(Outcome::Done) => return Ok(()),
                Ok(Outcome::Refused(refusal)) => return Err(refusal.into()),
                // The connection broke, or the document is over.
                Err(_) => {}
            }
        }
    }

    /// Resolves when the manager has let this process join.
    async fn joined(&self, end: tokio::time::Instant) -> Result<(), DocumentError> {
        let joined = async {
            loop {
                let mut turned = std::pin::pin!(self.shared.turned.notified());
                turned.as_mut().enable();
                if let Some(over) = self.shared.over() {
                    return Err(over.into());
                }
                keep_connected(&self.shared);
                if self.shared.lock().joined {
                    return Ok(());
                }
                turned.await;
            }
        };
        let waited = timeout_at(end, joined).await;
        waited.unwrap_or_else(|_| Err(self.unreachable()))
    }

    fn unreachable(&self) -> DocumentError {
        let refused: Option<Refusal> = self.shared.lock().refused.clone();
        refused.map_or_else(
            || DocumentError::Unreachable {
                path: self.shared.socket.clone(),
                waited_ms: millis(self.shared.wait),
            },
            DocumentError::Refused,
        )
    }
}

fn read(path: &str) -> Result<Path, DocumentError> {
    Path::read(path).map_err(|fault| DocumentError::path(path, fault))
}

/// The documents of a cluster: `cluster.document(name, options)`.
pub trait DocumentExt {
    /// A document that all processes share which use this name and directory.
    ///
    /// # Errors
    ///
    /// That the cluster has no cache manager, that the name or the directory cannot be used, or that this process has too many documents.
    fn document(&self, name: &str, options: DocumentOptions) -> Result<Document, DocumentError>;
}

impl DocumentExt for Cluster {
    fn document(&self, name: &str, options: DocumentOptions) -> Result<Document, DocumentError> {
        let service = &self.options().cache;
        if !service.runs() {
            return Err(DocumentError::Disabled);
        }
        Document::open(&self.cache_socket(), name, &options, service.timeout)
    }
}
