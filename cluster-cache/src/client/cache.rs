//! The handle of a namespace.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cluster_core::Cluster;
use futures_util::{Stream, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer::Got;
use super::copies;
use super::flight::Load;
use super::link::{Again, Link};
use super::near::{CopyStat, Near};
use super::operation::{
    FindOrLoad, Get, GetOrLoad, GetShared, Inspected, Set, Value, check_key, decode,
};
use super::space::{self, Space};
use super::timed::{Span, Timed};
use super::watch::Watch;
use crate::error::CacheError;
use crate::options::{CacheOptions, CopyOptions};
use crate::protocol::{MetaReply, Op, Stat};
use crate::value;

/// A namespace of the shared cache. Cheap to clone; usable from every thread that runs an actix arbiter.
///
/// Each operation has a deadline, `wait`: that of the call, else that of the options, else `--cache.timeout`; one of a quarter of a second
/// or more is kept to the clock's tick, up to 10 ms. Values are encoded
/// as MessagePack, so that every process, the command line and the monitor can show them.
///
/// # Panics
///
/// Its operations, where they are awaited on a thread that has neither an actix arbiter nor a `LocalSet` of tokio's.
#[derive(Clone, Debug)]
pub struct Cache {
    space: Arc<Space>,
    wait: Duration,
}

impl Cache {
    pub(crate) fn open(
        path: &Path,
        name: &str,
        options: CacheOptions,
        wait: Duration,
    ) -> Result<Self, CacheError> {
        let space = space::open(path, name, options, wait)?;
        Ok(Cache {
            wait: space.wait,
            space,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.space.name
    }

    /// Reads a value.
    ///
    /// # Errors
    ///
    /// Why it is not known whether there is one; that it is of another type.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    pub fn get<'a, T: DeserializeOwned>(&'a self, key: &'a str) -> Get<'a, T> {
        Get::new(&self.space, key, self.wait)
    }

    /// Reads a value that is shared with others who read it: from a copy of this process ([`make_copy`](Self::make_copy)) it is
    /// decoded once, however often it is read.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    pub fn get_shared<'a, T>(&'a self, key: &'a str) -> GetShared<'a, T>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        GetShared(self.get(key))
    }

    /// Sets a value; answers whether it was accepted, which only [`Set::leave_if_not_null`] makes a question.
    ///
    /// # Errors
    ///
    /// Why it was not set; after [`CacheError::Deadline`] and [`CacheError::LinkLost`] it may have been.
    ///
    /// # Cancel safety
    ///
    /// Dropped after it was begun, it may be done all the same.
    pub fn set<'a, T: Serialize + ?Sized>(&'a self, key: &'a str, value: &T) -> Set<'a> {
        Set::new(&self.space, key, value, self.wait)
    }

    /// Reads a value or, where there is none, has it loaded: once for all callers of all processes.
    ///
    /// The loader runs in this process, as a task of its own: neither the end of `wait` nor dropping the call cancels it, only
    /// [`GetOrLoad::load_timeout`] does. Where it fails or panics, all who wait are told why, and the next caller loads afresh.
    /// Where its process dies, the next one that waits loads.
    ///
    /// # Errors
    ///
    /// What the loader said, in whichever process it ran; why the cache cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// Dropping it lets the load go on for others.
    pub fn get_or_load<'a, T, F, G, E>(&'a self, key: &'a str, load: F) -> GetOrLoad<'a, T>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> G + 'static,
        G: Future<Output = Result<T, E>> + 'static,
        E: Display,
    {
        let load: Load = Box::new(move || {
            let loading = load();
            Box::pin(async move {
                let loaded = loading.await.map_err(|e| e.to_string())?;
                value::encode(&loaded).map_err(|e| e.to_string())
            })
        });
        GetOrLoad::new(&self.space, key, load, self.wait)
    }

    /// The same with a loader that may find nothing. That it found nothing is kept as long as [`CacheOptions::negative`] says.
    ///
    /// # Errors
    ///
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// # Cancel safety
    ///
    /// As [`get_or_load`](Self::get_or_load).
    pub fn find_or_load<'a, T, F, G, E>(&'a self, key: &'a str, load: F) -> FindOrLoad<'a, T>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> G + 'static,
        G: Future<Output = Result<Option<T>, E>> + 'static,
        E: Display,
    {
        let load: Load = Box::new(move || {
            let loading = load();
            Box::pin(async move {
                match loading.await.map_err(|e| e.to_string())? {
                    Some(loaded) => value::encode(&loaded).map_err(|e| e.to_string()),
                    None => Ok(Vec::new()),
                }
            })
        });
        FindOrLoad(GetOrLoad::new(&self.space, key, load, self.wait))
    }

    async fn ask<'a>(&self, op: impl Fn() -> Op<'a>, again: Again) -> Result<Got, CacheError> {
        let link = Link::of(&self.space);
        link.ask(&self.space, op, again, self.wait).await
    }

    /// The same handle, whose operations wait for so long where they do not say so themselves.
    #[must_use]
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Deletes a value; answers the old one. A load that is under way begins anew, as it may have read what is out of date.
    ///
    /// # Errors
    ///
    /// Why it was not deleted; after [`CacheError::Deadline`] and [`CacheError::LinkLost`] it may have been. That the old value is
    /// of another type.
    ///
    /// # Cancel safety
    ///
    /// Dropped after it was begun, it may be done all the same.
    pub async fn del<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, CacheError> {
        check_key(&self.space, key)?;
        let link = Link::of(&self.space);
        let span = Span::begin(Timed::Delete);
        let del = || Op::Del { key };
        let reply = link.ask_for_reply(&self.space, del, Again::No, self.wait);
        let reply = reply.await;
        span.end();
        let reply = reply.inspect_err(|_| self.space.may_have_written(key))?;
        self.space.changed(key, reply.as_of);
        match reply.got {
            Got::Removed(value) => decode(&self.space, key, &value).map(Some),
            Got::Absent => Ok(None),
            _ => Err(CacheError::Protocol),
        }
    }

    /// The names of all namespaces of the cache that this one is part of.
    ///
    /// # Errors
    ///
    /// Why they cannot be asked for.
    pub async fn namespaces(&self) -> Result<Vec<String>, CacheError> {
        namespaces(&self.space.path, self.wait).await
    }

    /// What the cache manager says of itself.
    ///
    /// # Errors
    ///
    /// Why it cannot be asked for.
    pub async fn meta(&self) -> Result<MetaReply, CacheError> {
        meta(&self.space.path, self.wait).await
    }

    /// What is known of an entry, its value whatever its type.
    ///
    /// # Errors
    ///
    /// Why it cannot be asked for.
    pub async fn inspect(&self, key: &str) -> Result<Option<Inspected>, CacheError> {
        check_key(&self.space, key)?;
        let inspect = || Op::Inspect { key };
        let link = Link::of(&self.space);
        let reply = link.ask_for_reply(&self.space, inspect, Again::Yes, self.wait);
        let reply = reply.await?;
        self.space.changed(key, reply.as_of);
        match reply.got {
            Got::Inspected {
                value,
                persist,
                left_ms,
            } => Ok(Some(Inspected {
                value: (!value.is_empty()).then(|| Value::new(value)),
                persist,
                left: left_ms.map(Duration::from_millis),
            })),
            Got::Absent => Ok(None),
            _ => Err(CacheError::Protocol),
        }
    }

    /// The keys, in no order, page by page. One that is there from the beginning to the end comes once, unless the manager is killed
    /// meanwhile; what comes or goes meanwhile may or may not.
    pub fn keys(&self) -> impl Stream<Item = Result<String, CacheError>> + '_ {
        let pages = stream::try_unfold(Some(0), move |from| async move {
            let Some(from) = from else { return Ok(None) };
            match self.ask(|| Op::Keys { from }, Again::Yes).await? {
                Got::Keys { keys, next } => {
                    let keys = stream::iter(keys.into_iter().map(Ok));
                    Ok(Some((keys, next)))
                }
                _ => Err(CacheError::Protocol),
            }
        });
        futures_util::TryStreamExt::try_flatten(pages)
    }

    /// Watches one key.
    ///
    /// # Errors
    ///
    /// Why it cannot be watched.
    pub async fn watch(&self, key: &str) -> Result<Watch, CacheError> {
        check_key(&self.space, key)?;
        self.begin_watch(Some(key)).await
    }

    /// Watches all keys.
    ///
    /// # Errors
    ///
    /// Why they cannot be watched.
    pub async fn watch_all(&self) -> Result<Watch, CacheError> {
        self.begin_watch(None).await
    }

    async fn begin_watch(&self, key: Option<&str>) -> Result<Watch, CacheError> {
        let watch = Watch::new(Link::of(&self.space), &self.space, key);
        let number = watch.number();
        let op = || Op::Watch { key, watch: number };
        self.done(op, Again::Yes).await?;
        watch.begun();
        Ok(watch)
    }

    async fn done<'a>(&self, op: impl Fn() -> Op<'a>, again: Again) -> Result<(), CacheError> {
        match self.ask(op, again).await? {
            Got::Done => Ok(()),
            _ => Err(CacheError::Protocol),
        }
    }

    /// The figures of the namespace.
    ///
    /// # Errors
    ///
    /// Why it cannot be asked for.
    pub async fn stat(&self) -> Result<Stat, CacheError> {
        match self.ask(|| Op::Stat, Again::Yes).await? {
            Got::Stat(stat) => Ok(*stat),
            _ => Err(CacheError::Protocol),
        }
    }

    /// Removes all entries.
    ///
    /// # Errors
    ///
    /// Why it was not done; after [`CacheError::Deadline`] it may have been.
    pub async fn clear(&self) -> Result<(), CacheError> {
        let link = Link::of(&self.space);
        let reply = link.ask_for_reply(&self.space, || Op::Clear, Again::Yes, self.wait);
        let reply = reply.await?;
        self.space.with_copies(|near| near.cleared(reply.as_of));
        match reply.got {
            Got::Done => Ok(()),
            _ => Err(CacheError::Protocol),
        }
    }

    /// Keeps copies of the values that this process reads in its memory, for all handles of the namespace; [`CacheOptions::copy`]
    /// does so from the beginning. A read of what is held crosses no process.
    ///
    /// The manager tells of each change, and what has changed is read from it again. A read never brings a value older than the last
    /// change that this process has been told of, nor than what it has written, inspected or been refused by. While the manager is
    /// away, copies are served for up to [`CopyOptions::max_stale`] ([`copy_stat`](Self::copy_stat) shows it); what they
    /// hold is read again when it is back.
    ///
    /// Where there are copies already, they begin anew with these options. Each process that keeps copies is sent the key of
    /// every value that is set in the namespace: of use where values are read more often than they change.
    ///
    /// # Errors
    ///
    /// Why the manager does not tell of changes yet; copies are kept as soon as it does.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves copies that are kept as soon as a value is read.
    pub async fn make_copy(&self, options: CopyOptions) -> Result<(), CacheError> {
        let near = Arc::new(Near::new(options));
        self.space.keep(Some(Arc::clone(&near)));
        copies::follow(&Link::of(&self.space), &self.space, &near).await
    }

    /// Keeps no copies any more.
    pub fn unmake_copy(&self) {
        self.space.keep(None);
    }

    /// What the copies of this process have done; nothing where none are kept.
    pub fn copy_stat(&self) -> Option<CopyStat> {
        self.space.with_copies(|near| near.stat())
    }

    /// Drops the namespace with its entries and its options: the next one who opens it says how it is to be.
    ///
    /// # Errors
    ///
    /// Why it was not done; after [`CacheError::Deadline`] and [`CacheError::LinkLost`] it may have been.
    pub async fn destroy(self) -> Result<(), CacheError> {
        self.done(|| Op::Destroy, Again::No).await?;
        space::forget(&self.space);
        Ok(())
    }
}

