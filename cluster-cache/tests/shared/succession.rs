use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use cluster_cache::{CacheError, CacheOptions, Change, enable};
use futures_util::StreamExt;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::{SOON, Shared, millis, sharing};

#[actix_rt::test]
async fn when_the_one_that_serves_ends_another_does() {
    let first = Shared::start();
    let second = enable(sharing(&first.directory)).unwrap();
    let cache = second.cache("things", CacheOptions::default()).unwrap();
    cache.set("a", &1_u8).await.unwrap();
    let mut watch = cache.watch("a").await.unwrap();
    let begun = Instant::now();
    first.caches.close().await;
    assert_eq!(
        timeout(SOON, watch.next()).await.unwrap(),
        Some(Change::Resync)
    );
    assert!(begun.elapsed() < millis(1000), "{:?}", begun.elapsed());
    // Nothing of it was to be kept.
    assert_eq!(cache.get::<u8>("a").await.unwrap(), None);
    cache.set("a", &2_u8).await.unwrap();
    assert!(matches!(
        timeout(SOON, watch.next()).await.unwrap(),
        Some(Change::Set { .. })
    ));
    second.close().await;
    assert_eq!(
        std::fs::read_dir(first.directory.path().join("cache")).map_or(0, Iterator::count),
        0
    );
}

#[actix_rt::test]
async fn a_load_goes_on_while_managers_change() {
    let first = Shared::start();
    let second = enable(sharing(&first.directory)).unwrap();
    let cache = second.cache("things", CacheOptions::default()).unwrap();
    let (go, begun, loads) = (
        Rc::new(Notify::new()),
        Rc::new(Notify::new()),
        Rc::new(Cell::new(0)),
    );
    let (wait, tell, count) = (Rc::clone(&go), Rc::clone(&begun), Rc::clone(&loads));
    let load = move || async move {
        count.set(count.get() + 1);
        tell.notify_one();
        wait.notified().await;
        Ok::<_, std::convert::Infallible>(5_u8)
    };
    let loading = actix_rt::spawn({
        let cache = cache.clone();
        async move { cache.get_or_load::<u8, _, _, _>("k", load).await }
    });
    begun.notified().await;
    let mut watch = cache.watch("k").await.unwrap();
    first.caches.close().await;
    assert_eq!(
        timeout(SOON, watch.next()).await.unwrap(),
        Some(Change::Resync)
    );
    go.notify_one();
    assert_eq!(loading.await.unwrap().unwrap(), 5);
    assert_eq!(
        cache.get::<u8>("k").await.unwrap(),
        Some(5),
        "the new manager took the lease over"
    );
    assert_eq!(loads.get(), 1);
}

#[actix_rt::test]
async fn with_nobody_to_serve_an_operation_ends_at_its_time() {
    let shared = Shared::start();
    let cache = shared.cache(CacheOptions::default());
    cache.set("a", &1_u8).await.unwrap();
    shared.caches.close().await;
    let outcome = cache.get::<u8>("a").wait(millis(50)).await.unwrap_err();
    assert!(
        matches!(outcome, CacheError::Unreachable { waited_ms: 50, .. }),
        "{outcome}"
    );
    assert!(outcome.is_retryable());
}
