//! What every store does alike.

use std::collections::BTreeMap;

use cluster_cache::{Operation, SessionError, SessionStore, Sessions};
use futures_util::{StreamExt, TryStreamExt};
use serde_json::{Value, json};

use crate::{Shared, millis, on_disk};

/// A time that passes while a test looks away.
const BRIEF: u64 = 1000;

async fn passes(sessions: &Sessions) {
    values(sessions).await;
    conditions(sessions).await;
    times(sessions).await;
    listing(sessions).await;
    oddities(sessions).await;
}

async fn get(sessions: &Sessions, key: &str) -> Option<Value> {
    sessions.get(key).await.unwrap()
}

async fn values(sessions: &Sessions) {
    assert_eq!(get(sessions, "a").await, None);
    let value = json!({"user": "ada", "roles": ["x", null, 1.5, true], "π": "\u{0}\"\\/"});
    sessions.set("a", &value, None).await.unwrap();
    assert_eq!(get(sessions, "a").await, Some(value));
    sessions.set("a", &1, None).await.unwrap();
    assert_eq!(get(sessions, "a").await, Some(json!(1)));
    assert!(sessions.destroy("a").await.unwrap());
    assert!(!sessions.destroy("a").await.unwrap());
    assert_eq!(get(sessions, "a").await, None);
    // Of another type than is asked for.
    sessions.set("a", "text", None).await.unwrap();
    let error = sessions.get::<u64>("a").await.unwrap_err();
    assert!(matches!(error, SessionError::Decode { .. }), "{error}");
    assert!(sessions.destroy("a").await.unwrap());
}

async fn conditions(sessions: &Sessions) {
    assert!(!sessions.replace("c", &1, None).await.unwrap());
    assert_eq!(get(sessions, "c").await, None);
    assert!(sessions.create("c", &2, None).await.unwrap());
    assert!(!sessions.create("c", &3, None).await.unwrap());
    assert_eq!(get(sessions, "c").await, Some(json!(2)));
    assert!(sessions.replace("c", &4, None).await.unwrap());
    assert_eq!(get(sessions, "c").await, Some(json!(4)));
    assert!(sessions.destroy("c").await.unwrap());
}

async fn times(sessions: &Sessions) {
    let brief = Some(millis(BRIEF));
    sessions.set("ends", &1, brief).await.unwrap();
    sessions.set("touched", &2, brief).await.unwrap();
    sessions.set("created anew", &3, brief).await.unwrap();
    assert!(
        sessions
            .touch("touched", Some(millis(600_000)))
            .await
            .unwrap()
    );
    sessions.set("set again", &4, brief).await.unwrap();
    sessions.set("set again", &5, None).await.unwrap();
    tokio::time::sleep(millis(BRIEF + 20)).await; // wait: the time of entries passes
    assert_eq!(get(sessions, "ends").await, None);
    assert!(!sessions.touch("ends", None).await.unwrap());
    assert!(!sessions.replace("ends", &9, None).await.unwrap());
    assert!(!sessions.destroy("ends").await.unwrap());
    assert_eq!(get(sessions, "touched").await, Some(json!(2)));
    assert!(sessions.create("created anew", &6, None).await.unwrap());
    assert_eq!(get(sessions, "created anew").await, Some(json!(6)));
    assert_eq!(get(sessions, "set again").await, Some(json!(5)));
    // One that is over at once.
    sessions.set("touched", &2, Some(millis(0))).await.unwrap();
    assert_eq!(get(sessions, "touched").await, None);
    sessions.clear().await.unwrap();
}

async fn listing(sessions: &Sessions) {
    assert_eq!(sessions.length().await.unwrap(), 0);
    let text = "x".repeat(3000);
    let mut expected = BTreeMap::new();
    for n in 0..400_u64 {
        let (key, value) = (format!("key {n}"), format!("{n} {text}"));
        sessions.set(&key, &value, None).await.unwrap();
        expected.insert(key, value);
    }
    assert_eq!(sessions.length().await.unwrap(), 400);
    // More than one page.
    let all: Vec<(String, String)> = sessions.all().try_collect().await.unwrap();
    assert_eq!(all.len(), 400);
    assert_eq!(all.into_iter().collect::<BTreeMap<_, _>>(), expected);
    // What is removed meanwhile may come or not, and all else comes once.
    let mut seen = BTreeMap::new();
    let mut listed = Box::pin(sessions.all::<String>());
    while let Some(entry) = listed.next().await {
        let (key, value) = entry.unwrap();
        assert!(
            seen.insert(key.clone(), value).is_none(),
            "{key} came twice"
        );
        if seen.len() == 10 {
            for n in 100..200 {
                sessions.destroy(&format!("key {n}")).await.unwrap();
            }
        }
    }
    assert!(seen.len() >= 300);
    sessions.clear().await.unwrap();
    assert_eq!(sessions.length().await.unwrap(), 0);
    assert_eq!(sessions.all::<String>().count().await, 0);
    for operation in [Operation::Touch, Operation::All, Operation::Length] {
        assert!(sessions.has(operation).await.unwrap());
    }
}

