use std::time::Instant;

use cluster_cache::{CacheOptions, Change};
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::{SOON, Shared, millis};

#[actix_rt::test]
async fn an_entry_ends_at_its_time() {
    let shared = Shared::start();
    let cache = shared.cache(CacheOptions::default().expire(millis(40)));
    let mut changes = cache.watch_all().await.unwrap();
    let mut late = Vec::new();
    for n in 0..25 {
        let key = n.to_string();
        let begun = Instant::now();
        cache.set(&key, &n).await.unwrap();
        assert!(matches!(changes.next().await, Some(Change::Set { .. })));
        let change = timeout(SOON, changes.next()).await.unwrap();
        assert_eq!(change, Some(Change::Expired { key: key.clone() }));
        let took = begun.elapsed();
        assert!(took >= millis(39), "{took:?}");
        late.push(took.saturating_sub(millis(40)));
        assert_eq!(cache.get::<i32>(&key).await.unwrap(), None);
    }
    late.sort();
    // The median: what a busy machine adds now and then is none of the cache's.
    assert!(late[12] <= millis(10), "{late:?}");
    assert_eq!(cache.stat().await.unwrap().expired, 25);
}

#[actix_rt::test]
async fn what_is_set_together_does_not_end_together() {
    let shared = Shared::start();
    let cache = shared.cache(CacheOptions::default().expire(millis(100_000)).jitter(50));
    let mut left = Vec::new();
    for n in 0..200 {
        let key = n.to_string();
        cache.set(&key, &n).await.unwrap();
        left.push(cache.inspect(&key).await.unwrap().unwrap().left.unwrap());
    }
    left.sort();
    assert!(
        left[0] >= millis(49_000) && left[0] < millis(55_000),
        "{:?}",
        left[0]
    );
    assert!(
        left[199] <= millis(100_000) && left[199] > millis(95_000),
        "{:?}",
        left[199]
    );
}
