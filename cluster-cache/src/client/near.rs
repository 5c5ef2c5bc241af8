//! The copies of a namespace that a process keeps: what they hold, which of it is out of date, and what they say while the manager
//! is away. Versions come from the manager, and rise; a lock guards what two threads may learn at once, and reads take none of it.

use std::any::Any;
use std::hash::BuildHasher;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hashbrown::DefaultHashBuilder;
use parking_lot::Mutex;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use crate::options::{CopyOptions, millis};

/// What an entry costs beside its key and value: its places, its counts, the allocator's own.
const OVERHEAD: usize = 160;
/// Keys are told apart by so many values of their hash when it is asked which change of one was heard last. That two share one
/// costs a second question now and then, and no more.
const SLOTS: usize = 4096;
/// The locks of what is held: few threads read at once.
const SHARDS: usize = 4;

/// The connection that hears of changes stands.
const LIVE: u64 = 0;
/// There has been none yet.
const NEVER: u64 = u64::MAX;

/// A copy of a value.
pub(super) struct Held {
    bytes: Box<[u8]>,
    /// It was the value after this change.
    as_of: u64,
    /// When its time is over, by the wall clock.
    until: Option<u64>,
    /// The value, as a reader wanted to have it.
    pub(super) shared: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Held {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| until <= wall_clock())
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<Box<str>, Arc<Held>> for Weight {
    fn weight(&self, key: &Box<str>, held: &Arc<Held>) -> u64 {
        // Once as bytes, and once as what a reader may have had made of them.
        (key.len() + 2 * held.bytes.len() + OVERHEAD) as u64
    }
}

type Store = Cache<Box<str>, Arc<Held>, Weight, DefaultHashBuilder>;

/// The changes that were heard of.
struct Heard {
    /// The last change of a key with this hash.
    slots: Box<[u64]>,
    /// Every key counts as changed by then.
    floor: u64,
}

/// What the copies of one namespace have done in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyStat {
    /// Reads that a copy answered.
    pub hits: u64,
    /// Those of them that were answered while the manager was away, so that a change may have been missed.
    pub stale_hits: u64,
    /// Reads that had to ask the manager.
    pub misses: u64,
    /// Changes that were heard of.
    pub changes: u64,
    /// Copies now.
    pub entries: u64,
    /// What they take, in bytes.
    pub bytes: u64,
    /// The manager is away: copies are served for as long as [`CopyOptions::max_stale`] allows.
    pub stale: bool,
}

/// The copies of one namespace in one process.
pub(super) struct Near {
    held: Store,
    heard: Mutex<Heard>,
    hasher: DefaultHashBuilder,
    max_stale: Duration,
    /// [`LIVE`], [`NEVER`], or since when the manager has been away, in milliseconds of this process.
    since: AtomicU64,
    /// A connection sees to it that changes are heard of.
    pub(super) followed: AtomicBool,
    hits: AtomicU64,
    stale_hits: AtomicU64,
    misses: AtomicU64,
    changes: AtomicU64,
}

/// What became of an answer of the manager's.
pub(super) enum Offered {
    /// This is the value, and it is kept.
    Held(Arc<Held>),
    /// It is the value, and it is not kept.
    Passed(Vec<u8>),
    /// The key has changed since: it has to be asked for again.
    Outdated,
}

