//! The cache without a cluster: any processes of one user share it by its name. The first serves it; when it is gone, another does.

use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cluster_core::endpoint::ServiceSocket;
use cluster_core::sys::{Lock, RuntimeDir, RuntimeDirError, SocketError, memory_bound};
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

use crate::client::{Cache, cache};
use crate::document::{Document, DocumentError, DocumentOptions};
use crate::error::CacheError;
use crate::manager::{CacheManager, Kept, ManagerOptions, Serves, Stores};
use crate::options::CacheOptions;
use crate::protocol::MetaReply;
use crate::sessions::{Declared, SessionError, SessionStore, Sessions};
use crate::store::StoreError;

/// How often a process that does not serve looks whether it is to.
const LOOK: Duration = Duration::from_millis(50);

/// How a cache is shared.
#[derive(Clone, Debug)]
#[must_use]
pub struct Sharing {
    name: String,
    directory: Option<PathBuf>,
    max_bytes: Option<usize>,
    persist_path: Option<PathBuf>,
    sync: bool,
    wait: Duration,
    stores: Declared,
}

impl Sharing {
    /// A cache of a name: letters, digits, `.`, `_` and `-`.
    pub fn new(name: &str) -> Self {
        Sharing {
            name: name.to_owned(),
            directory: None,
            max_bytes: None,
            persist_path: None,
            sync: false,
            wait: Duration::from_secs(3),
            stores: Declared::default(),
        }
    }

    /// The directory of the socket and the lock: this user's own, with mode 0700; made where there is none. Unless set, one of the
    /// name `cache-NAME` where clusters have theirs.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// How many bytes all namespaces may take together, where this process serves; a quarter of the memory there is unless set.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// The file in which the process that serves keeps what is to persist; nothing outlives it unless set.
    pub fn persist_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.persist_path = Some(path.into());
        self
    }

    /// Whether each change of what is kept waits for the disk, and so survives a loss of power too; not unless set.
    pub fn sync(mut self, sync: bool) -> Self {
        self.sync = sync;
        self
    }

    /// A session store of this name, which every process that shares the cache reaches by [`Caches::sessions`]. To be said by each of
    /// them alike: whichever serves has it.
    pub fn session_store(mut self, name: &str, store: SessionStore) -> Self {
        self.stores.add(name, store);
        self
    }

    /// How long an operation may take where nothing else is said; 3 s unless set.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

