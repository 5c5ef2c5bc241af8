//! Who keeps documents where there is no cluster: one of the processes that share a directory, and when it dies, another.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::process::{Order, Process, caches, options};

#[actix_rt::test]
async fn another_process_keeps_documents_within_a_second() {
    let home = tempfile::tempdir().unwrap();
    let mut processes = Vec::new();
    for _ in 0..3 {
        processes.push(Process::start(home.path(), "shares").await);
    }
    let set = |path: &str, value| Order::Set {
        path: path.to_owned(),
        value: json!(value),
        ttl_ms: None,
    };
    processes[0].does(&set("flushed", 1)).await;
    processes[0].does(&Order::Flush).await;
    let caches = caches(home.path());
    let document = caches.document("shared", options(home.path())).unwrap();
    document.sync().await.unwrap();
    for left in (1..3).rev() {
        let serves = caches.meta().await.unwrap().pid;
        let at = processes.iter().position(|process| process.pid() == serves);
        drop(processes.remove(at.unwrap()));
        assert_eq!(processes.len(), left);
        let died = Instant::now();
        // Written while nobody keeps it, and known by all as soon as somebody does.
        let path = format!("left.n{left}");
        document.set(&path, left).unwrap();
        document.sync().await.unwrap();
        assert!(
            died.elapsed() < Duration::from_secs(1),
            "{:?}",
            died.elapsed()
        );
        println!("another process keeps documents after {:?}", died.elapsed());
        let shown: serde_json::Value = serde_json::from_str(&processes[0].shows().await).unwrap();
        assert_eq!(
            (&shown["flushed"], &shown["left"][format!("n{left}")]),
            (&json!(1), &json!(left))
        );
    }
}
