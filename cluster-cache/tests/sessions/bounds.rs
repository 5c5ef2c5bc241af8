//! What exceeds a bound is refused by a typed error, and nothing has changed.

use cluster_cache::{CacheError, CacheOptions, Refusal, SessionError, SessionStore, enable};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::{Shared, millis, on_disk, sharing};

/// A store of each kind, with an owner.
fn shared_of_each_kind() -> Vec<Shared> {
    vec![
        Shared::start(|_| SessionStore::memory()),
        Shared::start(|_| SessionStore::embedded()),
        #[cfg(feature = "sqlite")]
        Shared::start(|home| SessionStore::sqlite(home.join("sessions.db"))),
        Shared::start(|home| SessionStore::files(home.join("files"))),
    ]
}

/// Nested as deep as whoever serializes it goes.
struct Endless(u64);

impl Serialize for Endless {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq([Endless(self.0 + 1)])
    }
}

#[actix_rt::test]
async fn keys_and_values_beyond_the_bounds_change_nothing() {
    let home = tempfile::tempdir().unwrap();
    let mut all = vec![SessionStore::memory().open("web").unwrap()];
    for (_, store) in on_disk(home.path()) {
        all.push(store.open("web").unwrap());
    }
    let shared = shared_of_each_kind();
    all.extend(shared.iter().map(Shared::sessions));
    for sessions in all {
        sessions.set("a", &1, None).await.unwrap();
        for key in [String::new(), "k".repeat(1025), "k".repeat(100_000)] {
            let errors = [
                sessions.get::<u8>(&key).await.map(drop).unwrap_err(),
                sessions.set(&key, &1, None).await.unwrap_err(),
                sessions.touch(&key, None).await.map(drop).unwrap_err(),
                sessions.destroy(&key).await.map(drop).unwrap_err(),
            ];
            for error in errors {
                assert!(matches!(error, SessionError::Key { .. }), "{error}");
            }
        }
        for length in [1 << 20, 16 << 20, 100 << 20] {
            let error = sessions
                .set("a", &"x".repeat(length), None)
                .await
                .unwrap_err();
            assert!(matches!(error, SessionError::Value { .. }), "{error}");
        }
        let mut deep = json!(1);
        for _ in 0..101 {
            deep = json!([deep]);
        }
        let error = sessions.set("a", &deep, None).await.unwrap_err();
        assert!(matches!(error, SessionError::Depth { .. }), "{error}");
        let Value::Array(mut less) = deep else {
            panic!("it is an array")
        };
        sessions.set("b", &less.remove(0), None).await.unwrap();
        assert!(sessions.get::<Value>("b").await.unwrap().is_some());
        let error = sessions.set("a", &Endless(0), None).await.unwrap_err();
        assert!(matches!(error, SessionError::Depth { .. }), "{error}");
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let value = std::collections::BTreeMap::from([("n", [number])]);
            let errors = [
                sessions.set("a", &value, None).await.unwrap_err(),
                sessions.set("a", &(number as f32), None).await.unwrap_err(),
                sessions
                    .create("new", &Some(number), None)
                    .await
                    .unwrap_err(),
                sessions.replace("a", &value, None).await.unwrap_err(),
            ];
            for error in errors {
                assert!(matches!(error, SessionError::NotFinite { .. }), "{error}");
            }
        }
        assert_eq!(sessions.get::<Value>("new").await.unwrap(), None);
        let no_text = std::collections::BTreeMap::from([((1, 2), 3)]);
        let error = sessions.set("a", &no_text, None).await.unwrap_err();
        assert!(matches!(error, SessionError::Encode { .. }), "{error}");
        assert_eq!(sessions.get::<u8>("a").await.unwrap(), Some(1));
        // As long as it may be.
        let longest = "x".repeat((1 << 20) - 2);
        sessions.set("a", &longest, None).await.unwrap();
        assert!(sessions.get::<String>("a").await.unwrap() == Some(longest));
        let wide = u128::MAX;
        sessions.set("a", &wide, None).await.unwrap();
        assert_eq!(sessions.get::<u128>("a").await.unwrap(), Some(wide));
    }
    for shared in shared {
        shared.caches.close().await;
    }
}

#[actix_rt::test]
async fn a_full_store_refuses_and_logs_nobody_out() {
    let most = 100_000;
    let shared = Shared::start(|_| SessionStore::memory().max_bytes(most));
    let alone = SessionStore::memory().max_bytes(most).open("web").unwrap();
    for sessions in [shared.sessions(), alone] {
        let value = "x".repeat(900);
        let mut kept = 0;
        let error = loop {
            match sessions.set(&format!("key {kept}"), &value, None).await {
                Ok(()) => kept += 1,
                Err(e) => break e,
            }
        };
        assert!(
            matches!(
                error,
                SessionError::Full {
                    allowed: 100_000,
                    ..
                }
            ),
            "{error}"
        );
        assert!((90..=100).contains(&kept), "{kept}");
        assert_eq!(sessions.length().await.unwrap(), kept);
        // What is there can change, and makes room.
        sessions.set("key 0", "short", None).await.unwrap();
        sessions.set("another", "short", None).await.unwrap();
        assert!(sessions.touch("key 1", None).await.unwrap());
        assert!(sessions.destroy("key 2").await.unwrap());
        sessions.set("yet another", &value, None).await.unwrap();
        assert_eq!(sessions.length().await.unwrap(), kept + 1);
    }
    shared.caches.close().await;
}