/// Keys that mean something to a file system, a database or a terminal.
async fn oddities(sessions: &Sessions) {
    let long = "k".repeat(1024);
    let keys = [
        "../../etc/passwd",
        "/",
        ".",
        "..",
        "a/b",
        "a\0b",
        "'; DROP TABLE sessions; --",
        "%00",
        "K",
        "k",
        "ключ",
        "\u{202e}x",
        "\n",
        &long,
    ];
    for (n, key) in keys.iter().enumerate() {
        sessions.set(key, &n, None).await.unwrap();
    }
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(get(sessions, key).await, Some(json!(n)), "{key:?}");
    }
    let all: BTreeMap<String, usize> = sessions.all().try_collect().await.unwrap();
    assert_eq!(all.len(), keys.len());
    assert!(keys.iter().enumerate().all(|(n, key)| all[*key] == n));
    sessions.clear().await.unwrap();
}

#[actix_rt::test]
async fn in_memory() {
    let shared = Shared::start(|_| SessionStore::memory());
    passes(&shared.sessions()).await;
    shared.caches.close().await;
}

#[actix_rt::test]
async fn embedded() {
    let shared = Shared::start(|_| SessionStore::embedded());
    passes(&shared.sessions()).await;
    shared.caches.close().await;
}

#[cfg(feature = "sqlite")]
#[actix_rt::test]
async fn in_sqlite() {
    let shared = Shared::start(|home| SessionStore::sqlite(home.join("sessions.db")));
    passes(&shared.sessions()).await;
    shared.caches.close().await;
    let shared = Shared::start(|home| SessionStore::sqlite(home.join("sessions.db")).sync(true));
    values(&shared.sessions()).await;
    shared.caches.close().await;
}

#[actix_rt::test]
async fn in_files() {
    let shared = Shared::start(|home| SessionStore::files(home.join("files")));
    passes(&shared.sessions()).await;
    shared.caches.close().await;
    let shared = Shared::start(|home| SessionStore::files(home.join("files")).sync(true));
    values(&shared.sessions()).await;
    shared.caches.close().await;
}

/// The same call, and no other process.
#[actix_rt::test]
async fn alone() {
    let home = tempfile::tempdir().unwrap();
    passes(&SessionStore::memory().open("web").unwrap()).await;
    for (_, store) in on_disk(home.path()) {
        passes(&store.open("web").unwrap()).await;
    }
    let error = SessionStore::embedded().open("web").unwrap_err();
    assert!(matches!(error, SessionError::NoFile { .. }), "{error}");
}

#[actix_rt::test]
async fn a_store_says_how_long_it_keeps_what_nothing_is_said_of() {
    let home = tempfile::tempdir().unwrap();
    let mut stores = on_disk(home.path());
    stores.push(("memory", SessionStore::memory()));
    for (kind, store) in stores {
        let sessions = store.expire(millis(BRIEF)).open("web").unwrap();
        sessions.set("brief", &1, None).await.unwrap();
        sessions
            .set("long", &2, Some(millis(600_000)))
            .await
            .unwrap();
        tokio::time::sleep(millis(BRIEF + 20)).await; // wait: the time of an entry passes
        assert_eq!(get(&sessions, "brief").await, None, "{kind}");
        assert_eq!(get(&sessions, "long").await, Some(json!(2)), "{kind}");
    }
}

#[actix_rt::test]
async fn stores_are_side_by_side() {
    let home = tempfile::tempdir().unwrap();
    let mut sharing = crate::sharing(home.path(), SessionStore::memory());
    for (name, store) in on_disk(home.path()) {
        sharing = sharing.session_store(name, store);
    }
    let sharing = sharing.session_store("embedded", SessionStore::embedded());
    let caches = cluster_cache::enable(sharing).unwrap();
    let names = ["web", "files", "embedded"];
    for name in names {
        caches.sessions(name).set("key", name, None).await.unwrap();
    }
    for name in names {
        let value = caches.sessions(name).get::<String>("key").await.unwrap();
        assert_eq!(value.as_deref(), Some(name));
    }
    let error = caches.sessions("none").get::<u8>("key").await.unwrap_err();
    assert!(matches!(error, SessionError::NoStore { .. }), "{error}");
    let error = caches.sessions("a/b").get::<u8>("key").await.unwrap_err();
    assert!(matches!(error, SessionError::Name { .. }), "{error}");
    caches.close().await;
}