async fn ask_manager(
    path: &Path,
    wait: Duration,
    op: fn() -> Op<'static>,
) -> Result<Got, CacheError> {
    let whole = space::nameless(path, wait);
    Link::of(&whole).ask(&whole, op, Again::Yes, wait).await
}

/// The names of all namespaces of the manager at a socket.
pub(crate) async fn namespaces(path: &Path, wait: Duration) -> Result<Vec<String>, CacheError> {
    match ask_manager(path, wait, || Op::Namespaces).await? {
        Got::Namespaces(names) => Ok(names),
        _ => Err(CacheError::Protocol),
    }
}

/// What the manager at a socket says of itself.
pub(crate) async fn meta(path: &Path, wait: Duration) -> Result<MetaReply, CacheError> {
    match ask_manager(path, wait, || Op::Meta).await? {
        Got::Meta(meta) => Ok(*meta),
        _ => Err(CacheError::Protocol),
    }
}

/// The shared cache of a cluster: `cluster.cache(name, options)`.
pub trait CacheExt {
    /// A namespace of the shared cache. Made when it is first used; the options of the process that uses it first hold for all.
    ///
    /// # Errors
    ///
    /// That the cluster has no cache, that the name is too long, or that this process has too many namespaces.
    fn cache(&self, name: &str, options: CacheOptions) -> Result<Cache, CacheError>;
}

impl CacheExt for Cluster {
    fn cache(&self, name: &str, options: CacheOptions) -> Result<Cache, CacheError> {
        let service = &self.options().cache;
        if !service.enable {
            return Err(CacheError::Disabled);
        }
        Cache::open(&self.cache_socket(), name, options, service.timeout)
    }
}
