//! actix-session's middleware over each store: what it expects of a store, and what users expect of it.
#![cfg(all(feature = "sessions", feature = "sqlite"))]
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use actix_session::config::{PersistentSession, TtlExtensionPolicy};
use actix_session::storage::{LoadError, SessionKey, SessionStore as _, generate_session_key};
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::{Cookie, Key, time};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::{App, HttpResponse, test, web};
use cluster_web::cache::{Caches, Sharing, enable};
use cluster_web::{ClusterSessionStore, SessionStore};
use futures_util::TryStreamExt;
use serde_json::Value;

const SOON: Duration = Duration::from_secs(10);
const MINUTE: time::Duration = time::Duration::MINUTE;

fn stores(home: &Path) -> Vec<SessionStore> {
    vec![
        SessionStore::memory(),
        SessionStore::embedded(),
        SessionStore::sqlite(home.join("sessions.db")),
        SessionStore::files(home.join("files")),
    ]
}

fn share(home: &Path, store: SessionStore) -> Caches {
    let sharing = Sharing::new("test")
        .directory(home.join("cache"))
        .persist_path(home.join("cache.log"))
        .session_store("web", store)
        .wait(SOON);
    enable(sharing).unwrap()
}

/// Runs a test over each store, shared and alone.
async fn over_all(test: impl AsyncFn(ClusterSessionStore)) {
    let home = tempfile::tempdir().unwrap();
    for store in stores(home.path()) {
        let caches = share(home.path(), store);
        test(ClusterSessionStore::new(caches.sessions("web"))).await;
        caches.sessions("web").clear().await.unwrap();
        caches.close().await;
    }
    for store in stores(home.path()) {
        if let Ok(alone) = store.open("web") {
            test(ClusterSessionStore::new(alone)).await;
        }
    }
}

fn state(visits: u32) -> HashMap<String, String> {
    [("visits".to_owned(), visits.to_string())].into()
}

fn text(key: &SessionKey) -> String {
    key.as_ref().to_owned()
}

#[actix_web::test]
async fn keys_are_random_and_nobody_finds_them_in_the_store() {
    over_all(async |store| {
        let first = store.save(state(1), &MINUTE).await.unwrap();
        let second = store.save(state(2), &MINUTE).await.unwrap();
        assert_ne!(first, second);
        for (key, visits) in [(&first, 1), (&second, 2)] {
            assert_eq!(key.as_ref().len(), 64);
            assert!(key.as_ref().chars().all(|c| c.is_ascii_alphanumeric()));
            assert_eq!(store.load(key).await.unwrap(), Some(state(visits)));
        }
        let all: Vec<(String, Value)> = store.all().try_collect().await.unwrap();
        assert_eq!(all.len(), 2);
        assert!(all.iter().all(|(key, _)| *key != text(&first)));
        // What the store has them under is no session's id.
        for (key, _) in all {
            assert_eq!(store.load(&key.try_into().unwrap()).await.unwrap(), None);
        }
        store.clear().await.unwrap();
    })
    .await;
}

#[actix_web::test]
async fn sessions_that_are_not_there_are_none() {
    over_all(async |store| {
        let longest: SessionKey = "x".repeat(4064).try_into().unwrap();
        let empty: SessionKey = String::new().try_into().unwrap();
        for key in [generate_session_key(), longest, empty] {
            assert_eq!(store.load(&key).await.unwrap(), None);
            store.update_ttl(&key, &MINUTE).await.unwrap();
            store.delete(&key).await.unwrap();
        }
    })
    .await;
}

#[actix_web::test]
async fn a_session_that_has_vanished_is_saved_under_another_key() {
    over_all(async |store| {
        let brief = time::Duration::milliseconds(30);
        let key = store.save(state(1), &brief).await.unwrap();
        let before = text(&key);
        tokio::time::sleep(Duration::from_millis(50)).await; // wait: the session's time passes
        assert_eq!(store.load(&key).await.unwrap(), None);
        let key = store.update(key, state(2), &MINUTE).await.unwrap();
        assert_ne!(before, text(&key));
        assert_eq!(store.load(&key).await.unwrap(), Some(state(2)));
        assert_eq!(store.load(&before.try_into().unwrap()).await.unwrap(), None);
        // One that is there keeps its key.
        let before = text(&key);
        let key = store.update(key, state(3), &MINUTE).await.unwrap();
        assert_eq!(
            (before, store.load(&key).await.unwrap()),
            (text(&key), Some(state(3)))
        );
        store.delete(&key).await.unwrap();
        assert_eq!(store.load(&key).await.unwrap(), None);
        let before = text(&key);
        assert_ne!(
            before,
            text(&store.update(key, state(4), &MINUTE).await.unwrap())
        );
    })
    .await;
}

