//! Stores of an application's own.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use cluster_cache::{
    BackendError, Operation, Record, SessionBackend, SessionError, SessionStore, When,
};
use futures_util::StreamExt;

use crate::{Shared, millis};

/// No more than a store must have.
#[derive(Default)]
struct Least(BTreeMap<String, Record>);

impl SessionBackend for Least {
    fn get(&mut self, key: &str, _: u64) -> Result<Option<Record>, BackendError> {
        Ok(self.0.get(key).cloned())
    }

    fn set(&mut self, key: &str, new: Record, when: When, _: u64) -> Result<bool, BackendError> {
        let taken = when.allows(self.0.contains_key(key));
        if taken {
            self.0.insert(key.to_owned(), new);
        }
        Ok(taken)
    }

    fn destroy(&mut self, key: &str, _: u64) -> Result<bool, BackendError> {
        Ok(self.0.remove(key).is_some())
    }
}

#[actix_rt::test]
async fn what_a_store_does_not_have_is_a_typed_error() {
    let shared = Shared::start(|_| SessionStore::custom(|| Ok(Least::default())));
    let alone = SessionStore::custom(|| Ok(Least::default())).open("web");
    for sessions in [shared.sessions(), alone.unwrap()] {
        sessions.set("a", &1, None).await.unwrap();
        assert_eq!(sessions.get::<u8>("a").await.unwrap(), Some(1));
        let operations = sessions.operations().await.unwrap();
        assert!(operations.has(Operation::Set) && !operations.has(Operation::Touch));
        let listed = sessions.all::<u8>();
        let missing = [
            (Operation::Touch, sessions.touch("a", None).await.map(drop)),
            (Operation::Clear, sessions.clear().await),
            (Operation::Length, sessions.length().await.map(drop)),
            (
                Operation::All,
                Box::pin(listed).next().await.unwrap().map(drop),
            ),
        ];
        for (expected, outcome) in missing {
            match outcome.unwrap_err() {
                SessionError::Unsupported { operation, .. } => assert_eq!(operation, expected),
                other => panic!("{other}"),
            }
        }
        assert!(sessions.destroy("a").await.unwrap());
    }
    shared.caches.close().await;
}

/// Waits, on each read, until it is told to go on.
struct Slow(Arc<Mutex<Receiver<()>>>, Sender<()>);

impl SessionBackend for Slow {
    fn get(&mut self, _: &str, _: u64) -> Result<Option<Record>, BackendError> {
        let _ = self.1.send(());
        let _ = self.0.lock().unwrap().recv();
        Ok(None)
    }

    fn set(&mut self, _: &str, _: Record, _: When, _: u64) -> Result<bool, BackendError> {
        Err(BackendError::other(std::io::Error::other(
            "the disk is gone",
        )))
    }

    fn destroy(&mut self, _: &str, _: u64) -> Result<bool, BackendError> {
        Ok(false)
    }
}

#[actix_rt::test]
async fn a_store_that_does_not_keep_up_keeps_nobody_else_from_theirs() {
    let (go, wait) = channel();
    let (begun, begins) = channel();
    let wait = Arc::new(Mutex::new(wait));
    let shared =
        Shared::start(|_| SessionStore::custom(move || Ok(Slow(Arc::clone(&wait), begun.clone()))));
    let sessions = shared.sessions();
    let late = sessions.clone().with_wait(millis(100));
    let error = late.get::<u8>("a").await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    begins.recv().unwrap();
    // The cache serves on meanwhile.
    let cache = shared.caches.cache("things", Default::default()).unwrap();
    cache.set("a", &1).await.unwrap();
    // More than the queue takes.
    let patient = sessions.clone().with_wait(millis(3000));
    let asks = (0..1200).map(|_| patient.get::<u8>("a"));
    let all = futures_util::future::join_all(asks).await;
    let busy = |e: &SessionError| matches!(e, SessionError::Busy { .. });
    let refused = all
        .iter()
        .filter(|one| one.as_ref().is_err_and(busy))
        .count();
    assert!((100..300).contains(&refused), "{refused}");
    for _ in 0..3000 {
        let _ = go.send(());
    }
    // Busy until the first of what waited is done.
    let found = loop {
        match sessions.get::<u8>("a").await {
            Err(e) if busy(&e) => tokio::task::yield_now().await,
            found => break found.unwrap(),
        }
    };
    assert_eq!(found, None);
    let error = sessions.set("a", &1, None).await.unwrap_err();
    assert!(error.to_string().contains("the disk is gone"), "{error}");
    shared.caches.close().await;
}

/// The arbiter of an owner that ends does other things while a store is busy; what that was asked is done by the time that it is said to have
/// ended.
#[actix_rt::test]
async fn an_owner_that_ends_blocks_nobody_until_its_stores_have() {
    let (go, wait) = channel();
    let (begun, begins) = channel();
    let wait = Arc::new(Mutex::new(wait));
    let shared =
        Shared::start(|_| SessionStore::custom(move || Ok(Slow(Arc::clone(&wait), begun.clone()))));
    let sessions = shared.sessions().with_wait(millis(500));
    let asked = actix_rt::spawn(async move { sessions.get::<u8>("a").await });
    while begins.try_recv().is_err() {
        tokio::task::yield_now().await;
    }
    let socket = shared.caches.socket().to_owned();
    let ended = std::cell::Cell::new(false);
    let closes = async {
        shared.caches.close().await;
        ended.set(true);
    };
    let goes_on = async {
        while socket.exists() {
            tokio::task::yield_now().await;
        }
        // Nobody answers any more, and the store is busy still.
        assert!(asked.await.unwrap().is_err());
        assert!(!ended.get());
        go.send(()).unwrap();
    };
    futures_util::future::join(closes, goes_on).await;
}
