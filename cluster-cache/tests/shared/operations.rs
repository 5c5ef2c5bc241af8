use std::collections::BTreeSet;

use cluster_cache::{CacheError, CacheOptions};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};

use crate::{Shared, millis};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Thing {
    name: String,
    size: Option<f64>,
    parts: Vec<Thing>,
}

#[actix_rt::test]
async fn what_is_set_is_there_until_it_is_deleted() {
    let shared = Shared::start();
    let cache = shared.cache(CacheOptions::default());
    let thing = Thing {
        name: "boat".into(),
        size: Some(2.5),
        parts: vec![Thing {
            name: "mast".into(),
            size: None,
            parts: Vec::new(),
        }],
    };
    assert_eq!(cache.get::<Thing>("a").await.unwrap(), None);
    assert!(cache.set("a", &thing).await.unwrap());
    assert_eq!(cache.get("a").await.unwrap(), Some(thing.clone()));
    assert!(!cache.set("a", "other").leave_if_not_null().await.unwrap());
    assert_eq!(cache.del("a").await.unwrap(), Some(thing));
    assert_eq!(cache.del::<Thing>("a").await.unwrap(), None);
    assert!(cache.set("a", "other").leave_if_not_null().await.unwrap());
    let wrong = cache.get::<Thing>("a").await.unwrap_err();
    assert!(
        matches!(&wrong, CacheError::Decode { namespace, key, .. } if namespace == "things" && key == "a")
    );
}

#[actix_rt::test]
async fn an_entry_is_inspected_whatever_its_type() {
    let shared = Shared::start();
    let cache = shared.cache(CacheOptions::default());
    assert_eq!(cache.inspect("a").await.unwrap(), None);
    cache
        .set("a", &(1, "x"))
        .persist(true)
        .expire(millis(60_000))
        .await
        .unwrap();
    let seen = cache.inspect("a").await.unwrap().unwrap();
    assert!(seen.persist);
    let left = seen.left.unwrap();
    assert!(left > millis(50_000) && left <= millis(60_000), "{left:?}");
    let shown: serde_json::Value = seen.value.unwrap().get().unwrap();
    assert_eq!(shown, serde_json::json!([1, "x"]));
}

#[actix_rt::test]
async fn keys_are_listed_page_by_page() {
    let shared = Shared::start();
    let cache = shared.cache(CacheOptions::default());
    let keys: BTreeSet<String> = (0..3210).map(|n| format!("key {n}")).collect();
    for key in &keys {
        cache.set(key, &()).await.unwrap();
    }
    let listed: Vec<String> = cache.keys().try_collect().await.unwrap();
    assert_eq!(listed.len(), keys.len());
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), keys);
}

#[actix_rt::test]
async fn namespaces_are_apart_and_their_figures_too() {
    let shared = Shared::start();
    let (a, b) = (
        shared.caches.cache("a", CacheOptions::default()).unwrap(),
        shared.caches.cache("b", CacheOptions::default()).unwrap(),
    );
    a.set("k", &1).await.unwrap();
    assert_eq!(b.get::<u8>("k").await.unwrap(), None);
    assert_eq!(a.get::<u8>("k").await.unwrap(), Some(1));
    let (of_a, of_b) = (a.stat().await.unwrap(), b.stat().await.unwrap());
    assert_eq!((of_a.hits, of_a.misses, of_a.entries), (1, 0, 1));
    assert_eq!((of_b.hits, of_b.misses, of_b.entries), (0, 1, 0));
    let mut names = a.namespaces().await.unwrap();
    names.sort();
    assert_eq!(names, ["a", "b"]);
    let meta = a.meta().await.unwrap();
    assert_eq!(
        (meta.pid, meta.namespaces, meta.entries),
        (std::process::id(), 2, 1)
    );
    assert_eq!(meta.bytes, of_a.bytes);
}

#[actix_rt::test]
async fn a_namespace_is_cleared_and_destroyed() {
    let shared = Shared::start();
    let cache = shared.cache(CacheOptions::default());
    cache.set("a", &1).await.unwrap();
    cache.clear().await.unwrap();
    assert_eq!(cache.get::<u8>("a").await.unwrap(), None);
    cache.set("a", &2).await.unwrap();
    let other = cache.clone();
    cache.destroy().await.unwrap();
    assert_eq!(other.meta().await.unwrap().entries, 0);
    // A handle that is still there makes it anew.
    other.set("a", &3).await.unwrap();
    assert_eq!(other.get::<u8>("a").await.unwrap(), Some(3));
    // Whose options hold is for the next one to say.
    let next = shared.cache(CacheOptions::default().expire(millis(60_000)));
    assert_eq!(next.get::<u8>("a").await.unwrap(), Some(3));
}