#[actix_web::test]
async fn times_are_refreshed() {
    over_all(async |store| {
        let brief = time::Duration::SECOND;
        let touched = store.save(state(1), &brief).await.unwrap();
        let updated = store.save(state(2), &brief).await.unwrap();
        let left = store.save(state(3), &brief).await.unwrap();
        store.update_ttl(&touched, &MINUTE).await.unwrap();
        let updated = store.update(updated, state(4), &MINUTE).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1020)).await; // wait: the first time of all three passes
        assert_eq!(store.load(&touched).await.unwrap(), Some(state(1)));
        assert_eq!(store.load(&updated).await.unwrap(), Some(state(4)));
        assert_eq!(store.load(&left).await.unwrap(), None);
        // A time that is over already.
        store
            .update_ttl(&touched, &time::Duration::seconds(-1))
            .await
            .unwrap();
        assert_eq!(store.load(&touched).await.unwrap(), None);
    })
    .await;
}

#[actix_web::test]
async fn what_is_no_session_is_told_from_a_store_that_fails() {
    over_all(async |store| {
        let key = store.save(state(1), &MINUTE).await.unwrap();
        let mut all: Vec<(String, Value)> = store.all().try_collect().await.unwrap();
        store.set(&all.remove(0).0, &[1, 2], None).await.unwrap();
        let error = store.load(&key).await.unwrap_err();
        assert!(matches!(error, LoadError::Deserialization(_)), "{error:?}");
        store.clear().await.unwrap();
        let large = HashMap::from([("a".to_owned(), "x".repeat(2 << 20))]);
        let error = store.save(large, &MINUTE).await.unwrap_err();
        let told = format!("{error:?}");
        assert!(told.starts_with("Serialization"), "{told}");
        assert!(!told.contains(key.as_ref()), "no key in an error");
    })
    .await;
    let nowhere = Caches::connect("/nowhere/cache.sock", Duration::from_millis(50));
    let store = ClusterSessionStore::new(nowhere.sessions("web"));
    let key = generate_session_key();
    let error = store.load(&key).await.unwrap_err();
    assert!(matches!(error, LoadError::Other(_)), "{error:?}");
    assert!(!format!("{error:?}").contains(key.as_ref()));
}

type Answer = ServiceResponse;

async fn visit(session: Session) -> HttpResponse {
    let visits = session.get::<u32>("visits").unwrap().unwrap_or_default() + 1;
    session.insert("visits", visits).unwrap();
    HttpResponse::Ok().body(visits.to_string())
}

async fn look(session: Session) -> HttpResponse {
    let visits = session.get::<u32>("visits").unwrap();
    HttpResponse::Ok().body(format!("{visits:?}"))
}

async fn renew(session: Session) -> HttpResponse {
    session.renew();
    HttpResponse::Ok().finish()
}

async fn leave(session: Session) -> HttpResponse {
    session.purge();
    HttpResponse::Ok().finish()
}

/// A server as each worker has one.
async fn server(
    store: ClusterSessionStore,
    key: &Key,
    policy: TtlExtensionPolicy,
) -> impl Service<actix_http::Request, Response = Answer, Error = actix_web::Error> {
    let lifecycle = PersistentSession::default()
        .session_ttl(MINUTE)
        .session_ttl_extension_policy(policy);
    let sessions = SessionMiddleware::builder(store, key.clone()).session_lifecycle(lifecycle);
    let app = App::new()
        .wrap(sessions.build())
        .route("/visit", web::get().to(visit))
        .route("/look", web::get().to(look))
        .route("/renew", web::get().to(renew))
        .route("/leave", web::get().to(leave));
    test::init_service(app).await
}

