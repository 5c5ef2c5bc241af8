//! Clients that ask a store for what none has: they are refused, and nobody else sees anything of it.

use cluster_cache::{SessionStore, When};
use serde::Serialize;
use serde_json::{Value, json};

use crate::raw::{Answer, Raw, Refused};
use crate::{Shared, millis};

/// The place of what is about sessions among all operations, and the places of those.
const SESSION: u32 = 22;
const GET: u32 = 1;
const SET: u32 = 2;
const TOUCH: u32 = 3;
const DESTROY: u32 = 4;
const ALL: u32 = 5;
const REFUSED: Answer = Answer::Refused(Refused::OfSessions);

fn of_key(op: u32, store: &str, key: &str) -> impl Serialize {
    (SESSION, store.to_owned(), op, key.to_owned())
}

fn set(key: &str, value: &[u8], ttl_ms: Option<u64>) -> impl Serialize {
    let value = serde_bytes::ByteBuf::from(value);
    let key = key.to_owned();
    (SESSION, "web", SET, key, value, ttl_ms, When::Always)
}

#[actix_rt::test]
async fn what_no_store_has_is_refused_and_changes_nothing() {
    let stores = [
        Shared::start(|_| SessionStore::memory()),
        Shared::start(|_| SessionStore::embedded()),
        #[cfg(feature = "sqlite")]
        Shared::start(|home| SessionStore::sqlite(home.join("sessions.db"))),
        Shared::start(|home| SessionStore::files(home.join("files"))),
    ];
    for shared in stores {
        let sessions = shared.sessions();
        sessions.set("a", &1, None).await.unwrap();
        let mut raw = Raw::connect(shared.caches.socket()).await;
        let long = "k".repeat(100_000);
        for op in [GET, DESTROY] {
            for (store, key) in [
                ("web", ""),
                ("web", &*long),
                ("none", "a"),
                ("", "a"),
                (&*long, "a"),
            ] {
                raw.ask(1, 0, &of_key(op, store, key)).await.unwrap();
                assert_eq!(raw.answer().await, (1, REFUSED), "{op} {store:.9} {key:.9}");
            }
        }
        let large = [&[2][..], &b"\"x\"".repeat(1 << 20)].concat();
        for value in [&b""[..], b"1", b"\x011", b"\x02\xff", &large] {
            raw.ask(2, 0, &set("a", value, None)).await.unwrap();
            assert_eq!(raw.answer().await, (2, REFUSED), "{value:.9?}");
        }
        // Times and places as far away as can be.
        raw.ask(3, 0, &set("for ever", b"\x022", Some(u64::MAX)))
            .await
            .unwrap();
        let touch = (SESSION, "web", TOUCH, "a", Some(u64::MAX));
        raw.ask(3, 0, &touch).await.unwrap();
        raw.ask(3, 0, &(SESSION, "web", ALL, u64::MAX))
            .await
            .unwrap();
        for _ in 0..3 {
            assert_eq!(raw.answer().await, (3, Answer::Other));
        }
        assert_eq!(sessions.get::<u8>("for ever").await.unwrap(), Some(2));
        // No operation at all.
        raw.ask(4, 0, &(SESSION, "web", 99_u32)).await.unwrap();
        let (number, answer) = raw.answer().await;
        assert!(
            matches!((number, &answer), (4, Answer::Refused(_))),
            "{answer:?}"
        );
        assert_eq!(sessions.get::<u8>("a").await.unwrap(), Some(1));
        assert_eq!(sessions.length().await.unwrap(), 2);
        // As far away as a handle says it.
        let patient = sessions.clone().with_wait(std::time::Duration::MAX);
        patient
            .set("b", &json!({}), Some(std::time::Duration::MAX))
            .await
            .unwrap();
        assert_eq!(patient.get::<Value>("b").await.unwrap(), Some(json!({})));
        let hasty = sessions.clone().with_wait(millis(0));
        assert!(hasty.get::<Value>("b").await.is_err());
        shared.caches.close().await;
    }
}
