//! The cache as applications use it: shared by name, without a cluster around it.
#![allow(clippy::unwrap_used, missing_docs)]

mod expiry;
mod limits;
mod loads;
mod operations;
mod persistence;
mod succession;
mod watches;

use std::time::Duration;

use cluster_cache::{Cache, CacheOptions, Caches, Sharing, enable};
use tempfile::TempDir;

pub const SOON: Duration = Duration::from_secs(10);

/// A cache of its own for one test.
pub struct Shared {
    pub caches: Caches,
    pub directory: TempDir,
}

pub fn sharing(directory: &TempDir) -> Sharing {
    Sharing::new("test")
        .directory(directory.path().join("cache"))
        .wait(SOON)
}

impl Shared {
    pub fn start() -> Self {
        Self::with(|sharing| sharing)
    }

    pub fn with(set: impl FnOnce(Sharing) -> Sharing) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let caches = enable(set(sharing(&directory))).unwrap();
        Shared { caches, directory }
    }

    pub fn cache(&self, options: CacheOptions) -> Cache {
        self.caches.cache("things", options).unwrap()
    }
}

pub fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}
