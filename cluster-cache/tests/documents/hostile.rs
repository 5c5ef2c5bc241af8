//! Clients that ask for what no document is: they are refused, or what they want changes nothing, and other processes see none of it.

use std::time::Duration;

use cluster_cache::{DocumentOptions, Sharing, enable};
use serde::Serialize;
use serde_json::json;

use crate::process::PATIENCE;
use crate::raw::{Answer, Raw, Refused};

/// The place of what is about documents among all operations, and the places of those.
const DOCUMENT: u32 = 21;
const JOIN: u32 = 0;
const OFFER: u32 = 1;
const CHANGE: u32 = 2;
const SYNC: u32 = 3;
/// The place of what is about documents among all refusals.
const REFUSED: Answer = Answer::Refused(Refused::Other(13));

fn join(directory: &str, name: &str, origin: u64) -> impl Serialize {
    let (epoch, sequence, gc_ms) = (0_u64, 0_u64, 1000_u64);
    let to = (directory.to_owned(), name.to_owned(), origin);
    (DOCUMENT, JOIN, to, epoch, sequence, gc_ms)
}

fn set(number: u64, path: &str, value: Vec<u8>) -> impl Serialize {
    let value = serde_bytes::ByteBuf::from(value);
    (
        DOCUMENT,
        CHANGE,
        number,
        0_u32,
        path.to_owned(),
        value,
        None::<u64>,
    )
}

#[actix_rt::test]
async fn what_no_document_is_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let sharing = Sharing::new("hostile").directory(home.path().join("run"));
    let caches = enable(sharing.wait(PATIENCE)).unwrap();
    let directory = home.path().join("documents");
    let options = DocumentOptions::default().dir(&directory);
    let document = caches.document("flags", options).unwrap();
    document.set("a", json!({"b": 1})).unwrap();
    document.sync().await.unwrap();
    let directory = directory.to_str().unwrap().to_owned();

    let mut raw = Raw::connect(caches.socket()).await;
    for (at, name) in [
        (&*directory, "../flags"),
        (&*directory, ""),
        (&*directory, ".flags"),
        ("documents", "flags"),
        ("", "flags"),
    ] {
        raw.ask(1, 0, &join(at, name, 7)).await.unwrap();
        assert_eq!(raw.answer().await, (1, REFUSED), "{at:?} {name:?}");
    }
    // Of one that has not joined.
    raw.ask(2, 0, &set(1, "a", vec![1, 1])).await.unwrap();
    assert_eq!(raw.answer().await, (2, REFUSED));
    raw.ask(3, 0, &(DOCUMENT, SYNC)).await.unwrap();
    assert_eq!(raw.answer().await, (3, REFUSED));
    // The number of the manager itself.
    raw.ask(4, 0, &join(&directory, "flags", 0)).await.unwrap();
    assert!(matches!(raw.answer().await, (4, Answer::Refused(_))));
    drop(raw);

    let mut raw = Raw::connect(caches.socket()).await;
    raw.ask(1, 0, &join(&directory, "flags", 7)).await.unwrap();
    let long = "a.".repeat(10_000) + "a";
    let deep = "a.".repeat(64) + "a";
    // Arrays of one element, and what is in them, in MessagePack.
    let nested = [&[1], &[0x91; 900][..], &[1]].concat();
    let large = [&[1, 0xdb, 0, 0x90, 0, 0], &[b'x'; 9 << 20][..]].concat();
    let bad = [
        (&*long, vec![1, 1]),
        (&*deep, vec![1, 1]),
        ("a[", vec![1, 1]),
        ("a[999999999].b[999999999]", vec![1, 1]),
        ("b", nested),
        ("b", large),
        ("b", vec![]),
        ("b", vec![9, 9]),
        // More is said to come than does.
        ("b", vec![1, 0xdd, 255, 255, 255, 255]),
    ];
    let last = bad.len() as u64;
    for ((path, value), number) in bad.into_iter().zip(1..) {
        raw.ask(0, 0, &set(number, path, value)).await.unwrap();
    }
    // Nobody has asked for it.
    let whole = (1_u64, u64::MAX, serde_bytes::ByteBuf::from(vec![1, 1]));
    let nothing = (Vec::<(String, u64)>::new(), Vec::<(u64, u64, u64)>::new());
    raw.ask(0, 0, &(DOCUMENT, OFFER, whole, nothing))
        .await
        .unwrap();
    raw.ask(0, 0, &set(last + 1, "seen", vec![1, 1]))
        .await
        .unwrap();
    while document.get("seen").unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await; // wait: for what another client has sent, which nobody tells of
    }
    document.delete("seen").unwrap();
    assert_eq!(document.get("").unwrap(), Some(json!({"a": {"b": 1}})));
    document.flush().await.unwrap();
    let kept = std::fs::read_to_string(document.filename()).unwrap();
    assert_eq!(kept, "{\n  \"a\": {\n    \"b\": 1\n  }\n}\n");
    caches.close().await;
}
