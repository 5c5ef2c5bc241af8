//! What a document does in one process, and in two.

use std::time::Duration;

use cluster_cache::{
    Caches, Document, DocumentError, DocumentOptions, MOST_PENDING, Misfit, PathFault, Sharing,
    ValueFault, enable,
};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::process::{Order, PATIENCE, Process, text};

fn shared() -> (TempDir, Caches) {
    let home = tempfile::tempdir().unwrap();
    let sharing = Sharing::new("api").directory(home.path().join("run"));
    let caches = enable(sharing.wait(PATIENCE)).unwrap();
    (home, caches)
}

fn document(home: &TempDir, caches: &Caches) -> Document {
    let options = DocumentOptions::default().dir(home.path().join("documents"));
    caches.document("flags", options).unwrap()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Limits {
    requests: u32,
    paths: Vec<String>,
}

#[actix_rt::test]
async fn values_are_set_read_and_deleted_by_their_paths() {
    let (home, caches) = shared();
    let flags = document(&home, &caches);
    let limits = Limits {
        requests: 5,
        paths: vec!["/a".into()],
    };
    // Visible at once, and given back.
    assert_eq!(flags.set("limits", limits.clone()).unwrap(), limits);
    assert_eq!(flags.get_as::<Limits>("limits").unwrap(), Some(limits));
    assert_eq!(flags.get("limits.paths[0]").unwrap(), Some(json!("/a")));
    flags.set(r#"hosts["a.b"][1]"#, true).unwrap();
    assert_eq!(
        flags.get("hosts").unwrap(),
        Some(json!({"a.b": [null, true]}))
    );
    assert!(flags.has("hosts").unwrap() && !flags.has("hosts.a").unwrap());
    assert_eq!(flags.get_as::<u8>("nowhere").unwrap(), None);
    let shape = flags.get_as::<u8>("limits").unwrap_err();
    let said = "what is at \"limits\" is no value of the type that was asked for: invalid type: map, expected u8";
    assert_eq!(shape.to_string(), said);
    assert!(flags.delete("limits.requests").unwrap());
    assert!(!flags.delete("limits.requests").unwrap());
    assert_eq!(flags.get("limits").unwrap(), Some(json!({"paths": ["/a"]})));
    // A copy.
    let mut copy = flags.get("").unwrap().unwrap();
    copy["limits"] = Value::Null;
    assert!(flags.has("limits.paths").unwrap());
    flags.flush().await.unwrap();
    let file = std::fs::read_to_string(flags.filename()).unwrap();
    assert_eq!(file, text(&flags));
    caches.close().await;
}

#[actix_rt::test]
async fn what_a_document_cannot_be_is_refused_and_nothing_changes() {
    let (home, caches) = shared();
    let flags = document(&home, &caches);
    flags.set("list", [1]).unwrap();
    let before = text(&flags);
    let path = |e| match e {
        DocumentError::Path { path, fault } => (path, fault),
        other => panic!("{other}"),
    };
    let long = vec!["a"; 10_000].join(".");
    let (said, fault) = path(flags.set(&long, 1).unwrap_err());
    assert_eq!((said.len() < 100, fault), (true, PathFault::Long(19_999)));
    assert_eq!(
        path(flags.get(&long).unwrap_err()).1,
        PathFault::Long(19_999)
    );
    let deep = vec!["a"; 65].join(".");
    assert_eq!(path(flags.delete(&deep).unwrap_err()).1, PathFault::Deep);
    assert_eq!(
        path(flags.get("list[").unwrap_err()).1,
        PathFault::Bracket(4)
    );
    for at in ["list[999999999]", "new[999999999]", "list[10000]"] {
        let grown = flags.set(at, 1).unwrap_err();
        let is_it = matches!(
            grown,
            DocumentError::Misfit {
                fault: Misfit::Grown,
                ..
            }
        );
        assert!(is_it, "{grown}");
    }
    let value = |e| match e {
        DocumentError::Value { fault, .. } => fault,
        other => panic!("{other}"),
    };
    assert_eq!(
        value(flags.set("n", f64::NAN).unwrap_err()),
        ValueFault::NotFinite
    );
    let nested = (0..200).fold(json!(0), |inner, _| json!([inner]));
    assert_eq!(
        value(flags.set("a.b", &nested).unwrap_err()),
        ValueFault::Deep(98)
    );
    let large = "x".repeat(100 << 20);
    assert_eq!(
        value(flags.set("a", &large).unwrap_err()),
        ValueFault::Large
    );
    let half = "x".repeat(5 << 20);
    flags.set("half", &half).unwrap();
    flags.sync().await.unwrap();
    let full = flags.set("other", &half).unwrap_err();
    assert!(
        matches!(
            full,
            DocumentError::Misfit {
                fault: Misfit::Large(_),
                ..
            }
        ),
        "{full}"
    );
    flags.delete("half").unwrap();
    assert_eq!(text(&flags), before);
    for name in ["", "../up", "a/b", ".hidden"] {
        let refused = caches
            .document(name, DocumentOptions::default())
            .unwrap_err();
        assert!(matches!(refused, DocumentError::Name(_)), "{refused}");
    }
    caches.close().await;
}

#[actix_rt::test]
async fn a_path_disappears_when_its_time_is_over_and_its_siblings_stay() {
    let (home, caches) = shared();
    let flags = document(&home, &caches);
    flags.set("a.stays", 1).unwrap();
    let mut watch = flags.watch("a").unwrap();
    assert_eq!(watch.next().await, Some(Some(json!({"stays": 1}))));
    flags
        .set_for("a.goes", 2, Duration::from_millis(30))
        .unwrap();
    // One that is set again has no time any more.
    flags
        .set_for("a.kept", 3, Duration::from_millis(30))
        .unwrap();
    flags.set("a.kept", 3).unwrap();
    let expected = json!({"stays": 1, "kept": 3});
    let over = async {
        while let Some(value) = watch.next().await {
            if value.as_ref() == Some(&expected) {
                return;
            }
        }
    };
    timeout(PATIENCE, over).await.unwrap();
    caches.close().await;
}

#[actix_rt::test]
async fn two_processes_hold_the_same_and_times_outlive_the_manager() {
    let home = tempfile::tempdir().unwrap();
    let mut server = Process::start(home.path(), "serves").await;
    let mut other = Process::start(home.path(), "").await;
    let caches = crate::process::caches(home.path());
    let document = caches
        .document("shared", crate::process::options(home.path()))
        .unwrap();
    document.sync().await.unwrap();
    assert!(document.is_connected());
    let mut watch = document.watch("a[0]").unwrap();
    assert_eq!(watch.next().await, Some(None));
    let set = |path: &str, value, ttl_ms| Order::Set {
        path: path.to_owned(),
        value,
        ttl_ms,
    };
    other.does(&set("a[0].b", json!(0.1), None)).await;
    assert_eq!(watch.next().await, Some(Some(json!({"b": 0.1}))));
    // The other process alone knows how long this is to be there; it is in the state of the document.
    other.does(&set("a[0].b", json!(2), Some(700))).await;
    assert_eq!(watch.next().await, Some(Some(json!({"b": 2}))));
    drop(other);
    drop(server);
    assert!(document.has("a[0].b").unwrap());
    // Written while nobody keeps it.
    document.set("a[0].c", 3).unwrap();
    assert_eq!(watch.next().await, Some(Some(json!({"b": 2, "c": 3}))));
    server = Process::start(home.path(), "serves").await;
    let next = timeout(PATIENCE, watch.next()).await.unwrap();
    assert_eq!(next, Some(Some(json!({"c": 3}))));
    document.close().await.unwrap();
    assert_eq!(watch.next().await, None);
    let closed = document.get("a").unwrap_err();
    assert!(matches!(closed, DocumentError::Closed), "{closed}");
    assert!(document.is_closed() && document.clone().sync().await.is_err());
    drop(server);
}

#[actix_rt::test]
async fn a_destroyed_document_is_gone_in_all_processes() {
    let (home, caches) = shared();
    let flags = document(&home, &caches);
    flags.set("a", 1).unwrap();
    flags.flush().await.unwrap();
    assert!(flags.filename().exists());
    flags.destroy().await.unwrap();
    assert!(!flags.filename().exists());
    let gone = flags.set("a", 1).unwrap_err();
    assert!(matches!(gone, DocumentError::Destroyed), "{gone}");
    // Opened again, it is a new one.
    let flags = document(&home, &caches);
    flags.sync().await.unwrap();
    assert_eq!(flags.get("").unwrap(), Some(json!({})));
    caches.close().await;
}

#[actix_rt::test]
async fn what_waits_for_a_manager_that_is_away_is_bounded() {
    let home = tempfile::tempdir().unwrap();
    let caches = Caches::connect(home.path().join("nobody.sock"), Duration::from_millis(50));
    let flags = document(&home, &caches);
    assert!(!flags.is_connected());
    for n in 0..MOST_PENDING {
        flags.set("n", n).unwrap();
    }
    // What is there already is no change.
    flags.set("n", MOST_PENDING - 1).unwrap();
    let full = flags.set("n", 0).unwrap_err();
    assert!(matches!(full, DocumentError::Backlogged), "{full}");
    assert_eq!(flags.get_as::<usize>("n").unwrap(), Some(MOST_PENDING - 1));
    let away = flags.flush().await.unwrap_err();
    assert!(matches!(away, DocumentError::Unreachable { .. }), "{away}");
}

#[actix_rt::test]
async fn a_manager_that_ends_in_peace_leaves_all_in_the_file() {
    let (home, caches) = shared();
    let flags = document(&home, &caches);
    flags.set_for("a", 1, Duration::from_secs(1000)).unwrap();
    flags.sync().await.unwrap();
    caches.close().await;
    assert_eq!(
        std::fs::read_to_string(flags.filename()).unwrap(),
        "{\n  \"a\": 1\n}\n"
    );
    let files = std::fs::read_dir(home.path().join("documents")).unwrap();
    assert_eq!(files.count(), 2, "its state is beside it, and no lock");
}

#[actix_rt::test]
async fn a_file_that_another_manager_keeps_is_refused() {
    let (home, caches) = shared();
    let flags = document(&home, &caches);
    flags.sync().await.unwrap();
    let other = Sharing::new("api").directory(home.path().join("other"));
    let other = enable(other.wait(Duration::from_secs(5))).unwrap();
    let held = document(&home, &other).sync().await.unwrap_err();
    assert!(
        held.to_string().contains("another cache manager keeps it"),
        "{held}"
    );
    assert!(held.is_retryable());
    caches.close().await;
    other.close().await;
}

/// Without an arbiter, and without any thread of actix's.
#[test]
fn a_document_is_for_any_thread() {
    let (tell, told) = std::sync::mpsc::channel();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let serving = std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let (home, caches) = shared();
            tell.send((home.path().to_owned(), caches.socket().to_owned()))
                .unwrap();
            let _ = ended.await;
            caches.close().await;
        });
    });
    let (home, socket) = told.recv().unwrap();
    let caches = Caches::connect(socket, PATIENCE);
    let options = DocumentOptions::default().dir(home.join("documents"));
    let flags = caches.document("flags", options).unwrap();
    flags.set("a", 1).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(flags.flush()).unwrap();
    assert!(flags.filename().exists());
    end.send(()).unwrap();
    serving.join().unwrap();
}
