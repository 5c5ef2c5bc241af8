//! The handle of a session store.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cluster_core::{Cluster, WorkerId};
use futures_util::{Stream, stream};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::backend::{Operation, Operations, SessionBackend};
use super::error::SessionError;
use super::keeper::Keeper;
use super::memory::Memory;
use super::perform::{Bounds, Outcome, now_ms, perform};
use super::store::{Kind, SessionStore, check_name};
use super::value;
use crate::client::Owner;
use crate::error::CacheError;
use crate::limits::MOST_KEY_BYTES;
use crate::options::millis;
use crate::protocol::{SessionOp, SessionRefusal, When};

/// A session store, wherever it is. Cheap to clone; usable from every thread that runs an actix arbiter.
///
/// Each operation has a deadline: `--cache.timeout`, unless [`with_wait`](Self::with_wait) says otherwise. What one process has been told
/// is done every other process finds.
///
/// # When the owner ends meanwhile
///
/// Where the owner is gone before it has answered, an operation is asked of the next one: whatever has a result was done at least once.
/// Done twice it leaves behind what it leaves behind done once, and what it answers is what it found the last time:
///
/// | operation | what may be seen of it |
/// |---|---|
/// | `get`, `length`, `operations` | nothing |
/// | `all` | in memory and embedded, entries that are missing or come twice, where the owner was killed between two pages |
/// | `set` | its time begins anew; what others have done with the key in between is undone, a `destroy` too |
/// | `create` | false, though it was this call that has set the value: one that holds something of the caller's own tells, when it is read |
/// | `replace`, `touch` | the time begins anew, and what others have set in between is undone; what was destroyed stays so, and they say false |
/// | `destroy` | false, though it was this call that has removed the value; what others have set in between is removed too |
/// | `clear` | what others have set in between is removed too |
/// | `add_worker`, `remove_worker` | nothing |
///
/// With a store in memory the next owner begins with none of the values, unless the last one has handed over to it.
///
/// # Errors
///
/// Each operation says why it has no result; no error names a key. One that was not answered in time may have been done, or be done yet. [`SessionError::Unsupported`] where the store has no such operation,
/// which [`has`](Self::has) tells before.
///
/// # Panics
///
/// Its operations, where the store is another process's and they are awaited on a thread that has neither an actix arbiter nor a
/// `LocalSet` of tokio's.
///
/// # Cancel safety
///
/// An operation that is dropped after it was begun may be done all the same.
#[derive(Clone)]
pub struct Sessions {
    name: Arc<str>,
    reach: Reach,
    wait: Duration,
}

#[derive(Clone)]
enum Reach {
    /// By the cache manager's socket.
    Owner(Arc<Owner>),
    /// It is this process's own, and does not block.
    Here(Arc<Here>),
    /// It is this process's own, on its thread.
    Thread(Arc<Threaded>),
    /// The name is none.
    Nowhere,
}

struct Here {
    backend: Mutex<Box<dyn SessionBackend>>,
    bounds: Bounds,
}

struct Threaded {
    keeper: Keeper,
    bounds: Bounds,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// How long an operation may take in a process of its own, where nothing else is said.
const WAIT: Duration = Duration::from_secs(3);

impl Sessions {
    pub(crate) fn at(socket: &Path, name: &str, wait: Duration) -> Self {
        let reach = match check_name(name) {
            Ok(()) => Reach::Owner(Arc::new(Owner::at(socket, wait))),
            Err(_) => Reach::Nowhere,
        };
        Sessions {
            name: name.into(),
            reach,
            wait,
        }
    }

    pub(super) fn alone(store: SessionStore, name: &str) -> Result<Self, SessionError> {
        check_name(name)?;
        let bounds = store.bounds();
        let reach = match (store.backend(name)?, &store.kind) {
            (Some(backend), _) => {
                let keeper = Keeper::start(name, bounds, backend);
                let keeper = keeper.map_err(|e| SessionError::no_thread(name, e))?;
                Reach::Thread(Arc::new(Threaded { keeper, bounds }))
            }
            (None, Kind::Memory) => Reach::Here(Arc::new(Here {
                backend: Mutex::new(Box::new(Memory::new(store.max_bytes))),
                bounds,
            })),
            (None, _) => {
                return Err(SessionError::NoFile {
                    store: name.to_owned(),
                });
            }
        };
        Ok(Sessions {
            name: name.into(),
            reach,
            wait: WAIT,
        })
    }

