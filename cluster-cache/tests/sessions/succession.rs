//! Owners that end, and others that have the stores then.

use cluster_cache::{SessionStore, enable};

use crate::{Shared, on_disk, sharing};

#[actix_rt::test]
async fn what_persists_is_there_with_the_next_owner() {
    let home = tempfile::tempdir().unwrap();
    let mut stores = on_disk(home.path());
    stores.push(("embedded", SessionStore::embedded()));
    for (kind, store) in stores {
        let first = enable(sharing(home.path(), store.clone())).unwrap();
        let second = enable(sharing(home.path(), store)).unwrap();
        let sessions = second.sessions("web");
        sessions.set("a", &1, None).await.unwrap();
        first.close().await;
        // Asked while nobody serves, it is answered by the next one.
        assert_eq!(sessions.get::<u8>("a").await.unwrap(), Some(1), "{kind}");
        sessions.set("a", &2, None).await.unwrap();
        assert_eq!(sessions.get::<u8>("a").await.unwrap(), Some(2), "{kind}");
        second.close().await;
    }
}

#[actix_rt::test]
async fn a_store_in_memory_begins_empty_with_the_next_owner() {
    let first = Shared::start(|_| SessionStore::memory());
    let second = enable(sharing(first.home.path(), SessionStore::memory())).unwrap();
    let sessions = second.sessions("web");
    sessions.set("a", &1, None).await.unwrap();
    first.caches.close().await;
    assert_eq!(sessions.get::<u8>("a").await.unwrap(), None);
    second.close().await;
}