/// Why a cache cannot be shared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnableError {
    /// Its directory cannot be used.
    #[error(transparent)]
    Directory(#[from] RuntimeDirError),
    /// Its socket cannot be used.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// What is kept on disk cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A session store cannot be opened.
    #[error(transparent)]
    Sessions(#[from] SessionError),
}

/// A cache that is shared. Cheap to clone; when the last clone is dropped, this process serves it no more.
#[derive(Clone, Debug)]
pub struct Caches {
    socket: PathBuf,
    wait: Duration,
    /// This process's part in serving it, where it has one.
    held: Option<Arc<Held>>,
}

#[derive(Debug)]
struct Held {
    /// Dropped with the last handle.
    _handles: oneshot::Sender<()>,
    ended: parking_lot::Mutex<mpsc::Receiver<()>>,
}

impl Caches {
    /// A cache that other processes serve, at its socket: [`Cluster::cache_socket`](cluster_core::Cluster::cache_socket), or that of
    /// a [`Caches::socket`]. Each operation waits so long where nothing else is said.
    pub fn connect(socket: impl Into<PathBuf>, wait: Duration) -> Self {
        Caches {
            socket: socket.into(),
            wait,
            held: None,
        }
    }

    /// The socket at which it is served.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// A namespace of it; as [`CacheExt::cache`](crate::CacheExt::cache).
    ///
    /// # Errors
    ///
    /// That the name is too long, or that this process has too many namespaces.
    pub fn cache(&self, name: &str, options: CacheOptions) -> Result<Cache, CacheError> {
        Cache::open(&self.socket, name, options, self.wait)
    }

    /// A document that all processes share which use this name and directory; as [`DocumentExt::document`](crate::DocumentExt::document).
    ///
    /// # Errors
    ///
    /// That the name or the directory cannot be used, or that this process has too many documents.
    pub fn document(
        &self,
        name: &str,
        options: DocumentOptions,
    ) -> Result<Document, DocumentError> {
        Document::open(&self.socket, name, &options, self.wait)
    }

    /// A session store by its name, of those that [`Sharing::session_store`] has named. Whether there is such a store, its first operation
    /// tells.
    pub fn sessions(&self, name: &str) -> Sessions {
        Sessions::at(&self.socket, name, self.wait)
    }

    /// The names of all its namespaces.
    ///
    /// # Errors
    ///
    /// Why they cannot be asked for.
    pub async fn namespaces(&self) -> Result<Vec<String>, CacheError> {
        cache::namespaces(&self.socket, self.wait).await
    }

    /// What its manager says of itself.
    ///
    /// # Errors
    ///
    /// Why it cannot be asked for.
    pub async fn meta(&self) -> Result<MetaReply, CacheError> {
        cache::meta(&self.socket, self.wait).await
    }

    /// Ends this process's part in it, and resolves when it serves no more. Other handles are of no use from then on, unless
    /// another process serves.
    pub async fn close(self) {
        if let Some(Ok(held)) = self.held.map(Arc::try_unwrap) {
            drop(held._handles);
            let _ = held.ended.into_inner().recv().await;
        }
    }
}

/// Shares a cache with every process that calls this with the same name, or the same directory. The first of them serves it, on the
/// arbiter on which it calls this; when that one ends, however it does, another serves within a moment.
///
/// ```
/// use cluster_cache::{CacheOptions, Sharing, enable};
///
/// # let directory = tempfile::tempdir()?;
/// # let directory = directory.path().join("cache");
/// actix::System::new().block_on(async {
///     let caches = enable(Sharing::new("prices").directory(directory))?;
///     let prices = caches.cache("prices", CacheOptions::default())?;
///     prices.set("apple", &42_u64).await?;
///     assert_eq!(prices.get("apple").await?, Some(42_u64));
///     Ok::<(), Box<dyn std::error::Error>>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Why its directory or its socket cannot be used.
///
/// # Panics
///
/// On a thread that runs no actix arbiter.
pub fn enable(sharing: Sharing) -> Result<Caches, EnableError> {
    let name = format!("cache-{}", sharing.name);
    let directory = RuntimeDir::open(sharing.directory.as_deref(), &name)?;
    let socket = directory.path().join("cache.sock");
    let options = ManagerOptions {
        max_bytes: sharing
            .max_bytes
            .or_else(|| memory_bound().and_then(|bytes| usize::try_from(bytes / 4).ok())),
        follows_crash: false,
        // The next one that waits for its turn serves.
        hands_over: false,
    };
    let part = Part {
        directory,
        socket: socket.clone(),
        options,
        persist_path: sharing.persist_path,
        sync: sharing.sync,
        stores: sharing.stores,
    };
    let first = part.serve()?;
    let (handles, mut gone) = oneshot::channel();
    let (end, ended) = mpsc::channel::<()>(1);
    actix_rt::spawn(async move {
        let serving = tokio::select! {
            serving = part.take_turns(first) => serving,
            _ = &mut gone => None,
        };
        if let Some((serves, lock)) = serving {
            let _ = gone.await;
            serves.end().await;
            drop(lock);
        }
        drop(end);
    });
    Ok(Caches {
        socket,
        wait: sharing.wait,
        held: Some(Arc::new(Held {
            _handles: handles,
            ended: parking_lot::Mutex::new(ended),
        })),
    })
}

type Serving = Option<(Serves, Lock)>;

/// What it takes to serve, should it come to that.
struct Part {
    directory: RuntimeDir,
    socket: PathBuf,
    options: ManagerOptions,
    persist_path: Option<PathBuf>,
    sync: bool,
    stores: Declared,
}

impl Part {
    /// Resolves when this process serves.
    async fn take_turns(&self, first: Serving) -> Serving {
        if first.is_some() {
            return first;
        }
        loop {
            tokio::time::sleep(LOOK).await;
            match self.serve() {
                Ok(Some(serving)) => return Some(serving),
                Ok(None) => {}
                Err(e) => {
                    warn!(error = %e, "this process cannot serve the cache");
                    // Others may.
                    pending::<()>().await;
                }
            }
        }
    }

    /// Serves, unless another process does.
    fn serve(&self) -> Result<Serving, EnableError> {
        let lock = match self.directory.lock() {
            Ok(lock) => lock,
            Err(RuntimeDirError::Held { .. }) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let options = ManagerOptions {
            // A manager that ends in peace takes its socket along.
            follows_crash: std::fs::symlink_metadata(&self.socket).is_ok(),
            ..self.options.clone()
        };
        let listening = ServiceSocket::bind(&self.socket)?;
        let store = Kept::open(self.persist_path.as_deref(), self.sync)?;
        let stores = Stores::start(self.stores.open(store.is_some())?, None)?;
        let serves = CacheManager::start_at(listening, options, store, stores)?;
        info!(path = %self.socket.display(), "this process serves the cache");
        Ok(Some((serves, lock)))
    }
}