    /// The name of the store.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same handle, whose operations may take so long.
    #[must_use]
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Which operations the store has.
    pub async fn operations(&self) -> Result<Operations, SessionError> {
        match self.ask(SessionOp::Operations).await? {
            Outcome::Operations(operations) => Ok(operations),
            _ => Err(self.out_of_place()),
        }
    }

    /// Whether the store has an operation.
    pub async fn has(&self, operation: Operation) -> Result<bool, SessionError> {
        Ok(self.operations().await?.has(operation))
    }

    /// Reads a value.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, SessionError> {
        match self.ask(SessionOp::Get { key }).await? {
            Outcome::Absent => Ok(None),
            Outcome::Found { value, .. } => value::decode(&self.name, &value).map(Some),
            _ => Err(self.out_of_place()),
        }
    }

    /// Sets a value, for so long; for as long as the store says where nothing is said. A value with a number that JSON does not have
    /// (NaN, the infinities) is refused.
    pub async fn set<T: Serialize + ?Sized>(
        &self,
        key: &str,
        value: &T,
        ttl: Option<Duration>,
    ) -> Result<(), SessionError> {
        self.set_when(key, value, ttl, When::Always).await.map(drop)
    }

    /// Sets a value where there is none; says whether it did, of the last time that it was tried.
    pub async fn create<T: Serialize + ?Sized>(
        &self,
        key: &str,
        value: &T,
        ttl: Option<Duration>,
    ) -> Result<bool, SessionError> {
        self.set_when(key, value, ttl, When::Absent).await
    }

    /// Sets a value where there is one; says whether it did.
    pub async fn replace<T: Serialize + ?Sized>(
        &self,
        key: &str,
        value: &T,
        ttl: Option<Duration>,
    ) -> Result<bool, SessionError> {
        self.set_when(key, value, ttl, When::Present).await
    }

    async fn set_when<T: Serialize + ?Sized>(
        &self,
        key: &str,
        value: &T,
        ttl: Option<Duration>,
        when: When,
    ) -> Result<bool, SessionError> {
        let encoded = value::encode(&self.name, value)?;
        let set = SessionOp::Set {
            key,
            value: &encoded,
            ttl_ms: ttl.map(millis),
            when,
        };
        self.done(set).await
    }

    /// Gives a value so much time from now on; says whether there is one.
    pub async fn touch(&self, key: &str, ttl: Option<Duration>) -> Result<bool, SessionError> {
        let ttl_ms = ttl.map(millis);
        self.done(SessionOp::Touch { key, ttl_ms }).await
    }

    /// Removes a value; says whether there was one, the last time that it was tried.
    pub async fn destroy(&self, key: &str) -> Result<bool, SessionError> {
        self.done(SessionOp::Destroy { key }).await
    }

