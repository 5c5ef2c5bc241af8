//! Copies of values in a process, of a cache that another process serves, changes, and loses.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cluster_cache::{
    Cache, CacheError, CacheOptions, Caches, Change, CopyOptions, Sharing, enable,
};
use futures_util::StreamExt;
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);
const DIRECTORY: &str = "COPIES_DIRECTORY";

fn sharing(directory: &Path) -> Sharing {
    Sharing::new("copies")
        .directory(directory.join("cache"))
        .persist_path(directory.join("log"))
        .wait(PATIENCE)
}

fn options() -> CacheOptions {
    CacheOptions::default().persist(true)
}

/// The process that serves the cache, and changes it when it is told to: not a test of its own.
#[test]
fn the_other_process() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else {
        return;
    };
    actix_rt::System::new().block_on(async move {
        let caches = enable(sharing(&directory)).unwrap();
        let cache = caches.cache("things", options()).unwrap();
        cache.stat().await.unwrap();
        let (line, mut lines) = unbounded_channel();
        thread::spawn(move || {
            for text in std::io::stdin().lines().map_while(Result::ok) {
                let _ = line.send(text);
            }
        });
        println!("\nsaid ready");
        while let Some(text) = lines.recv().await {
            match *text.split(' ').collect::<Vec<_>>() {
                ["set", key, value] => {
                    let value: u64 = value.parse().unwrap();
                    cache.set(key, &value).await.unwrap();
                }
                ["clear"] => cache.clear().await.unwrap(),
                ref other => panic!("{other:?}"),
            }
            println!("\nsaid done");
        }
    });
}

struct Other {
    child: Child,
    orders: ChildStdin,
    said: UnboundedReceiver<String>,
}

