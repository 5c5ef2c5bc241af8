//! Session stores as applications use them: one acceptance suite for all of them, wherever they are.
#![allow(clippy::unwrap_used, missing_docs)]

mod acceptance;
mod again;
mod bounds;
mod custom;
mod disk;
mod hostile;
#[allow(dead_code)]
#[path = "../hostile/raw.rs"]
mod raw;
mod succession;

use std::path::Path;
use std::time::Duration;

use cluster_cache::{Caches, SessionStore, Sessions, Sharing, enable};
use tempfile::TempDir;

pub const SOON: Duration = Duration::from_secs(10);

pub fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The stores that keep what they have on disk.
pub fn on_disk(home: &Path) -> Vec<(&'static str, SessionStore)> {
    vec![
        #[cfg(feature = "sqlite")]
        ("sqlite", SessionStore::sqlite(home.join("sessions.db"))),
        ("files", SessionStore::files(home.join("files"))),
    ]
}

/// A store that is shared.
pub struct Shared {
    pub caches: Caches,
    pub home: TempDir,
}

pub fn sharing(home: &Path, store: SessionStore) -> Sharing {
    Sharing::new("test")
        .directory(home.join("cache"))
        .persist_path(home.join("cache.log"))
        .session_store("web", store)
        .wait(SOON)
}

impl Shared {
    pub fn start(store: impl FnOnce(&Path) -> SessionStore) -> Self {
        let home = tempfile::tempdir().unwrap();
        let caches = enable(sharing(home.path(), store(home.path()))).unwrap();
        Shared { caches, home }
    }

    pub fn sessions(&self) -> Sessions {
        self.caches.sessions("web")
    }
}
