use cluster_cache::{CacheOptions, Change};
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::{SOON, Shared};

async fn next(watch: &mut cluster_cache::Watch) -> Option<Change> {
    timeout(SOON, watch.next()).await.unwrap()
}

#[actix_rt::test]
async fn changes_are_told_in_their_order_to_who_watches() {
    let shared = Shared::start();
    let cache = shared.cache(CacheOptions::default());
    let (mut one, mut all) = (
        cache.watch("a").await.unwrap(),
        cache.watch_all().await.unwrap(),
    );
    cache.set("a", &1).await.unwrap();
    cache.set("b", &2).await.unwrap();
    cache.del::<u8>("a").await.unwrap();
    cache.clear().await.unwrap();
    let keys = |change: &Option<Change>| change.as_ref().and_then(|c| c.key().map(str::to_owned));
    let set = next(&mut all).await;
    assert!(matches!(&set, Some(Change::Set { value, .. }) if value.get::<u8>().unwrap() == 1));
    assert_eq!(keys(&set).as_deref(), Some("a"));
    assert_eq!(keys(&next(&mut all).await).as_deref(), Some("b"));
    assert_eq!(
        next(&mut all).await,
        Some(Change::Deleted { key: "a".into() })
    );
    assert_eq!(next(&mut all).await, Some(Change::Cleared));
    assert!(matches!(next(&mut one).await, Some(Change::Set { .. })));
    assert_eq!(
        next(&mut one).await,
        Some(Change::Deleted { key: "a".into() })
    );
    assert_eq!(next(&mut one).await, Some(Change::Cleared));
    assert_eq!(cache.stat().await.unwrap().watches, 2);
    drop(one);
    assert_eq!(cache.stat().await.unwrap().watches, 1);
    cache.destroy().await.unwrap();
    assert_eq!(next(&mut all).await, Some(Change::Destroyed));
    assert_eq!(next(&mut all).await, None);
}

#[actix_rt::test]
async fn who_falls_behind_is_told_to_read_afresh() {
    let shared = Shared::start();
    let cache = shared.cache(CacheOptions::default());
    let mut watch = cache.watch("a").await.unwrap();
    for n in 0..1030 {
        cache.set("a", &n).await.unwrap();
    }
    // An answer comes after all that was told before it.
    cache.stat().await.unwrap();
    assert_eq!(next(&mut watch).await, Some(Change::Resync));
    for n in 1024..1030 {
        let Some(Change::Set { value, .. }) = next(&mut watch).await else {
            panic!("{n} is missing");
        };
        assert_eq!(value.get::<i32>().unwrap(), n);
    }
}
