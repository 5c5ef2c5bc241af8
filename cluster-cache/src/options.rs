//! How a namespace is to be.

use std::time::Duration;

use crate::limits::{LOAD_TIMEOUT, MAX_VALUE_BYTES, MOST_VALUE_BYTES};
use crate::protocol::SpaceOptions;

/// How a namespace is to be. The options of the process that opens it first hold for all; where they differ in a program that was built
/// later, its options take their place.
///
/// ```
/// use cluster_cache::CacheOptions;
/// use std::time::Duration;
///
/// let options = CacheOptions::default()
///     .expire(Duration::from_secs(60))
///     .stale_while_revalidate(Duration::from_secs(5))
///     .max_bytes(64 << 20);
/// assert!(!options.persists());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct CacheOptions {
    pub(crate) space: SpaceOptions,
    pub(crate) existing: bool,
    pub(crate) wait: Option<Duration>,
    pub(crate) load_timeout: Duration,
    pub(crate) copy: Option<CopyOptions>,
}

impl Default for CacheOptions {
    fn default() -> Self {
        CacheOptions {
            space: SpaceOptions {
                max_value_bytes: MAX_VALUE_BYTES as u64,
                ..SpaceOptions::default()
            },
            existing: false,
            wait: None,
            load_timeout: LOAD_TIMEOUT,
            copy: None,
        }
    }
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl CacheOptions {
    /// Only a namespace that there is already: none is made, and whatever its options are holds.
    pub fn existing() -> Self {
        CacheOptions {
            existing: true,
            ..CacheOptions::default()
        }
    }

    pub(crate) fn to_open(&self) -> Option<Box<SpaceOptions>> {
        (!self.existing).then(|| Box::new(self.space.clone()))
    }

    /// Whether values outlive the cache manager; not, unless set.
    pub fn persist(mut self, persist: bool) -> Self {
        self.space.persist = persist;
        self
    }

    /// Whether values outlive the cache manager.
    pub fn persists(&self) -> bool {
        self.space.persist
    }

    /// How long a value is kept, in whole milliseconds; forever unless set.
    pub fn expire(mut self, after: Duration) -> Self {
        self.space.expire_ms = Some(millis(after));
        self
    }

    /// By how many hundredths the time of a value may be shortened, at random, so that what is set together does not end together;
    /// 0 unless set, 100 at most.
    pub fn jitter(mut self, percent: u8) -> Self {
        self.space.jitter_percent = percent.min(100);
        self
    }

    /// How long it is kept that a load found nothing; not at all unless set.
    pub fn negative(mut self, after: Duration) -> Self {
        self.space.negative_ms = millis(after);
        self
    }

    /// How long after its time a value is still served by [`get_or_load`](crate::Cache::get_or_load) while one process reloads it;
    /// not at all unless set.
    pub fn stale_while_revalidate(mut self, time: Duration) -> Self {
        self.space.stale_ms = millis(time);
        self
    }

    /// How many bytes the namespace may take, each entry counted with its key, its value and 96 bytes for its place; where a new
    /// one finds no room, others give way. No limit of its own unless set; all namespaces together have one.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.space.max_bytes = Some(bytes as u64);
        self
    }

    /// How many bytes a value may have, as it is encoded; 8 MiB unless set, 15 MiB at most.
    pub fn max_value_bytes(mut self, bytes: usize) -> Self {
        self.space.max_value_bytes = bytes.min(MOST_VALUE_BYTES) as u64;
        self
    }

    /// How long an operation may take, where it does not say so itself; `--cache.timeout` unless set.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// Keeps copies of values in the memory of this process, as [`Cache::make_copy`](crate::Cache::make_copy) does; none unless set.
    pub fn copy(mut self, options: CopyOptions) -> Self {
        self.copy = Some(options);
        self
    }

    /// How long a load may take; 30 s unless set, an hour at most. After it the next process that waits for the key may load.
    pub fn load_timeout(mut self, time: Duration) -> Self {
        self.load_timeout = time;
        self
    }
}

/// How copies of values are to be kept in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct CopyOptions {
    pub(crate) max_bytes: usize,
    pub(crate) max_stale: Duration,
}

impl Default for CopyOptions {
    fn default() -> Self {
        CopyOptions {
            max_bytes: 64 * 1024 * 1024,
            max_stale: Duration::from_secs(10),
        }
    }
}

impl CopyOptions {
    /// How many bytes the copies may take, each counted with its key, twice its value and 160 bytes for its place; 64 MiB unless set.
    /// What was read least gives way. A value of more than an eighth of it may not be kept.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// For how long copies are served while the manager is away; 10 s unless set. They may be out of date by then.
    pub fn max_stale(mut self, time: Duration) -> Self {
        self.max_stale = time;
        self
    }
}