impl Other {
    async fn start(directory: &TempDir) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_other_process", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, said) = unbounded_channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(said) = line.strip_prefix("said ") {
                    let _ = tell.send(said.to_owned());
                }
            }
        });
        let orders = child.stdin.take().unwrap();
        let mut other = Other {
            child,
            orders,
            said,
        };
        assert_eq!(other.says().await, "ready");
        other
    }

    async fn says(&mut self) -> String {
        timeout(PATIENCE, self.said.recv()).await.unwrap().unwrap()
    }

    async fn does(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
        assert_eq!(self.says().await, "done");
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn begin() -> (TempDir, Other, Cache) {
    let directory = tempfile::tempdir().unwrap();
    let other = Other::start(&directory).await;
    let socket = directory.path().join("cache/cache.sock");
    let cache = Caches::connect(&socket, PATIENCE).cache("things", options());
    (directory, other, cache.unwrap())
}

#[actix_rt::test]
async fn what_is_held_is_read_without_asking_until_it_changes() {
    let (_directory, mut other, cache) = begin().await;
    cache.make_copy(CopyOptions::default()).await.unwrap();
    let mut watch = cache.watch("a").await.unwrap();
    for round in 1..=100_u64 {
        other.does(&format!("set a {round}")).await;
        // Told of the change, this process reads nothing older.
        let told = timeout(PATIENCE, watch.next()).await.unwrap();
        assert!(matches!(told, Some(Change::Set { .. })));
        for _ in 0..3 {
            assert_eq!(cache.get("a").await.unwrap(), Some(round));
        }
        let loaded = cache.get_or_load("a", || async { Err::<u64, _>("it is there") });
        assert_eq!(loaded.await.unwrap(), round);
    }
    let stat = cache.copy_stat().unwrap();
    assert_eq!((stat.hits, stat.misses, stat.entries), (300, 100, 1));
    assert_eq!((stat.stale, stat.stale_hits), (false, 0));
    assert_eq!(cache.stat().await.unwrap().hits, 100);
    other.does("clear").await;
    timeout(PATIENCE, watch.next()).await.unwrap();
    assert_eq!(cache.get::<u64>("a").await.unwrap(), None);

    cache.unmake_copy();
    assert_eq!(cache.copy_stat(), None);
    other.does("set a 7").await;
    assert_eq!(cache.get("a").await.unwrap(), Some(7));
    // The next change has shown the manager that nobody is to be told: only the watch of the key is left.
    assert_eq!(cache.stat().await.unwrap().watches, 1);
}

#[actix_rt::test]
async fn what_this_process_writes_it_reads() {
    let (_directory, mut other, cache) = begin().await;
    cache.make_copy(CopyOptions::default()).await.unwrap();
    for round in 0..200_u64 {
        cache.set("a", &round).await.unwrap();
        assert_eq!(cache.get("a").await.unwrap(), Some(round));
        assert_eq!(cache.get("a").await.unwrap(), Some(round));
        if round % 3 == 0 {
            cache.del::<u64>("a").await.unwrap();
            assert_eq!(cache.get::<u64>("a").await.unwrap(), None);
            let load = move || async move { Ok::<_, CacheError>(round + 1) };
            assert_eq!(cache.get_or_load("a", load).await.unwrap(), round + 1);
            assert_eq!(cache.get("a").await.unwrap(), Some(round + 1));
        }
    }
    other.does("set a 7").await;
    let kept = cache.set("a", &8).leave_if_not_null().await.unwrap();
    assert!(!kept);
    assert_eq!(cache.get("a").await.unwrap(), Some(7));
}

#[actix_rt::test]
async fn copies_serve_for_a_while_without_the_manager_and_begin_anew_with_the_next() {
    let (directory, mut other, cache) = begin().await;
    let max_stale = Duration::from_millis(500);
    let options = CopyOptions::default().max_stale(max_stale);
    cache.make_copy(options).await.unwrap();
    other.does("set a 1").await;
    assert_eq!(cache.get("a").await.unwrap(), Some(1));
    let mut watch = cache.watch("a").await.unwrap();
    other.kill();
    let killed = Instant::now();
    let hasty = cache.clone().with_wait(Duration::from_millis(20));
    let unreachable = loop {
        match hasty.get::<u64>("a").await {
            Ok(value) => assert_eq!(value, Some(1)),
            Err(e) => break e,
        }
        tokio::task::yield_now().await;
    };
    assert!(killed.elapsed() >= max_stale, "{:?}", killed.elapsed());
    assert!(unreachable.is_retryable(), "{unreachable}");
    let stat = cache.copy_stat().unwrap();
    assert!(stat.stale && stat.stale_hits > 0, "{stat:?}");

    let mut other = Other::start(&directory).await;
    other.does("set a 2").await;
    assert_eq!(cache.get("a").await.unwrap(), Some(2));
    // The link is back, and with it the watch.
    let told = timeout(PATIENCE, watch.next()).await.unwrap();
    assert!(matches!(told, Some(Change::Resync | Change::Set { .. })));
    // An answer comes after what was asked before it: changes are followed again.
    cache.stat().await.unwrap();
    cache.get::<u64>("a").await.unwrap();
    let before = cache.copy_stat().unwrap();
    assert_eq!(cache.get("a").await.unwrap(), Some(2));
    let after = cache.copy_stat().unwrap();
    assert!(!after.stale && after.hits == before.hits + 1, "{after:?}");
}

#[actix_rt::test]
async fn a_copy_ends_with_the_time_of_the_value() {
    let (_directory, _other, cache) = begin().await;
    cache.make_copy(CopyOptions::default()).await.unwrap();
    let set = Instant::now();
    let expire = Duration::from_millis(200);
    cache.set("a", &1_u64).expire(expire).await.unwrap();
    while let Some(value) = cache.get::<u64>("a").await.unwrap() {
        assert_eq!(value, 1);
        assert!(set.elapsed() < expire + Duration::from_secs(5));
        tokio::task::yield_now().await;
    }
    assert!(set.elapsed() >= expire - Duration::from_millis(2));
    assert!(cache.copy_stat().unwrap().hits > 0);
}

#[actix_rt::test]
async fn copies_take_no_more_than_they_may_and_one_value_is_decoded_once() {
    let (_directory, _other, cache) = begin().await;
    let most = 256 * 1024;
    let options = CopyOptions::default().max_bytes(most);
    cache.make_copy(options).await.unwrap();
    for n in 0..1000 {
        let key = n.to_string();
        cache.set(&key, &"x".repeat(1000)).await.unwrap();
        cache.get::<String>(&key).await.unwrap();
    }
    let stat = cache.copy_stat().unwrap();
    assert!(stat.bytes <= most as u64, "{stat:?}");
    assert!(stat.entries > 50 && stat.entries < 200, "{stat:?}");

    cache.set("one", "word").await.unwrap();
    let one: Arc<String> = cache.get_shared("one").await.unwrap().unwrap();
    let same: Arc<String> = cache.get_shared("one").await.unwrap().unwrap();
    assert!(Arc::ptr_eq(&one, &same));
    let wrong = cache.get_shared::<u64>("one").await;
    assert!(matches!(wrong, Err(CacheError::Decode { .. })));
}
