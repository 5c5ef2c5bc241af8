//! The owner of a store, and how clients find it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cluster_web::cache::{Caches, Sharing, enable};
use cluster_web::{ClusterSessionStore, Error, Result, SessionStore};
use tokio::signal::unix::{SignalKind, signal};

/// What all sessions may take together: more than a million of them do.
const ROOM: usize = 2 << 30;
/// As long as Redis has.
const PATIENCE: Duration = Duration::from_secs(3);

/// Owns a store in a directory until somebody asks it to stop.
pub(crate) async fn serve(store: &str, directory: &str) -> Result<()> {
    let directory = Path::new(directory);
    let store = match store {
        "memory" => SessionStore::memory(),
        "embedded" => SessionStore::embedded(),
        "sqlite" => SessionStore::sqlite(directory.join("sessions.db")),
        "files" => SessionStore::files(directory.join("sessions")),
        other => return Err(Error::msg(format!("no such store: {other}"))),
    };
    let sharing = Sharing::new("bench")
        .directory(directory.join("run"))
        .persist_path(directory.join("cache.log"))
        .max_bytes(ROOM)
        .session_store("web", store);
    let caches = enable(sharing)?;
    signal(SignalKind::terminate())?.recv().await;
    caches.close().await;
    Ok(())
}

/// Where the owner in a directory is reached.
pub(crate) fn socket(directory: &Path) -> PathBuf {
    directory.join("run/cache.sock")
}

/// The store of the owner in a directory.
pub(crate) async fn connect(directory: &str) -> Result<ClusterSessionStore> {
    let caches = Caches::connect(socket(Path::new(directory)), PATIENCE);
    caches.meta().await?;
    Ok(ClusterSessionStore::new(caches.sessions("web")))
}