    /// All values with their keys, in no order, page by page. One that is there from the beginning to the end comes once, unless the
    /// owner of a store in memory or of an embedded one is killed meanwhile; what comes or goes meanwhile may or may not.
    pub fn all<T: DeserializeOwned>(
        &self,
    ) -> impl Stream<Item = Result<(String, T), SessionError>> + '_ {
        let begin = (VecDeque::<(String, Vec<u8>, _)>::new(), Some(0));
        stream::try_unfold(begin, move |(mut page, mut next)| async move {
            loop {
                if let Some((key, value, _)) = page.pop_front() {
                    let value = value::decode(&self.name, &value)?;
                    return Ok(Some(((key, value), (page, next))));
                }
                let Some(from) = next else { return Ok(None) };
                match self.ask(SessionOp::All { from }).await? {
                    Outcome::Page {
                        entries,
                        next: after,
                    } => {
                        page = entries.into();
                        // An owner that goes in circles would keep who lists for ever.
                        next = after.filter(|after| *after > from);
                    }
                    _ => return Err(self.out_of_place()),
                }
            }
        })
    }

    /// Removes all values.
    pub async fn clear(&self) -> Result<(), SessionError> {
        self.done(SessionOp::Clear).await.map(drop)
    }

    /// How many values there are; some may count whose time has just ended.
    pub async fn length(&self) -> Result<u64, SessionError> {
        match self.ask(SessionOp::Length).await? {
            Outcome::Count(count) => Ok(count),
            _ => Err(self.out_of_place()),
        }
    }

    /// Lets a worker reach a store that is not for every worker ([`SessionStore::add_on_fork`]). For the master, and for whoever is no
    /// worker: each worker has a number of its own, so that of a successor is to be added anew. This process tells it to the next owner
    /// too, for as long as this thread runs.
    pub async fn add_worker(&self, worker: WorkerId) -> Result<(), SessionError> {
        let add = SessionOp::AddWorker { worker: worker.0 };
        self.done(add).await?;
        if let Reach::Owner(owner) = &self.reach {
            owner.keep_granting(&self.name, worker.0);
        }
        Ok(())
    }

    /// Lets a worker reach it no more.
    pub async fn remove_worker(&self, worker: WorkerId) -> Result<(), SessionError> {
        if let Reach::Owner(owner) = &self.reach {
            owner.grant_no_more(&self.name, worker.0);
        }
        let remove = SessionOp::RemoveWorker { worker: worker.0 };
        self.done(remove).await.map(drop)
    }

    async fn done(&self, op: SessionOp<'_>) -> Result<bool, SessionError> {
        match self.ask(op).await? {
            Outcome::Done(done) => Ok(done),
            _ => Err(self.out_of_place()),
        }
    }

    async fn ask(&self, op: SessionOp<'_>) -> Result<Outcome, SessionError> {
        let refused = |refusal| SessionError::of_refusal(&self.name, refusal);
        match &self.reach {
            Reach::Owner(owner) => {
                check_key(&op).map_err(refused)?;
                let asked = owner.ask(&self.name, op, self.wait).await;
                asked?.map_err(refused)
            }
            Reach::Here(here) => {
                here.bounds.check(&op).map_err(refused)?;
                let outcome = perform(&mut **here.backend.lock(), &here.bounds, &op, now_ms());
                outcome.map_err(|e| refused(SessionRefusal::from(&e)))
            }
            Reach::Thread(threaded) => {
                threaded.bounds.check(&op).map_err(refused)?;
                let (tell, told) = oneshot::channel();
                let answered = Box::new(|outcome| {
                    // Who has asked may have gone.
                    let _ = tell.send(outcome);
                });
                let asked = threaded.keeper.ask(&op, answered);
                asked.map_err(refused)?;
                let outcome = tokio::time::timeout(self.wait, told).await;
                let outcome = outcome.map_err(|_| CacheError::late(self.wait))?;
                outcome
                    .unwrap_or(Err(SessionRefusal::Busy))
                    .map_err(refused)
            }
            Reach::Nowhere => Err(SessionError::Name {
                name: self.name.to_string(),
            }),
        }
    }

    fn out_of_place(&self) -> SessionError {
        CacheError::Protocol.into()
    }
}

/// The same as the owner does: what it would refuse is not sent.
fn check_key(op: &SessionOp<'_>) -> Result<(), SessionRefusal> {
    match *op {
        SessionOp::Get { key }
        | SessionOp::Set { key, .. }
        | SessionOp::Touch { key, .. }
        | SessionOp::Destroy { key }
            if key.is_empty() || key.len() > MOST_KEY_BYTES =>
        {
            Err(SessionRefusal::Key(key.len() as u64))
        }
        _ => Ok(()),
    }
}

/// The session stores of a cluster: `cluster.sessions(name)`.
pub trait SessionsExt {
    /// A store by its name, in whichever process of the cluster. Whether there is such a store, its first operation tells.
    fn sessions(&self, name: &str) -> Sessions;
}

impl SessionsExt for Cluster {
    fn sessions(&self, name: &str) -> Sessions {
        Sessions::at(&self.cache_socket(), name, self.options().cache.timeout)
    }
}
