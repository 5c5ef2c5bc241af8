use std::cell::Cell;
use std::future::IntoFuture;
use std::rc::Rc;
use std::time::Instant;

use cluster_cache::{CacheError, CacheOptions};
use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::{SOON, Shared, millis};

type Never = std::convert::Infallible;

#[actix_rt::test]
async fn a_thousand_callers_share_one_load() {
    let shared = Shared::start();
    let cache = shared.cache(CacheOptions::default());
    for round in 0..20 {
        let key = format!("round {round}");
        let loads = Rc::new(Cell::new(0));
        let callers = (0..1000).map(|_| {
            let loads = Rc::clone(&loads);
            cache
                .get_or_load(&key, move || async move {
                    loads.set(loads.get() + 1);
                    tokio::task::yield_now().await;
                    Ok::<_, Never>(round)
                })
                .into_future()
        });
        for value in join_all(callers).await {
            assert_eq!(value.unwrap(), round);
        }
        assert_eq!(loads.get(), 1);
    }
    assert_eq!(cache.stat().await.unwrap().loads, 20);
}

#[actix_rt::test]
async fn a_load_that_fails_or_panics_fails_who_waits_and_the_next_one_loads() {
    let shared = Shared::start();
    let cache = shared.cache(CacheOptions::default());
    let callers = (0..10).map(|_| {
        cache
            .get_or_load::<u8, _, _, _>("k", || async { Err("the backend is on fire") })
            .into_future()
    });
    for outcome in join_all(callers).await {
        assert_eq!(
            outcome.unwrap_err().to_string(),
            "\"k\" of things could not be loaded: the backend is on fire"
        );
    }
    let panics = cache.get_or_load::<u8, _, _, _>("k", || async {
        if true {
            panic!("of the loader");
        }
        Ok::<_, Never>(1)
    });
    let outcome = panics.await.unwrap_err();
    assert!(
        matches!(&outcome, CacheError::Load { cause, .. } if cause == "the loader panicked: of the loader"),
        "{outcome}"
    );
    let loaded = cache
        .get_or_load("k", || async { Ok::<_, Never>(7_u8) })
        .await;
    assert_eq!(loaded.unwrap(), 7);
    assert_eq!(cache.stat().await.unwrap().errors, 2);
}

#[actix_rt::test]
async fn a_caller_that_gives_up_leaves_the_load_to_others() {
    let shared = Shared::start();
    let cache = shared.cache(CacheOptions::default());
    let go = Rc::new(Notify::new());
    let wait = Rc::clone(&go);
    let load = move || async move {
        wait.notified().await;
        Ok::<_, Never>(5_u8)
    };
    let late = cache
        .get_or_load::<u8, _, _, _>("k", load)
        .wait(millis(20))
        .await;
    assert!(matches!(late, Err(CacheError::Deadline { waited_ms: 20 })));
    go.notify_one();
    let other = cache.get_or_load("k", || async { Err::<u8, _>("not to be run") });
    assert_eq!(other.await.unwrap(), 5);
}

#[actix_rt::test]
async fn a_load_that_outlives_its_time_keeps_nobody() {
    let shared = Shared::start();
    let cache = shared.cache(CacheOptions::default().load_timeout(millis(30)));
    let hangs = cache.get_or_load::<u8, _, _, _>("k", || async {
        std::future::pending::<()>().await;
        Ok::<_, Never>(0)
    });
    let outcome = timeout(SOON, hangs.into_future())
        .await
        .unwrap()
        .unwrap_err();
    assert!(
        matches!(&outcome, CacheError::Load { cause, .. } if cause == "it took longer than 30 ms"),
        "{outcome}"
    );
    let loaded = cache
        .get_or_load("k", || async { Ok::<_, Never>(7_u8) })
        .await;
    assert_eq!(loaded.unwrap(), 7);
}

#[actix_rt::test]
async fn that_there_is_nothing_is_kept_for_its_own_time() {
    let shared = Shared::start();
    let cache = shared.cache(CacheOptions::default().negative(millis(300)));
    let loads = Rc::new(Cell::new(0));
    let find = || {
        let loads = Rc::clone(&loads);
        cache.find_or_load::<u8, _, _, _>("k", move || async move {
            loads.set(loads.get() + 1);
            Ok::<_, Never>(None)
        })
    };
    let begun = Instant::now();
    while begun.elapsed() < millis(200) {
        assert_eq!(find().await.unwrap(), None);
    }
    assert_eq!(loads.get(), 1);
    assert_eq!(cache.get::<u8>("k").await.unwrap(), None);
    let rest = millis(310).saturating_sub(begun.elapsed());
    tokio::time::sleep(rest).await; // wait: the time of what is kept passes
    assert_eq!(find().await.unwrap(), None);
    assert_eq!(loads.get(), 2);
    // What is set counts at once.
    cache.set("k", &9_u8).await.unwrap();
    assert_eq!(find().await.unwrap(), Some(9));
}

#[actix_rt::test]
async fn what_is_out_of_date_is_served_while_one_reloads_it() {
    let shared = Shared::start();
    let options = CacheOptions::default()
        .expire(millis(50))
        .stale_while_revalidate(SOON);
    let cache = shared.cache(options);
    cache.set("k", &1_u8).await.unwrap();
    tokio::time::sleep(millis(60)).await; // wait: the time of the value passes
    assert_eq!(
        cache.get::<u8>("k").await.unwrap(),
        None,
        "its time is over"
    );
    let go = Rc::new(Notify::new());
    for _ in 0..3 {
        let wait = Rc::clone(&go);
        let load = move || async move {
            wait.notified().await;
            Ok::<_, Never>(2_u8)
        };
        assert_eq!(cache.get_or_load("k", load).await.unwrap(), 1);
    }
    let mut changes = cache.watch("k").await.unwrap();
    go.notify_one();
    timeout(SOON, futures_util::StreamExt::next(&mut changes))
        .await
        .unwrap();
    let other = cache.get_or_load("k", || async { Err::<u8, _>("not to be run") });
    assert_eq!(other.await.unwrap(), 2);
}

#[actix_rt::test]
async fn a_value_that_is_set_meanwhile_is_later_than_what_is_being_loaded() {
    let shared = Shared::start();
    let cache = shared.cache(CacheOptions::default());
    let (go, begun) = (Rc::new(Notify::new()), Rc::new(Notify::new()));
    let (wait, tell) = (Rc::clone(&go), Rc::clone(&begun));
    let load = move || async move {
        tell.notify_one();
        wait.notified().await;
        Ok::<_, Never>(1_u8)
    };
    let loading = actix_rt::spawn({
        let cache = cache.clone();
        async move { cache.get_or_load::<u8, _, _, _>("k", load).await }
    });
    begun.notified().await;
    cache.set("k", &2_u8).await.unwrap();
    go.notify_one();
    assert_eq!(loading.await.unwrap().unwrap(), 1);
    assert_eq!(cache.get::<u8>("k").await.unwrap(), Some(2));
}
