//! How long operations take, as the process that asks counts it. One test: the counts are those of its process.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use cluster_cache::{CacheOptions, CopyOptions, Sharing, durations, enable};
use cluster_core::{Durations, TIMED_ONE_IN};

const WAIT: Duration = Duration::from_secs(10);

fn counted(operation: &str) -> u64 {
    durations().get(operation).map_or(0, |of| of.count)
}

#[actix_rt::test]
async fn operations_are_timed_and_what_copies_answer_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let sharing = Sharing::new("timed").directory(directory.path().join("cache"));
    let caches = enable(sharing.wait(WAIT)).unwrap();
    let cache = caches.cache("things", CacheOptions::default()).unwrap();
    assert_eq!(durations().len(), 0, "nothing has been done");

    for n in 0..1600_u64 {
        cache.set("a", &n).await.unwrap();
        assert_eq!(cache.get("a").await.unwrap(), Some(n));
    }
    for operation in ["get", "set"] {
        let off = counted(operation).abs_diff(1600 / TIMED_ONE_IN);
        assert!(off <= 2, "{operation}: {}", counted(operation));
    }
    for _ in 0..5 {
        cache.del::<u64>("a").await.unwrap();
    }
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(30)).await; // wait: a loader that takes its time
        Ok::<_, String>(7_u64)
    };
    for key in ["x", "y", "z"] {
        assert_eq!(cache.get_or_load(key, slow).await.unwrap(), 7);
    }
    // A load that is not waited for to its end has taken as long as it was.
    let late = cache
        .get_or_load("late", slow)
        .wait(Duration::from_millis(5));
    assert!(late.await.is_err());
    assert_eq!((counted("delete"), counted("load")), (5, 4));
    let loads = &durations()["load"];
    assert!(loads.total_ns >= 95_000_000, "3 of 30 ms and one of 5");
    let within: Vec<_> = loads.buckets().collect();
    assert_eq!((within[8], within[19]), ((0.0025, 0), (10.0, 4)));
    assert!(within.is_sorted_by_key(|(_, count)| *count));

    cache.make_copy(CopyOptions::default()).await.unwrap();
    assert_eq!(cache.get("x").await.unwrap(), Some(7_u64));
    let before: Durations = durations()["get"].clone();
    for _ in 0..10_000 {
        assert_eq!(cache.get("x").await.unwrap(), Some(7_u64));
        assert_eq!(cache.get_or_load("x", slow).await.unwrap(), 7);
    }
    assert_eq!(durations()["get"], before);
    assert_eq!(cache.copy_stat().unwrap().hits, 20_000);
}
