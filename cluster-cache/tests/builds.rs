//! Two builds of an application open one namespace with other options: those of the newer build hold.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs::{File, copy};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use cluster_cache::{Cache, CacheOptions, Sharing, enable};

const DIRECTORY: &str = "BUILDS_DIRECTORY";
const HOUR: Duration = Duration::from_secs(3600);

fn open(directory: &Path, expire: Duration) -> (cluster_cache::Caches, Cache) {
    let caches = enable(Sharing::new("builds").directory(directory)).unwrap();
    let options = CacheOptions::default().expire(expire);
    let cache = caches.cache("things", options).unwrap();
    (caches, cache)
}

/// The other build: not a test of its own.
#[test]
fn another_build() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else {
        return;
    };
    actix_rt::System::new().block_on(async move {
        let (_caches, cache) = open(&directory, HOUR);
        cache.stat().await.unwrap();
    });
}

/// How long the values are kept that this process sets, after a build of then has opened the namespace to keep them for an hour.
async fn left_after_a_build_of(built: SystemTime, directory: &Path, cache: &Cache) -> Duration {
    let program = directory.join("program");
    copy(std::env::current_exe().unwrap(), &program).unwrap();
    let file = File::options().write(true).open(&program).unwrap();
    file.set_modified(built).unwrap();
    drop(file);
    let mut opening = Command::new(&program);
    opening.args(["--exact", "another_build"]);
    opening.env(DIRECTORY, directory.join("cache"));
    // This thread serves the cache.
    let opened = actix_rt::task::spawn_blocking(move || opening.status());
    assert!(opened.await.unwrap().unwrap().success());
    cache.set("a", &1).await.unwrap();
    cache.inspect("a").await.unwrap().unwrap().left.unwrap()
}

#[actix_rt::test]
async fn the_options_of_the_newer_build_hold() {
    let home = tempfile::tempdir().unwrap();
    let (caches, cache) = open(&home.path().join("cache"), 2 * HOUR);
    cache.stat().await.unwrap();
    let older = SystemTime::now() - 1000 * HOUR;
    let left = left_after_a_build_of(older, home.path(), &cache).await;
    assert!(left > HOUR, "{left:?}");
    let newer = SystemTime::now() + HOUR;
    let left = left_after_a_build_of(newer, home.path(), &cache).await;
    assert!(left <= HOUR, "{left:?}");
    caches.close().await;
}
