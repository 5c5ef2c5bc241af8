//! Documents while cache managers hand over, again and again, under processes that change them: nothing fails, and nothing is lost.

use std::time::{Duration, Instant};

use cluster_cache::{Caches, DocumentError};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::master::Master;
use crate::process::{Order, PATIENCE, Process, Said, options};
use crate::{PROCESSES, until_seen};

const HANDOVERS: u64 = 5;
const CHANGES: u64 = 200;

#[actix_rt::test]
async fn documents_pass_to_the_next_manager() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("run/cache.sock");
    std::fs::create_dir(socket.parent().unwrap()).unwrap();
    let mut master = {
        let socket = socket.clone();
        Master::with(|options| options.cache.domain_path = Some(socket))
    };
    let mut manager = master.start(false).await;
    let mut processes = Vec::new();
    for _ in 0..PROCESSES {
        processes.push(Process::start(home.path(), "").await);
    }
    let caches = Caches::connect(socket, PATIENCE);
    let document = caches.document("shared", options(home.path())).unwrap();
    let long = Duration::from_secs(3);
    document.set_for("timed", 1, long).unwrap();
    for round in 0..HANDOVERS {
        for (process, number) in processes.iter_mut().zip(0..) {
            process.order(&Order::Change {
                process: number,
                after: round * CHANGES,
                changes: CHANGES,
                seed: round * PROCESSES + number,
            });
        }
        until_seen(&document, round * CHANGES * PROCESSES + CHANGES / 2).await;
        // What is acknowledged as flushed meanwhile is in the file.
        document.set("flushed", round).unwrap();
        document.flush().await.unwrap();
        let next = master.start(true).await;
        assert!(manager.ended().await.success());
        manager = next;
        for process in &mut processes {
            assert!(matches!(process.next().await, Said::Done));
        }
        let kept = std::fs::read_to_string(document.filename()).unwrap();
        let kept: Value = serde_json::from_str(&kept).unwrap();
        assert!(kept["flushed"].as_u64() >= Some(round), "{kept}");
        until_seen(&document, (round + 1) * CHANGES * PROCESSES).await;
    }
    // How long it is to be there has passed on, too.
    let mut timed = document.watch("timed").unwrap();
    let gone = async { while timed.next().await != Some(None) {} };
    timeout(PATIENCE, gone).await.unwrap();
    let begun = Instant::now();
    loop {
        let mut shown = Vec::new();
        for process in &mut processes {
            shown.push(process.shows().await);
        }
        document.flush().await.unwrap();
        shown.push(std::fs::read_to_string(document.filename()).unwrap());
        if shown.iter().all(|text| *text == shown[0]) {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{shown:#?}");
    }
    for number in 0..PROCESSES {
        let own = document.get(&format!("own.p{number}")).unwrap();
        assert_eq!(own, Some(json!(HANDOVERS * CHANGES)));
    }
    document.destroy().await.unwrap();
    let over = document.get("").unwrap_err();
    assert!(matches!(over, DocumentError::Destroyed), "{over}");
}