impl Near {
    pub(super) fn new(options: CopyOptions) -> Self {
        let bytes = options.max_bytes.max(OVERHEAD);
        let sized = OptionsBuilder::new()
            .shards(SHARDS)
            .weight_capacity(bytes as u64)
            .estimated_items_capacity((bytes / 512).clamp(16, 65_536))
            .build();
        let Ok(sized) = sized else {
            unreachable!("all is said that has to be");
        };
        let (hasher, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        let held = Cache::with_options(sized, Weight, hasher, lifecycle);
        Near {
            held,
            heard: Mutex::new(Heard {
                slots: vec![0; SLOTS].into(),
                floor: 0,
            }),
            hasher: DefaultHashBuilder::default(),
            max_stale: options.max_stale,
            since: AtomicU64::new(NEVER),
            followed: AtomicBool::new(false),
            hits: AtomicU64::new(0),
            stale_hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            changes: AtomicU64::new(0),
        }
    }

    /// The copy of a value, where there is one that may be served.
    pub(super) fn read(&self, key: &str) -> Option<Arc<Held>> {
        let since = self.since.load(Acquire);
        let found = match since {
            NEVER => None,
            LIVE => self.held.get(key),
            since if uptime().saturating_sub(since) > millis(self.max_stale) => None,
            _ => self.held.get(key),
        };
        let found = found.filter(|held| !held.is_over());
        match found {
            Some(_) if since == LIVE => self.hits.fetch_add(1, Relaxed),
            Some(_) => {
                self.stale_hits.fetch_add(1, Relaxed);
                self.hits.fetch_add(1, Relaxed)
            }
            None => self.misses.fetch_add(1, Relaxed),
        };
        found
    }

    /// Takes a value that the manager has answered with.
    pub(super) fn offer(
        &self,
        key: &str,
        bytes: Vec<u8>,
        as_of: u64,
        left_ms: Option<u64>,
    ) -> Offered {
        let heard = self.heard.lock();
        if !self.is_live() {
            return Offered::Passed(bytes);
        }
        if as_of < heard.of(self.slot(key)) {
            return Offered::Outdated;
        }
        if let Some(held) = self.held.peek(key)
            && held.as_of >= as_of
            && !held.is_over()
        {
            return Offered::Held(held);
        }
        let held = Arc::new(Held {
            bytes: bytes.into(),
            as_of,
            until: left_ms.map(|left| wall_clock().saturating_add(left)),
            shared: OnceLock::new(),
        });
        self.held.insert(key.into(), Arc::clone(&held));
        drop(heard);
        Offered::Held(held)
    }

    /// Whether it is known that a key has changed since then.
    pub(super) fn is_outdated(&self, key: &str, as_of: u64) -> bool {
        let heard = self.heard.lock();
        self.is_live() && as_of < heard.of(self.slot(key))
    }

    /// A key has changed.
    pub(super) fn changed(&self, key: &str, version: u64) {
        let slot = self.slot(key);
        let mut heard = self.heard.lock();
        heard.slots[slot] = heard.slots[slot].max(version);
        self.held.remove_if(key, |held| held.as_of < version);
        self.changes.fetch_add(1, Relaxed);
    }

    /// Whether a change was made is not known: the copy is not to be trusted.
    pub(super) fn forget(&self, key: &str) {
        let _heard = self.heard.lock();
        self.held.remove(key);
    }

    /// All keys have changed.
    pub(super) fn cleared(&self, version: u64) {
        let mut heard = self.heard.lock();
        heard.floor = heard.floor.max(version);
        self.held.clear();
        self.changes.fetch_add(1, Relaxed);
    }

    /// From this change on, all are heard of. What was held may have changed before.
    pub(super) fn begin(&self, as_of: u64) {
        let mut heard = self.heard.lock();
        // Of another manager its numbers may be, where the clock was set back: those heard before say nothing then.
        if as_of < heard.floor {
            heard.slots.fill(0);
        }
        heard.floor = as_of;
        self.held.clear();
        self.since.store(LIVE, Release);
    }

    /// Changes are heard of again, and none was missed.
    pub(super) fn resume(&self) {
        let _heard = self.heard.lock();
        self.since.store(LIVE, Release);
    }

    /// Changes are no longer heard of.
    pub(super) fn away(&self) {
        let _heard = self.heard.lock();
        if self.is_live() {
            self.since.store(uptime(), Release);
        }
    }

    /// Nobody sees to it any more that changes are heard of.
    pub(super) fn orphan(&self) {
        self.away();
        self.followed.store(false, Relaxed);
    }

    fn is_live(&self) -> bool {
        self.since.load(Acquire) == LIVE
    }

    fn slot(&self, key: &str) -> usize {
        self.hasher.hash_one(key) as usize % SLOTS
    }

    pub(super) fn stat(&self) -> CopyStat {
        CopyStat {
            hits: self.hits.load(Relaxed),
            stale_hits: self.stale_hits.load(Relaxed),
            misses: self.misses.load(Relaxed),
            changes: self.changes.load(Relaxed),
            entries: self.held.len() as u64,
            bytes: self.held.weight(),
            stale: !self.is_live(),
        }
    }
}

impl Heard {
    fn of(&self, slot: usize) -> u64 {
        self.slots[slot].max(self.floor)
    }
}

/// The time that is no clock's, in milliseconds; never 0.
fn uptime() -> u64 {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    millis(BEGAN.elapsed()) + 1
}

/// The wall clock, in milliseconds.
fn wall_clock() -> u64 {
    millis(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default(),
    )
}

impl std::fmt::Debug for Near {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Near")
            .field("stat", &self.stat())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
