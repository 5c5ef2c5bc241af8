//! The namespaces that this process uses: one for each socket and name, whoever asks for it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, UNIX_EPOCH};

use parking_lot::{Mutex, RwLock};
use tracing::warn;

use super::near::Near;
use crate::error::CacheError;
use crate::limits::MOST_NAME_BYTES;
use crate::options::CacheOptions;
use crate::protocol::Op;

/// Namespaces that one process may use at once.
const MOST: usize = 4096;

/// A namespace as this process uses it.
#[derive(Debug)]
pub(crate) struct Space {
    /// This process's number for it on every connection.
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) path: Arc<Path>,
    pub(super) options: CacheOptions,
    /// How long an operation may take where it does not say so itself.
    pub(super) wait: Duration,
    /// The copies that this process keeps.
    near: RwLock<Option<Arc<Near>>>,
    /// Whether it keeps any: where it does not, nobody takes the lock.
    copied: AtomicBool,
}

impl Space {
    /// What the copies of this process say, where there are any.
    #[inline]
    pub(super) fn with_copies<T>(&self, ask: impl FnOnce(&Arc<Near>) -> T) -> Option<T> {
        // What is in the copies was asked for after they were made: who comes too early to see them has nothing to tell them.
        if !self.copied.load(Acquire) {
            return None;
        }
        self.near.read().as_ref().map(ask)
    }

    /// Keeps these copies from now on, or none.
    pub(super) fn keep(&self, near: Option<Arc<Near>>) {
        let mut kept = self.near.write();
        self.copied.store(near.is_some(), Release);
        *kept = near;
    }

    /// A key has changed by then, or may have, as this process knows: copies from before are not served any more.
    pub(super) fn changed(&self, key: &str, version: u64) {
        self.with_copies(|near| near.changed(key, version));
    }

    /// What ties this process's number for it to the namespace.
    pub(super) fn to_open(&self) -> Op<'_> {
        Op::Open {
            name: &self.name,
            options: self.options.to_open(),
            built_ms: built_ms(),
        }
    }

    /// Nobody knows whether a write of this process was done.
    pub(super) fn may_have_written(&self, key: &str) {
        self.with_copies(|near| near.forget(key));
    }
}

/// When this program was built, in milliseconds since the Unix epoch.
fn built_ms() -> u64 {
    static BUILT: LazyLock<u64> = LazyLock::new(|| {
        let built = cluster_core::build_time().duration_since(UNIX_EPOCH);
        crate::options::millis(built.unwrap_or_default())
    });
    *BUILT
}

/// The number of no namespace: for what is asked of the manager as a whole.
pub(super) const NAMELESS: u32 = 0;

/// The manager at a socket as a whole.
pub(crate) fn nameless(path: &Path, wait: Duration) -> Space {
    Space {
        number: NAMELESS,
        name: String::new(),
        path: path.into(),
        options: CacheOptions::default(),
        wait,
        near: RwLock::default(),
        copied: AtomicBool::new(false),
    }
}

type Known = HashMap<PathBuf, HashMap<String, Arc<Space>>>;

static KNOWN: LazyLock<Mutex<(Known, u32)>> = LazyLock::new(Mutex::default);

/// The namespace of a name at a socket; the options of the first call hold.
pub(super) fn open(
    path: &Path,
    name: &str,
    options: CacheOptions,
    wait: Duration,
) -> Result<Arc<Space>, CacheError> {
    if name.is_empty() || name.len() > MOST_NAME_BYTES {
        return Err(CacheError::Name(name.len()));
    }
    let mut known = KNOWN.lock();
    // Who takes it as it is says nothing of how it is to be: the first one who does is heard.
    let held = known.0.get(path).and_then(|names| names.get(name));
    if let Some(space) = held.filter(|space| options.existing || !space.options.existing) {
        if space.options != options && !options.existing {
            warn!(
                namespace = name,
                "a namespace of the cache is opened with other options than before: the first ones hold"
            );
        }
        return Ok(Arc::clone(space));
    }
    if known.0.values().map(HashMap::len).sum::<usize>() >= MOST {
        return Err(CacheError::Namespaces {
            name: name.to_owned(),
            most: MOST,
        });
    }
    known.1 += 1;
    let number = known.1;
    let names = known.0.entry(path.to_owned()).or_default();
    let path = names
        .values()
        .next()
        .map_or_else(|| path.into(), |other| Arc::clone(&other.path));
    let space = Arc::new(Space {
        number,
        name: name.to_owned(),
        path,
        wait: options.wait.unwrap_or(wait),
        copied: AtomicBool::new(options.copy.is_some()),
        near: RwLock::new(options.copy.map(|copy| Arc::new(Near::new(copy)))),
        options,
    });
    names.insert(name.to_owned(), Arc::clone(&space));
    Ok(space)
}

/// Forgets a namespace, so that the next one who opens it says how it is to be.
pub(super) fn forget(space: &Space) {
    let mut known = KNOWN.lock();
    if let Some(names) = known.0.get_mut(&*space.path)
        && names
            .get(&space.name)
            .is_some_and(|s| s.number == space.number)
    {
        names.remove(&space.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_a_namespace_as_it_is_does_not_say_how_it_is_to_be() {
        let wait = Duration::from_secs(1);
        let open =
            |options| open(Path::new("/nowhere/cache.sock"), "taken", options, wait).unwrap();
        let looked_at = open(CacheOptions::existing());
        let used = open(CacheOptions::default().persist(true));
        assert!(used.options.persists() && used.number != looked_at.number);
        let again = open(CacheOptions::existing());
        assert_eq!(again.number, used.number);
        let other = open(CacheOptions::default());
        assert_eq!(other.number, used.number, "the first options hold");
    }
}
