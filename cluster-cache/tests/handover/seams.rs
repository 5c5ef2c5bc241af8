//! What goes on over a handover as if there were none: watches and copies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

use cluster_cache::{Cache, CacheOptions, Change, CopyOptions, Watch};
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::master::{Master, PATIENCE};

async fn next(watch: &mut Watch) -> Change {
    timeout(PATIENCE, watch.next()).await.unwrap().unwrap()
}

fn number(change: &Change) -> Option<u64> {
    match change {
        Change::Set { value, .. } => Some(value.get().unwrap()),
        Change::Resync => None,
        other => panic!("{other:?}"),
    }
}

/// On a connection of its own: it may come to the next manager before the one that watches does.
fn count_up(cache: Cache, done: Arc<AtomicBool>) -> JoinHandle<u64> {
    std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let mut n = 0;
            while !done.load(Ordering::Relaxed) {
                n += 1;
                cache.set("n", &n).await.unwrap();
            }
            n
        })
    })
}

#[actix_rt::test]
async fn watches_miss_nothing_without_being_told() {
    let mut master = Master::new();
    let mut manager = master.start(false).await;
    let caches = master.caches();
    let quiet = caches.cache("quiet", CacheOptions::default()).unwrap();
    let busy = caches.cache("busy", CacheOptions::default()).unwrap();
    let mut of_key = quiet.watch("a").await.unwrap();
    let mut of_all = quiet.watch_all().await.unwrap();
    let mut of_busy = busy.watch_all().await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let counting = count_up(busy.clone(), Arc::clone(&done));
    let watching = actix_rt::spawn(async move {
        let (mut last, mut resyncs) = (0, 0);
        loop {
            let change = next(&mut of_busy).await;
            match number(&change) {
                // The last of all is set when nobody counts any more.
                Some(u64::MAX) => return resyncs,
                Some(n) => {
                    assert_eq!(n, last + 1, "after {resyncs} resyncs");
                    last = n;
                }
                None => {
                    resyncs += 1;
                    let n = match number(&next(&mut of_busy).await) {
                        Some(u64::MAX) => return resyncs,
                        n => n.unwrap(),
                    };
                    assert!(n > last, "{n} after {last}");
                    last = n;
                }
            }
        }
    });
    for round in 1..=5_u64 {
        manager = master.hand_over(manager).await;
        quiet.set("a", &round).await.unwrap();
        for watch in [&mut of_key, &mut of_all] {
            assert_eq!(number(&next(watch).await), Some(round));
        }
    }
    done.store(true, Ordering::Relaxed);
    let last = counting.join().unwrap();
    busy.set("n", &u64::MAX).await.unwrap();
    let resyncs = watching.await.unwrap();
    println!("{last} changes over 5 handovers, told again from the beginning {resyncs} times");
    assert!(resyncs <= 5);

    // Where a manager crashes nobody knows what was missed.
    drop(manager);
    let _manager = master.start(false).await;
    for watch in [&mut of_key, &mut of_all] {
        assert_eq!(next(watch).await, Change::Resync);
    }
}

/// Who comes back after there were changes is told so; of a namespace without any nobody is told anything.
#[actix_rt::test]
async fn who_comes_back_late_has_missed_what_has_changed() {
    let mut master = Master::new();
    let manager = master.start(false).await;
    let caches = master.caches();
    let changes = caches.cache("changes", CacheOptions::default()).unwrap();
    let quiet = caches.cache("quiet", CacheOptions::default()).unwrap();
    let (watches, watched) = channel();
    let (go_on, goes_on) = channel::<()>();
    let late = std::thread::spawn({
        let (changes, quiet) = (changes.clone(), quiet.clone());
        move || {
            actix_rt::System::new().block_on(async move {
                let mut of_changes = changes.watch("a").await.unwrap();
                let mut of_quiet = quiet.watch_all().await.unwrap();
                watches.send(()).unwrap();
                // The whole thread: nobody reads what its connection is told.
                goes_on.recv().unwrap();
                let missed = next(&mut of_changes).await;
                // What is told from then on is told on the new connection.
                watches.send(()).unwrap();
                (
                    missed,
                    next(&mut of_changes).await,
                    next(&mut of_quiet).await,
                )
            })
        }
    });
    watched.recv().unwrap();
    let _successor = master.start(true).await;
    changes.set("a", &1_u64).await.unwrap();
    go_on.send(()).unwrap();
    let told = actix_rt::task::spawn_blocking(move || watched.recv());
    told.await.unwrap().unwrap();
    changes.set("a", &2_u64).await.unwrap();
    quiet.set("b", &3_u64).await.unwrap();
    let late = actix_rt::task::spawn_blocking(move || late.join().unwrap());
    let (missed, then, of_quiet) = late.await.unwrap();
    assert_eq!(missed, Change::Resync);
    assert_eq!((number(&then), number(&of_quiet)), (Some(2), Some(3)));
    assert!(manager.ended().await.success());
}

#[actix_rt::test]
async fn copies_are_kept_and_never_older_than_what_is_there() {
    let mut master = Master::new();
    let mut manager = master.start(false).await;
    let caches = master.caches();
    let cache = caches.cache("copied", CacheOptions::default()).unwrap();
    cache.make_copy(CopyOptions::default()).await.unwrap();
    cache.set("a", &1_u64).await.unwrap();
    assert_eq!(cache.get::<u64>("a").await.unwrap(), Some(1));
    for round in 2..6_u64 {
        manager = master.hand_over(manager).await;
        while cache.copy_stat().unwrap().stale {
            cache.stat().await.unwrap();
        }
        let before = cache.copy_stat().unwrap();
        assert_eq!(cache.get::<u64>("a").await.unwrap(), Some(round - 1));
        let after = cache.copy_stat().unwrap();
        assert_eq!((after.hits, after.misses), (before.hits + 1, before.misses));

        // Another process changes it: this one hears of it from the new manager.
        let mut watch = cache.watch("a").await.unwrap();
        change_elsewhere(&master, round).await;
        assert_eq!(number(&next(&mut watch).await), Some(round));
        assert_eq!(cache.get::<u64>("a").await.unwrap(), Some(round));
    }
    let served = manager.pid();
    assert_eq!(cache.meta().await.unwrap().pid, served);
}

/// Sets the value on a connection of another thread, which shares no copies with this one.
async fn change_elsewhere(master: &Master, value: u64) {
    let alias = master.home.path().join("alias.sock");
    let _ = std::fs::remove_file(&alias);
    std::os::unix::fs::symlink(master.socket(), &alias).unwrap();
    let caches = cluster_cache::Caches::connect(&alias, Duration::from_secs(3));
    let cache = caches.cache("copied", CacheOptions::default()).unwrap();
    cache.set("a", &value).await.unwrap();
}