#[actix_rt::test]
async fn the_cache_gives_way_to_sessions_and_sessions_to_nothing() {
    let home = tempfile::tempdir().unwrap();
    let sharing = sharing(home.path(), SessionStore::embedded()).max_bytes(1 << 20);
    let caches = enable(sharing).unwrap();
    let (cache, sessions) = (
        caches.cache("things", CacheOptions::default()).unwrap(),
        caches.sessions("web"),
    );
    let value = "x".repeat(10_000);
    for n in 0..200 {
        cache.set(&format!("{n}"), &value).await.unwrap();
    }
    assert!(cache.stat().await.unwrap().evicted > 90);
    for n in 0..80 {
        sessions.set(&format!("{n}"), &value, None).await.unwrap();
    }
    let cached = cache.stat().await.unwrap();
    assert!(cached.entries < 30, "{cached:?}");
    // A cache under pressure takes nobody's session.
    for n in 0..200 {
        cache.set(&format!("{n}"), &value).await.unwrap();
    }
    assert_eq!(sessions.length().await.unwrap(), 80);
    for n in 80..110 {
        match sessions.set(&format!("{n}"), &value, None).await {
            Ok(()) => {}
            Err(e) => {
                assert!(matches!(e, SessionError::Full { .. }), "{e}");
                break;
            }
        }
    }
    let kept = sessions.length().await.unwrap();
    assert!((95..=105).contains(&kept), "{kept}");
    let meta = caches.meta().await.unwrap();
    assert!(meta.bytes <= 1 << 20, "{meta:?}");
    // What is left for the cache is too little for this value, and it says so.
    let refused = cache.set("large", &"x".repeat(200_000)).await.unwrap_err();
    assert!(
        matches!(refused, CacheError::Refused(Refusal::Value { .. })),
        "{refused}"
    );
    caches.close().await;
}

/// Restored with less room than it takes, a store refuses what is new, and lets go of nothing.
#[actix_rt::test]
async fn less_room_than_before_logs_nobody_out() {
    let home = tempfile::tempdir().unwrap();
    let start = |bytes| enable(sharing(home.path(), SessionStore::embedded()).max_bytes(bytes));
    let caches = start(4 << 20).unwrap();
    let value = "x".repeat(10_000);
    for n in 0..200 {
        let set = caches.sessions("web");
        set.set(&format!("{n}"), &value, None).await.unwrap();
    }
    caches.close().await;
    let caches = start(1 << 20).unwrap();
    let sessions = caches.sessions("web");
    assert!(sessions.touch("1", None).await.unwrap());
    let error = sessions.set("new", &1, None).await.unwrap_err();
    assert!(matches!(error, SessionError::Full { .. }), "{error}");
    let cache = caches.cache("things", CacheOptions::default()).unwrap();
    assert!(cache.set("a", "text").await.is_err());
    assert_eq!(sessions.length().await.unwrap(), 200);
    assert_eq!(sessions.get::<String>("7").await.unwrap(), Some(value));
    caches.close().await;
}

#[actix_rt::test]
async fn the_namespace_of_a_store_is_nobody_elses_to_change() {
    let shared = Shared::start(|_| SessionStore::memory());
    let sessions = shared.sessions();
    sessions
        .set("a", &json!({"user": "ada"}), None)
        .await
        .unwrap();
    let cache = shared
        .caches
        .cache("sessions:web", CacheOptions::existing());
    let cache = cache.unwrap();
    // An operator may look, and end a session.
    let shown: Option<Value> = cache.get("a").await.unwrap();
    assert_eq!(shown, Some(json!({"user": "ada"})));
    let refused = |e: CacheError| matches!(e, CacheError::Refused(Refusal::OfSessions));
    assert!(refused(cache.set("a", &1).await.unwrap_err()));
    assert!(refused(cache.clear().await.unwrap_err()));
    let load = || async { Ok::<_, std::convert::Infallible>(1) };
    let loaded: Result<u8, _> = cache.get_or_load("b", load).wait(millis(1000)).await;
    assert!(loaded.is_err());
    assert!(cache.clone().destroy().await.is_err());
    // Nor does it say how the namespace is to be.
    let small = cluster_cache::Caches::connect(shared.caches.socket(), crate::SOON);
    let options = CacheOptions::default().max_bytes(1);
    let other = small.cache("sessions:web", options).unwrap();
    assert_eq!(other.stat().await.unwrap().entries, 1);
    cache.del::<Value>("a").await.unwrap();
    assert_eq!(sessions.get::<Value>("a").await.unwrap(), None);
    shared.caches.close().await;
}

#[actix_rt::test]
async fn stores_that_cannot_be_are_refused_at_the_start() {
    let home = tempfile::tempdir().unwrap();
    let fails = |sharing: cluster_cache::Sharing| enable(sharing).unwrap_err().to_string();
    let twice = sharing(home.path(), SessionStore::memory());
    let twice = twice.session_store("web", SessionStore::memory());
    assert!(fails(twice).contains("there already"));
    let files = || SessionStore::files(home.path().join("files"));
    let same = SessionStore::files(home.path().join("files/../files"));
    for second in [files(), same] {
        let place = sharing(home.path(), files()).session_store("other", second);
        assert!(fails(place).contains("its place on disk"));
    }
    let nowhere = cluster_cache::Sharing::new("test")
        .directory(home.path().join("cache"))
        .session_store("web", SessionStore::embedded());
    assert!(fails(nowhere).contains("--cache.persist-path"));
    let name = sharing(home.path(), SessionStore::memory());
    let name = name.session_store("../web", SessionStore::memory());
    assert!(fails(name).contains("cannot name a session store"));
}