/// Asks; gives back the cookie that was set, and the body.
async fn ask(
    server: &impl Service<actix_http::Request, Response = Answer, Error = actix_web::Error>,
    path: &str,
    cookie: Option<&Cookie<'static>>,
) -> (Option<Cookie<'static>>, String) {
    let mut request = test::TestRequest::with_uri(path);
    if let Some(cookie) = cookie {
        request = request.cookie(cookie.clone());
    }
    let answer = test::call_service(server, request.to_request()).await;
    let set = answer.response().cookies().next().map(Cookie::into_owned);
    let body = test::read_body(answer).await;
    (set, String::from_utf8(body.to_vec()).unwrap())
}

#[actix_web::test]
async fn a_session_lives_as_its_users_expect() {
    over_all(async |store| {
        let key = Key::generate();
        let (one, other) = (
            server(store.clone(), &key, TtlExtensionPolicy::OnStateChanges).await,
            server(store.clone(), &key, TtlExtensionPolicy::OnStateChanges).await,
        );
        // Nothing is kept of who has no session.
        assert_eq!(ask(&one, "/look", None).await, (None, "None".to_owned()));
        assert_eq!(store.length().await.unwrap(), 0);
        let (cookie, body) = ask(&one, "/visit", None).await;
        let cookie = cookie.unwrap();
        assert_eq!((body.as_str(), cookie.max_age()), ("1", Some(MINUTE)));
        // Looked at, nothing changes; changed, its time begins anew.
        let (set, body) = ask(&other, "/look", Some(&cookie)).await;
        assert_eq!((set, body.as_str()), (None, "Some(1)"));
        let (set, body) = ask(&other, "/visit", Some(&cookie)).await;
        assert_eq!(body, "2");
        assert_eq!(set.unwrap().max_age(), Some(MINUTE));
        assert_eq!(ask(&one, "/look", Some(&cookie)).await.1, "Some(2)");
        // Renewed, it has another key, and the old one is none.
        let renewed = ask(&one, "/renew", Some(&cookie)).await.0.unwrap();
        assert_ne!(renewed.value(), cookie.value());
        assert_eq!(ask(&other, "/look", Some(&renewed)).await.1, "Some(2)");
        assert_eq!(ask(&other, "/look", Some(&cookie)).await.1, "None");
        assert_eq!(store.length().await.unwrap(), 1);
        // Left, it is gone, also for who still has the cookie.
        let (gone, _) = ask(&other, "/leave", Some(&renewed)).await;
        assert_eq!(gone.unwrap().value(), "");
        assert_eq!(ask(&one, "/look", Some(&renewed)).await.1, "None");
        assert_eq!(ask(&one, "/visit", Some(&renewed)).await.1, "1");
        store.clear().await.unwrap();
        // Forged, it is none.
        let mut forged = cookie;
        forged.set_value("forged");
        assert_eq!(ask(&one, "/look", Some(&forged)).await.1, "None");
        assert_eq!(store.length().await.unwrap(), 0);
    })
    .await;
}

#[actix_web::test]
async fn each_request_refreshes_the_time_where_that_is_wanted() {
    over_all(async |store| {
        let key = Key::generate();
        let server = server(store, &key, TtlExtensionPolicy::OnEveryRequest).await;
        let cookie = ask(&server, "/visit", None).await.0.unwrap();
        let (set, body) = ask(&server, "/look", Some(&cookie)).await;
        assert_eq!(
            (set.unwrap().max_age(), body.as_str()),
            (Some(MINUTE), "Some(1)")
        );
    })
    .await;
}

/// Many requests at once, through handles of two servers: each finds what the last one answered has left.
#[actix_web::test]
async fn what_was_answered_by_one_is_found_by_all() {
    over_all(async |store| {
        let key = Key::generate();
        let mut servers = Vec::new();
        for _ in 0..3 {
            servers.push(server(store.clone(), &key, TtlExtensionPolicy::OnStateChanges).await);
        }
        let users = (0..8).map(async |user: usize| {
            let mut cookie = None;
            for visit in 1..=20_usize {
                let server = &servers[(user + visit) % servers.len()];
                let (set, body) = ask(server, "/visit", cookie.as_ref()).await;
                assert_eq!(body, visit.to_string());
                cookie = set.or(cookie);
            }
        });
        futures_util::future::join_all(users).await;
        store.clear().await.unwrap();
    })
    .await;
}
