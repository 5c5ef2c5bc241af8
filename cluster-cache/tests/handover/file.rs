//! The file of what persists goes from one manager to the next, and only one writes to it.

use cluster_cache::CacheOptions;

use crate::master::Master;

/// Some 60 MB of which next to nothing is true are written while three managers follow each other: it is written afresh on the way,
/// and what one begins of that another may have to end.
#[actix_rt::test]
async fn one_writes_where_the_other_has_let_go() {
    for sync in [false, true] {
        let mut master = Master::with(|options| options.cache.sync = sync);
        let mut manager = master.start(false).await;
        let caches = master.caches();
        let cache = caches
            .cache("kept", CacheOptions::default().persist(true))
            .unwrap();
        let large = "x".repeat(100_000);
        let mut small = 0..;
        let mut write = async |times: usize| {
            for n in small.by_ref().take(times) {
                cache.set("large", &large).await.unwrap();
                cache.set(&format!("small {}", n % 100), &n).await.unwrap();
            }
        };
        for _ in 0..6 {
            write(100).await;
            manager = master.hand_over(manager).await;
        }
        write(10).await;
        let path = master.home.path().join("cache.log");
        let length = std::fs::metadata(&path).unwrap().len();
        assert!(length < 40 << 20, "{length}");
        drop(manager);
        let manager = master.start(false).await;
        for n in 510..610 {
            let kept = cache
                .get::<i32>(&format!("small {}", n % 100))
                .await
                .unwrap();
            assert_eq!(kept, Some(n), "{}", manager.log());
        }
        assert!(cache.get::<String>("large").await.unwrap().unwrap() == large);
        assert_eq!(cache.stat().await.unwrap().entries, 101);
        assert!(!path.with_extension("log.new").exists());
    }
}
