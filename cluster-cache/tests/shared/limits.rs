use cluster_cache::{CacheError, CacheOptions, Change, MOST_KEY_BYTES, MOST_NAME_BYTES};
use futures_util::StreamExt;
use futures_util::future::join_all;

use crate::Shared;

#[actix_rt::test]
async fn what_exceeds_a_bound_is_refused_before_it_is_sent() {
    let shared = Shared::start();
    let cache = shared.cache(CacheOptions::default().max_value_bytes(1000));
    for bytes in [0, MOST_KEY_BYTES + 1] {
        let key = "k".repeat(bytes);
        let refused = cache.set(&key, &1).await.unwrap_err();
        assert!(matches!(refused, CacheError::Key { bytes: b, .. } if b == bytes));
        assert!(matches!(
            cache.get::<u8>(&key).await,
            Err(CacheError::Key { .. })
        ));
    }
    let longest = "k".repeat(MOST_KEY_BYTES);
    cache.set(&longest, &1).await.unwrap();
    assert_eq!(cache.get::<u8>(&longest).await.unwrap(), Some(1));

    let refused = cache.set("k", &"v".repeat(1000)).await.unwrap_err();
    assert!(
        matches!(&refused, CacheError::Value { key, bytes: 1004, allowed: 1000, .. } if key == "k"),
        "{refused}"
    );
    assert_eq!(
        refused.to_string(),
        "the value of \"k\" in things takes 1004 bytes (allowed: up to 1000)"
    );
    for name in ["", &"n".repeat(MOST_NAME_BYTES + 1)] {
        let refused = shared.caches.cache(name, CacheOptions::default());
        assert!(matches!(refused, Err(CacheError::Name(n)) if n == name.len()));
    }
}

#[actix_rt::test]
async fn a_large_value_goes_both_ways() {
    let shared = Shared::start();
    let cache = shared.cache(CacheOptions::default());
    let value: String = "0123456789".repeat(800_000);
    cache.set("large", &value).await.unwrap();
    assert!(cache.get::<String>("large").await.unwrap() == Some(value));
}

#[actix_rt::test]
async fn a_full_namespace_lets_what_nobody_reads_give_way() {
    let shared = Shared::start();
    let cache = shared.cache(CacheOptions::default().max_bytes(100_000));
    cache.set("hot", &"x".repeat(100)).await.unwrap();
    for n in 0..2000 {
        cache.set(&n.to_string(), &"x".repeat(100)).await.unwrap();
        assert!(cache.get::<String>("hot").await.unwrap().is_some(), "{n}");
    }
    let stat = cache.stat().await.unwrap();
    assert!(stat.bytes <= 100_000 && stat.bytes > 90_000, "{stat:?}");
    assert_eq!(stat.evicted + stat.entries, 2001);
    let refused = cache
        .set("larger than all", &"x".repeat(100_000))
        .await
        .unwrap_err();
    assert!(matches!(refused, CacheError::Refused(_)), "{refused}");
    assert_eq!(cache.stat().await.unwrap().entries, stat.entries);
}

#[actix_rt::test]
async fn all_namespaces_together_are_bounded() {
    let shared = Shared::with(|sharing| sharing.max_bytes(200_000));
    let one = shared.cache(CacheOptions::default());
    let refused = one.set("larger than all", &"x".repeat(200_000)).await;
    assert!(
        matches!(refused, Err(CacheError::Refused(_))),
        "{refused:?}"
    );
    for n in 0..10 {
        let cache = shared
            .caches
            .cache(&format!("space {n}"), CacheOptions::default())
            .unwrap();
        for m in 0..200 {
            cache.set(&m.to_string(), &"x".repeat(100)).await.unwrap();
        }
        assert!(cache.get::<String>("199").await.unwrap().is_some());
        assert!(cache.meta().await.unwrap().bytes <= 200_000);
    }
}

#[actix_rt::test]
async fn large_values_are_answered_however_many_ask_at_once() {
    let shared = Shared::start();
    let cache = shared.cache(CacheOptions::default());
    let value = "x".repeat(1 << 20);
    cache.set("large", &value).await.unwrap();
    let mut watch = cache.watch("small").await.unwrap();
    let asked = (0..100).map(|_| async { cache.get::<String>("large").await });
    for got in join_all(asked).await {
        assert_eq!(got.unwrap().unwrap().len(), value.len());
    }
    // Its connection was the same all along: a watch that was begun on another would be told so.
    cache.set("small", &1).await.unwrap();
    assert!(matches!(watch.next().await, Some(Change::Set { .. })));
}
