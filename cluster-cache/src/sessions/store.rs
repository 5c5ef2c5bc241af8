//! What a store is to be: said once, to whoever owns it.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::backend::{BackendError, SessionBackend};
use super::error::SessionError;
use super::handle::Sessions;
use super::perform::Bounds;
use crate::limits::{MOST_NAME_BYTES, MOST_VALUE_BYTES};

/// How long a value may be, in bytes as JSON, where nothing else is said.
const MAX_VALUE_BYTES: usize = 1024 * 1024;

type OpenBackend = dyn Fn() -> Result<Box<dyn SessionBackend>, BackendError> + Send + Sync;

#[derive(Clone)]
pub(crate) enum Kind {
    Memory,
    Embedded,
    #[cfg(feature = "sqlite")]
    Sqlite(PathBuf),
    Files(PathBuf),
    Custom(Arc<OpenBackend>),
}

/// What a session store is to be. It is one process's: in a cluster that of the cache manager, for which the application's builder is
/// told of it; without one that of [`enable`](crate::enable); or this one's alone, by [`open`](Self::open). [`Sessions`] is how it is
/// used, wherever it is.
///
/// ```
/// use cluster_cache::SessionStore;
/// use std::time::Duration;
///
/// # actix::System::new().block_on(async {
/// let carts = SessionStore::memory().expire(Duration::from_secs(3600)).open("carts")?;
/// carts.set("ada", &["tea", "milk"], None).await?;
/// assert_eq!(carts.get::<Vec<String>>("ada").await?, Some(vec!["tea".into(), "milk".into()]));
/// # Ok::<(), cluster_cache::SessionError>(())
/// # })?;
/// # Ok::<(), cluster_cache::SessionError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct SessionStore {
    pub(crate) kind: Kind,
    pub(crate) max_bytes: Option<usize>,
    expire: Option<Duration>,
    max_value_bytes: usize,
    sync: bool,
    pub(crate) add_on_fork: bool,
}

impl fmt::Debug for SessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionStore")
            .field("kind", &self.kind_name())
            .finish_non_exhaustive()
    }
}

impl SessionStore {
    fn of(kind: Kind) -> Self {
        SessionStore {
            kind,
            max_bytes: None,
            expire: None,
            max_value_bytes: MAX_VALUE_BYTES,
            sync: false,
            add_on_fork: true,
        }
    }

    /// In the memory of its owner. It passes to the owner's successor in an upgrade, and is gone where the owner crashes or the cluster
    /// ends.
    pub fn memory() -> Self {
        SessionStore::of(Kind::Memory)
    }

    /// In the memory of the cache manager, and in the file in which the cache keeps what persists (`--cache.persist-path`, or
    /// [`Sharing::persist_path`](crate::Sharing::persist_path)): as fast as memory, and there again after a crash.
    pub fn embedded() -> Self {
        SessionStore::of(Kind::Embedded)
    }

    /// In an SQLite database, made where there is none. Its schema stands in ARCHITECTURE.md; `sqlite3 FILE 'SELECT * FROM sessions'`
    /// shows what is in it.
    #[cfg(feature = "sqlite")]
    pub fn sqlite(file: impl Into<PathBuf>) -> Self {
        SessionStore::of(Kind::Sqlite(file.into()))
    }

    /// In a directory, a file of JSON for each entry; made where there is none. The layout stands in ARCHITECTURE.md.
    pub fn files(directory: impl Into<PathBuf>) -> Self {
        SessionStore::of(Kind::Files(directory.into()))
    }

