//! Many sessions in an embedded store, whose owner is killed.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use actix_session::storage::SessionStore;
use actix_web::cookie::time;
use actix_web::rt;
use cluster_web::cache::Caches;
use cluster_web::{ClusterSessionStore, Error, Result};
use futures_util::future::try_join_all;
use serde::Serialize;

use crate::client::state;
use crate::owner::socket;

/// Users at once while it is filled.
const FLIGHT: u64 = 256;
/// How long an owner may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Ran {
    /// From the start of the next owner's process to its answer, in milliseconds.
    restart_ms: f64,
}

/// An owner's process, which does not outlive the measurement.
struct Owner(Child);

impl Owner {
    fn start(directory: &str) -> Result<Self> {
        let owner = Command::new(std::env::current_exe()?)
            .args(["owner", "embedded", directory])
            .env("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
            .stdin(Stdio::null())
            .spawn()?;
        Ok(Owner(owner))
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) async fn run(directory: &str, sessions: u64) -> Result<Ran> {
    let caches = Caches::connect(socket(Path::new(directory)), PATIENCE);
    let store = ClusterSessionStore::new(caches.sessions("web"));
    let first = Owner::start(directory)?;
    let users = (0..FLIGHT).map(|user| {
        let store = store.clone();
        rt::spawn(async move {
            let mut last = None;
            for n in (user..sessions).step_by(FLIGHT as usize) {
                let saved = store.save(state(n), &time::Duration::DAY).await;
                last = Some(saved.map_err(|e| e.to_string())?);
            }
            Ok::<_, String>(last)
        })
    });
    let mut saved = Vec::new();
    for last in try_join_all(users).await? {
        saved.extend(last.map_err(Error::msg)?);
    }
    drop(first);
    let begun = Instant::now();
    let _second = Owner::start(directory)?;
    let length = store.length().await?;
    let restart_ms = begun.elapsed().as_secs_f64() * 1e3;
    if length != sessions {
        return Err(Error::msg(format!(
            "{length} of {sessions} sessions are there"
        )));
    }
    for key in &saved {
        let found = store.load(key).await?;
        found.ok_or_else(|| Error::msg("a session is not there any more"))?;
    }
    Ok(Ran { restart_ms })
}
