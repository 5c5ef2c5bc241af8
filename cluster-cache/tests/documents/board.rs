//! What another process has changed a `get` sees without the thread that has the connection: here it is blocked.

use std::path::Path;
use std::sync::mpsc::{Sender, channel};

use actix_rt::Arbiter;
use cluster_cache::Document;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::process::{Order, PATIENCE, Process, caches, options, text};

/// A thread that has the connections of documents; blocked from when it is told until it is let go.
struct Home(Arbiter);

impl Home {
    /// Opens a document whose connection lives there.
    async fn open(&self, home: &Path, name: &'static str) -> Document {
        let (say, said) = tokio::sync::oneshot::channel();
        let home = home.to_owned();
        self.0.spawn_fn(move || {
            let opened = caches(&home).document(name, options(&home));
            drop(say.send(opened.unwrap()));
        });
        let document = said.await.unwrap();
        document.sync().await.unwrap();
        document
    }

    fn block(&self) -> Blocked {
        let (blocked, is_blocked) = channel();
        let (free, freed) = channel::<()>();
        self.0.spawn_fn(move || {
            blocked.send(()).unwrap();
            // Until the other end is dropped.
            let _ = freed.recv();
        });
        is_blocked.recv_timeout(PATIENCE).unwrap();
        Blocked { _free: free }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.0.stop();
    }
}

struct Blocked {
    _free: Sender<()>,
}

/// Another process sets a path, and the manager has put that in its order.
async fn set(process: &mut Process, path: &str, value: Value) {
    process.sets(path, value).await;
    process.does(&Order::Flush).await;
}

#[actix_rt::test]
async fn a_get_sees_what_its_connection_has_not_brought() {
    let home = tempfile::tempdir().unwrap();
    let server = Process::start(home.path(), "serves").await;
    let mut other = Process::start(home.path(), "").await;
    let thread = Home(Arbiter::new());
    let document = thread.open(home.path(), "shared").await;
    let apart = thread.open(home.path(), "apart").await;
    let mut watch = document.watch("a").unwrap();
    assert_eq!(timeout(PATIENCE, watch.next()).await.unwrap(), Some(None));
    let blocked = thread.block();

    set(&mut other, "a.b", json!([1, {"c": 2.5}])).await;
    assert_eq!(document.get("a.b").unwrap(), Some(json!([1, {"c": 2.5}])));
    // Who reads has those told who watch.
    let told = timeout(PATIENCE, watch.next()).await.unwrap();
    assert_eq!(told, Some(Some(json!({"b": [1, {"c": 2.5}]}))));
    set(&mut other, "a.b[1].c", json!("x")).await;
    assert!(document.has("a.b[1].c").unwrap());
    assert_eq!(document.get_as("a.b[1].c").unwrap(), Some("x".to_owned()));
    // A time that is over, too: the manager deletes the path.
    let brief = Order::Set {
        path: "brief".to_owned(),
        value: json!(1),
        ttl_ms: Some(20),
    };
    other.does(&brief).await;
    while other.shows().await.contains("brief") {}
    assert!(!document.has("brief").unwrap());
    // What this process changes meanwhile is on top of it.
    document.set("a.b[0]", "own").unwrap();
    set(&mut other, "a.b[2]", json!(true)).await;
    let now = json!(["own", {"c": "x"}, true]);
    assert_eq!(document.get("a.b").unwrap(), Some(now));
    // Each document has a board of its own.
    assert_eq!(apart.get("").unwrap(), Some(json!({})));

    // What was seen stays seen, though the manager is gone and nothing has come by the connection.
    set(&mut other, "last", json!(1)).await;
    drop(server);
    assert_eq!(document.get("last").unwrap(), Some(json!(1)));
    let _server = Process::start(home.path(), "serves").await;
    drop(blocked);
    document.sync().await.unwrap();
    assert_eq!(other.shows().await, text(&document));
    // And so it is with the next manager.
    let _blocked = thread.block();
    set(&mut other, "next", json!(1)).await;
    assert_eq!(document.get("next").unwrap(), Some(json!(1)));
    assert_eq!(other.shows().await, text(&document));
}

#[actix_rt::test]
async fn what_the_board_does_not_hold_the_connection_brings() {
    let home = tempfile::tempdir().unwrap();
    let _server = Process::start(home.path(), "serves").await;
    let mut other = Process::start(home.path(), "").await;
    let thread = Home(Arbiter::new());
    let document = thread.open(home.path(), "shared").await;
    let blocked = thread.block();
    set(&mut other, "large", json!("x".repeat(100_000))).await;
    set(&mut other, "small", json!(1)).await;
    // The order has a gap, behind which nothing is made.
    assert_eq!(document.get("").unwrap(), Some(json!({})));
    drop(blocked);
    document.sync().await.unwrap();
    assert_eq!(document.get("small").unwrap(), Some(json!(1)));
    // More changes than the board holds.
    let blocked = thread.block();
    for _ in 0..8 {
        set(&mut other, "small", json!("x".repeat(10_000))).await;
        set(&mut other, "small", json!(2)).await;
    }
    assert_eq!(document.get("small").unwrap(), Some(json!(1)));
    drop(blocked);
    document.sync().await.unwrap();
    assert_eq!(document.get("small").unwrap(), Some(json!(2)));
    // And then it goes on.
    let _blocked = thread.block();
    set(&mut other, "small", json!(3)).await;
    assert_eq!(document.get("small").unwrap(), Some(json!(3)));
    assert_eq!(other.shows().await, text(&document));
}

/// The board of what is closed or destroyed is of no use any more.
#[actix_rt::test]
async fn what_is_over_is_over() {
    let home = tempfile::tempdir().unwrap();
    let _server = Process::start(home.path(), "serves").await;
    let mut other = Process::start(home.path(), "").await;
    let document = caches(home.path()).document("shared", options(home.path()));
    let document = document.unwrap();
    document.sync().await.unwrap();
    set(&mut other, "a", json!(1)).await;
    document.close().await.unwrap();
    set(&mut other, "a", json!(2)).await;
    assert!(document.get("a").is_err());
    let again = caches(home.path()).document("shared", options(home.path()));
    let again = again.unwrap();
    again.sync().await.unwrap();
    set(&mut other, "a", json!(3)).await;
    assert_eq!(again.get("a").unwrap(), Some(json!(3)));
    again.destroy().await.unwrap();
    assert!(again.get("a").is_err());
}