    /// A store of the application's own. It is opened when its owner starts, and run on a thread of its own.
    pub fn custom<B: SessionBackend + 'static>(
        open: impl Fn() -> Result<B, BackendError> + Send + Sync + 'static,
    ) -> Self {
        let open = move || Ok(Box::new(open()?) as Box<dyn SessionBackend>);
        SessionStore::of(Kind::Custom(Arc::new(open)))
    }

    /// How long a value is kept of which nothing else is said, in whole milliseconds; forever unless set.
    pub fn expire(mut self, after: Duration) -> Self {
        self.expire = Some(after);
        self
    }

    /// How many bytes a store in memory or an embedded one may take, each entry counted with its key, its value and 96 bytes for its
    /// place. No limit of its own unless set; together with the cache, `--cache.max-bytes` holds. Where there is no room a new value is
    /// refused, counted and logged: entries of the cache give way to it, entries of a store to nothing.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// How many bytes a value may have as JSON; 1 MiB unless set, 15 MiB at most.
    pub fn max_value_bytes(mut self, bytes: usize) -> Self {
        self.max_value_bytes = bytes.min(MOST_VALUE_BYTES);
        self
    }

    /// Whether each change waits for the disk, and so survives a loss of power too; not unless set. For SQLite and files: an embedded
    /// store waits where the cache does (`--cache.sync`).
    pub fn sync(mut self, sync: bool) -> Self {
        self.sync = sync;
        self
    }

    /// Whether every worker of the cluster reaches it from its start; it does unless set otherwise, and then only those do that
    /// [`Sessions::add_worker`] names.
    pub fn add_on_fork(mut self, add: bool) -> Self {
        self.add_on_fork = add;
        self
    }

    /// Opens it for this process alone: there is no other process in between, and nothing is sent. Whoever drops the last handle of one that
    /// is on disk, or of the application's own, waits until it has done what it was asked.
    ///
    /// # Errors
    ///
    /// That the name is none, or why it cannot be opened. [`SessionError::NoFile`] for an embedded store, which is the cache's: share
    /// one with [`enable`](crate::enable).
    pub fn open(self, name: &str) -> Result<Sessions, SessionError> {
        Sessions::alone(self, name)
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            expire: self.expire,
            max_value_bytes: self.max_value_bytes,
        }
    }

    pub(crate) fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Memory => "memory",
            Kind::Embedded => "embedded",
            #[cfg(feature = "sqlite")]
            Kind::Sqlite(_) => "sqlite",
            Kind::Files(_) => "files",
            Kind::Custom(_) => "custom",
        }
    }

    fn place(&self) -> Option<&PathBuf> {
        match &self.kind {
            #[cfg(feature = "sqlite")]
            Kind::Sqlite(path) => Some(path),
            Kind::Files(path) => Some(path),
            _ => None,
        }
    }

    /// The real store, where it is one that blocks.
    pub(super) fn backend(
        &self,
        name: &str,
    ) -> Result<Option<Box<dyn SessionBackend>>, SessionError> {
        let opened = match &self.kind {
            Kind::Memory | Kind::Embedded => return Ok(None),
            #[cfg(feature = "sqlite")]
            Kind::Sqlite(path) => {
                let opened = super::sqlite::Sqlite::open(path, self.sync);
                opened.map(|store| Box::new(store) as _)
            }
            Kind::Files(path) => {
                let opened = super::files::Files::open(path, self.sync);
                opened.map(|store| Box::new(store) as _)
            }
            Kind::Custom(open) => open(),
        };
        let opened = opened.map_err(|source| SessionError::Open {
            store: name.to_owned(),
            source: Arc::new(source),
        });
        opened.map(Some)
    }
}

/// Whether a text can be the name of a store.
pub(crate) fn check_name(name: &str) -> Result<(), SessionError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > MOST_NAME_BYTES / 2 || !name.chars().all(fits) {
        // Cut, as it may be anything.
        let name = name.chars().take(MOST_NAME_BYTES).collect();
        return Err(SessionError::Name { name });
    }
    Ok(())
}

/// The stores that an owner is to have, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared(Vec<(String, SessionStore)>);

/// A store that an owner has opened: the real one, unless the owner keeps the entries itself.
pub(crate) struct Opened {
    pub(crate) name: String,
    pub(crate) store: SessionStore,
    pub(crate) backend: Option<Box<dyn SessionBackend>>,
}

impl Declared {
    pub(crate) fn add(&mut self, name: &str, store: SessionStore) {
        self.0.push((name.to_owned(), store));
    }

    /// Opens all of them. To be done before the owner takes anything over: where one cannot be opened, nothing has happened.
    pub(crate) fn open(&self, persists: bool) -> Result<Vec<Opened>, SessionError> {
        let (mut names, mut places) = (HashSet::new(), HashSet::new());
        let one = |(name, store): &(String, SessionStore)| {
            check_name(name)?;
            let twice = || SessionError::Twice {
                store: name.clone(),
            };
            if !names.insert(name.clone()) {
                return Err(twice());
            }
            if matches!(store.kind, Kind::Embedded) && !persists {
                return Err(SessionError::NoFile {
                    store: name.clone(),
                });
            }
            let backend = store.backend(name)?;
            // It is there by now, by whatever path.
            if let Some(place) = store.place()
                && !places.insert(place.canonicalize().unwrap_or_else(|_| place.clone()))
            {
                return Err(twice());
            }
            Ok(Opened {
                backend,
                name: name.clone(),
                store: store.clone(),
            })
        };
        self.0.iter().map(one).collect()
    }
}
