//! Loads that are under way while managers change.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::IntoFuture;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use cluster_cache::{Cache, CacheOptions};
use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::by_hand::ByHand;
use crate::master::{Master, PATIENCE};
use crate::millis;

/// Callers of each thread.
const CALLERS: usize = 50;

fn callers(cache: &Cache) -> impl Future<Output = Vec<u64>> + use<> {
    let cache = cache.clone().with_wait(PATIENCE);
    async move {
        let call = |_| cache.get_or_load("k", || async { Err::<u64, _>("a second load") });
        let calls = (0..CALLERS).map(|n| call(n).into_future());
        let got = join_all(calls).await;
        got.into_iter().map(Result::unwrap).collect()
    }
}

#[actix_rt::test]
async fn a_load_goes_on_over_two_handovers_and_is_for_all_who_wait() {
    let mut master = Master::new();
    let mut manager = master.start(false).await;
    let caches = master.caches();
    let cache = caches.cache("loads", CacheOptions::default()).unwrap();
    let (go, begun) = (Rc::new(Notify::new()), Rc::new(Notify::new()));
    let (wait, tell) = (Rc::clone(&go), Rc::clone(&begun));
    let load = move || async move {
        tell.notify_one();
        wait.notified().await;
        Ok::<_, Infallible>(5_u64)
    };
    let loading = actix_rt::spawn({
        let cache = cache.clone().with_wait(PATIENCE);
        async move { cache.get_or_load::<u64, _, _, _>("k", load).await }
    });
    begun.notified().await;
    let here = actix_rt::spawn(callers(&cache));
    let elsewhere = cache.clone();
    let there = thread::spawn(move || actix_rt::System::new().block_on(callers(&elsewhere)));
    while cache.stat().await.unwrap().waiting == 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..2 {
        manager = master.hand_over(manager).await;
        let stat = cache.stat().await.unwrap();
        assert_eq!((stat.loading, stat.loads), (1, 0), "{}", manager.log());
    }
    // Long after everybody had the time to claim what is theirs.
    tokio::time::sleep(millis(700)).await; // wait: the time for claims passes
    assert_eq!(cache.stat().await.unwrap().loading, 1);
    go.notify_one();
    assert_eq!(loading.await.unwrap().unwrap(), 5);
    assert_eq!(here.await.unwrap(), vec![5; CALLERS]);
    assert_eq!(there.join().unwrap(), vec![5; CALLERS]);
    assert_eq!(cache.get::<u64>("k").await.unwrap(), Some(5));
    let stat = cache.stat().await.unwrap();
    assert_eq!((stat.loads, stat.loading, stat.waiting), (1, 0, 0));
}

/// Of who holds a lease and does not come back the next one takes it over; nor does it keep the old manager from its end.
#[actix_rt::test]
async fn who_does_not_come_back_keeps_nobody() {
    let mut master = Master::new();
    let manager = master.start(false).await;
    let caches = master.caches();
    let cache = caches.cache("loads", CacheOptions::default()).unwrap();
    cache.stat().await.unwrap();
    let mut stuck = ByHand::connect(&master.socket(), false).await;
    let (open, acquire) = (0_u32, 5_u32);
    let options = None::<()>;
    stuck.ask(&(open, "loads", options, 0_u64)).await;
    let told = stuck.ask(&(acquire, "k", 60_000_u64)).await;
    // An answer, to question 1, as of some version, that is a lease.
    let (answer, number, _, lease): (u32, u64, u64, u32) =
        cluster_core::endpoint::read_head(&told).unwrap();
    assert_eq!((answer, number, lease), (0, 1, 6));

    let loaded = Rc::new(Cell::new(None));
    let waiting = actix_rt::spawn({
        let (cache, loaded) = (cache.clone().with_wait(PATIENCE), Rc::clone(&loaded));
        async move {
            let load = move || async move {
                loaded.set(Some(Instant::now()));
                Ok::<_, Infallible>(7_u64)
            };
            cache.get_or_load("k", load).await.unwrap()
        }
    });
    while cache.stat().await.unwrap().waiting == 0 {
        tokio::task::yield_now().await;
    }
    let begun = Instant::now();
    let successor = master.start(true).await;
    assert_eq!(timeout(PATIENCE, waiting).await.unwrap().unwrap(), 7);
    let after = loaded.get().unwrap() - begun;
    assert!(
        after >= millis(500),
        "nobody had time to claim it: {after:?}"
    );
    // It has been told that another serves, and does not care.
    assert_eq!(
        cluster_core::endpoint::read_head::<u32>(&stuck.hear().await).unwrap(),
        2
    );
    assert!(manager.ended().await.success());
    assert_eq!(cache.meta().await.unwrap().pid, successor.pid());
}

/// Two threads want the same keys, one after the other, while managers change: each is loaded once.
#[actix_rt::test]
async fn loads_that_come_and_go_beside_handovers_run_once() {
    const HANDOVERS: u64 = 5;
    let mut master = Master::new();
    let mut manager = master.start(false).await;
    let caches = master.caches();
    let cache = caches.cache("loads", CacheOptions::default()).unwrap();
    let (done, loads) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (cache, done, loads) = (cache.clone(), Arc::clone(&done), Arc::clone(&loads));
            thread::spawn(move || {
                actix_rt::System::new().block_on(async move {
                    let mut n = 0_u64;
                    while !done.load(Relaxed) {
                        let loads = Arc::clone(&loads);
                        let load = move || async move {
                            loads.fetch_add(1, Relaxed);
                            tokio::task::yield_now().await;
                            Ok::<_, Infallible>(n)
                        };
                        let got = cache.get_or_load(&n.to_string(), load).await;
                        assert_eq!(got.unwrap(), n);
                        n += 1;
                    }
                    n
                })
            })
        })
        .collect();
    for _ in 0..HANDOVERS {
        manager = master.hand_over(manager).await;
    }
    done.store(true, Relaxed);
    let keys = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .max();
    let (keys, loads) = (keys.unwrap(), loads.load(Relaxed));
    println!("{keys} keys, {loads} loads beside {HANDOVERS} handovers");
    let stat = cache.stat().await.unwrap();
    assert_eq!((stat.entries, stat.loading), (keys, 0), "{}", manager.log());
    assert!(keys <= stat.loads && stat.loads <= loads, "{stat:?}");
    // A thread that had no turn for half a second has lost its lease.
    assert!(loads - keys <= HANDOVERS, "{loads} loads of {keys} keys");
}
