//! Documents between real processes: what they hold is equal in the end, whoever is killed meanwhile, and is what the file says.
//!
//! `DOCUMENT_CHANGES=200000 cargo test -p cluster-cache --test documents` makes more changes than the usual.
#![allow(clippy::unwrap_used, missing_docs)]

mod api;
mod board;
mod duty;
mod handover;
mod hostile;
mod late;
// Here managers do no more than hand over.
#[allow(dead_code)]
#[path = "../handover/master.rs"]
mod master;
mod process;
#[allow(dead_code)]
#[path = "../hostile/raw.rs"]
mod raw;

use std::time::{Duration, Instant};

use cluster_cache::Document;
use futures_util::StreamExt;
use process::{Dice, Order, PATIENCE, Process, Said, caches, options};
use serde_json::{Value, json};
use tokio::time::timeout;

const PROCESSES: u64 = 4;
const KILLS: u32 = 10;

/// How many changes the processes have made, as far as this one knows.
fn seen(document: &Document) -> u64 {
    let counts = (0..PROCESSES).map(|n| document.get_as::<u64>(&format!("own.p{n}")));
    counts.map(|count| count.unwrap().unwrap_or(0)).sum()
}

async fn until_seen(document: &Document, changes: u64) {
    let mut watch = document.watch("own").unwrap();
    while seen(document) < changes {
        timeout(PATIENCE, watch.next()).await.unwrap();
    }
}

/// Four processes make changes of paths that overlap, some of them for a time only, and the manager is killed ten times meanwhile, at random
/// moments. In the end all of them hold the same, to the byte, it is what the file says, and no change is lost.
#[actix_rt::test]
async fn all_processes_hold_the_same_whoever_is_killed() {
    let all: u64 = std::env::var("DOCUMENT_CHANGES").map_or(8000, |text| text.parse().unwrap());
    // Each change goes with one of a path of the process's own.
    let changes = all / PROCESSES / 2 / u64::from(KILLS);
    let home = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let mut server = Process::start(home.path(), "serves").await;
    let mut processes = Vec::new();
    for _ in 0..PROCESSES {
        processes.push(Process::start(home.path(), "").await);
    }
    let observer = caches(home.path());
    let observed = observer.document("shared", options(home.path())).unwrap();
    let (mut dice, mut under_way) = (Dice::new(changes), 0);
    let mut before = 0;
    for round in 0..u64::from(KILLS) {
        until_seen(&observed, before).await;
        for (process, number) in processes.iter_mut().zip(0..) {
            process.order(&Order::Change {
                process: number,
                after: round * changes,
                changes,
                seed: round * PROCESSES + number,
            });
        }
        // After a random number of them, the manager is gone.
        until_seen(&observed, before + dice.roll(changes * PROCESSES)).await;
        before += changes * PROCESSES;
        under_way += u32::from(seen(&observed) < before);
        drop(server);
        server = Process::start(home.path(), "serves").await;
        for process in &mut processes {
            assert!(matches!(process.next().await, Said::Done));
        }
    }
    let changes = changes * u64::from(KILLS);
    let took = begun.elapsed();
    let mut late = Process::start(home.path(), "").await;
    let settled = Instant::now();
    let shown = loop {
        let mut shown = vec![late.shows().await];
        for process in &mut processes {
            shown.push(process.shows().await);
        }
        processes[0].does(&Order::Flush).await;
        shown.push(std::fs::read_to_string(observed.filename()).unwrap());
        // A time that is over meanwhile makes a difference for a moment.
        if shown.iter().all(|text| *text == shown[0]) {
            break shown.swap_remove(0);
        }
        assert!(settled.elapsed() < Duration::from_secs(10), "{shown:#?}");
    };
    let shown: Value = serde_json::from_str(&shown).unwrap();
    for number in 0..PROCESSES {
        assert_eq!(shown["own"][format!("p{number}")], json!(changes));
    }
    println!(
        "{} changes of {PROCESSES} processes, {KILLS} kills, {under_way} of them under way: equal after {} ms, {} ms after the last",
        2 * changes * PROCESSES,
        took.as_millis(),
        settled.elapsed().as_millis(),
    );
    assert!(under_way * 2 > KILLS, "the kills miss the changes");
}
