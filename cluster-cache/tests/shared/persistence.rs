use std::future::IntoFuture;

use cluster_cache::{CacheOptions, Caches, Sharing, enable};
use tempfile::TempDir;

use crate::{millis, sharing};

/// Serves a cache that keeps things in a file.
fn keeping(home: &TempDir) -> Caches {
    enable(kept(home)).unwrap()
}

fn kept(home: &TempDir) -> Sharing {
    sharing(home).persist_path(home.path().join("cache.log"))
}

#[actix_rt::test]
async fn what_is_to_persist_outlives_who_served_it_and_nothing_else_does() {
    let home = tempfile::tempdir().unwrap();
    let caches = keeping(&home);
    let options = CacheOptions::default().persist(true).max_value_bytes(5000);
    let cache = caches.cache("kept", options).unwrap();
    cache.set("stays", &1_u8).await.unwrap();
    cache.set("changes", &1_u8).await.unwrap();
    cache.set("changes", &2_u8).await.unwrap();
    cache.set("goes", &3_u8).await.unwrap();
    cache.del::<u8>("goes").await.unwrap();
    cache.set("ends", &4_u8).expire(millis(50)).await.unwrap();
    cache.set("not", &5_u8).persist(false).await.unwrap();
    cache.set("no longer", &6_u8).await.unwrap();
    cache.set("no longer", &7_u8).persist(false).await.unwrap();
    cache
        .set("later", &8_u8)
        .expire(millis(600_000))
        .await
        .unwrap();
    let other = caches.cache("other", CacheOptions::default()).unwrap();
    other.set("not", &9_u8).await.unwrap();
    other.set("stays", &10_u8).persist(true).await.unwrap();
    let gone = caches
        .cache("gone", CacheOptions::default().persist(true))
        .unwrap();
    gone.set("a", &1_u8).await.unwrap();
    gone.destroy().await.unwrap();
    caches.close().await;
    tokio::time::sleep(millis(60)).await; // wait: the time of an entry passes with nobody there

    let caches = keeping(&home);
    let meta = cache.meta().await.unwrap();
    assert_eq!((meta.namespaces, meta.entries), (2, 4));
    let value = async |key: &str| cache.get::<u8>(key).await.unwrap();
    assert_eq!(value("stays").await, Some(1));
    assert_eq!(value("changes").await, Some(2));
    for key in ["goes", "ends", "not", "no longer"] {
        assert_eq!(value(key).await, None, "{key}");
    }
    assert_eq!(value("later").await, Some(8));
    let left = cache.inspect("later").await.unwrap().unwrap().left.unwrap();
    assert!(left > millis(500_000) && left < millis(600_000), "{left:?}");
    assert_eq!(other.get::<u8>("stays").await.unwrap(), Some(10));
    caches.close().await;
}

#[actix_rt::test]
async fn a_damaged_file_is_set_aside_and_the_cache_serves_on() {
    let home = tempfile::tempdir().unwrap();
    let caches = keeping(&home);
    let options = CacheOptions::default().persist(true);
    let cache = caches.cache("kept", options).unwrap();
    cache.set("a", &1_u8).await.unwrap();
    caches.close().await;
    let path = home.path().join("cache.log");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();

    let caches = keeping(&home);
    assert_eq!(cache.get::<u8>("a").await.unwrap(), None);
    cache.set("a", &2_u8).await.unwrap();
    caches.close().await;
    let caches = keeping(&home);
    assert_eq!(cache.get::<u8>("a").await.unwrap(), Some(2));
    caches.close().await;
}

#[actix_rt::test]
async fn a_file_that_is_rewritten_loses_nothing() {
    let home = tempfile::tempdir().unwrap();
    let caches = keeping(&home);
    let options = CacheOptions::default().persist(true);
    let cache = caches.cache("kept", options).unwrap();
    let value = "x".repeat(100_000);
    for n in 0..5000_u32 {
        cache.set(&format!("small {n}"), &n).await.unwrap();
    }
    // Some 40 MB of which next to nothing is true: it is written afresh on the way.
    for n in 0..400_u32 {
        cache.set("large", &value).await.unwrap();
        cache.set(&format!("small {n}"), &(n + 1)).await.unwrap();
    }
    let size = || {
        std::fs::metadata(home.path().join("cache.log"))
            .unwrap()
            .len()
    };
    while size() > 20_000_000 {
        cache.stat().await.unwrap();
    }
    caches.close().await;
    let caches = keeping(&home);
    for n in 0..5000_u32 {
        let value = cache.get::<u32>(&format!("small {n}")).await.unwrap();
        assert_eq!(value, Some(if n < 400 { n + 1 } else { n }));
    }
    assert!(cache.get::<String>("large").await.unwrap() == Some(value));
    caches.close().await;
}

#[actix_rt::test]
async fn many_who_wait_for_the_disk_are_all_answered_and_all_kept() {
    let home = tempfile::tempdir().unwrap();
    let caches = enable(kept(&home).sync(true)).unwrap();
    let options = CacheOptions::default().persist(true);
    let cache = caches.cache("kept", options).unwrap();
    let keys: Vec<_> = (0..512).map(|n| n.to_string()).collect();
    let sets = keys.iter().map(|key| cache.set(key, &1_u8).into_future());
    let all = futures_util::future::join_all(sets).await;
    assert!(all.into_iter().all(Result::unwrap));
    caches.close().await;
    let caches = enable(kept(&home).sync(true)).unwrap();
    assert_eq!(cache.meta().await.unwrap().entries, 512);
    caches.close().await;
}
