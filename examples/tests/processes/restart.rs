//! Rolling restarts: every worker is replaced, and no user notices.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::{Cluster, Line, Load, ServingWatch, Setup, Signal, soon};

/// Rolls the cluster, and waits for the end of it.
pub(crate) fn roll(cluster: &Cluster) {
    let first = cluster.log.len();
    // Equal signals within half a second count once: it is sent until it counts.
    soon("the begin of a restart", || {
        cluster.signal(Signal::HUP);
        let begun = |line: &Line| line.is("master", "rolling restart generation");
        cluster.log.find(first, Duration::from_millis(100), begun)
    });
    cluster.line_since(first, "rolling restart done");
}

/// The fewest workers that served at any time, by what the log says.
fn fewest_by_log(cluster: &Cluster) -> usize {
    let mut serving = 0_usize;
    let mut fewest = usize::MAX;
    for line in cluster.log.since(0) {
        if line.is("master", " listening ") {
            serving += 1;
        } else if line.is("master", " dismissing ") {
            serving -= 1;
        } else if line.is("master", "all workers are ready") {
            fewest = serving;
        }
        fewest = fewest.min(if fewest == usize::MAX {
            fewest
        } else {
            serving
        });
    }
    fewest
}

#[test]
fn two_restarts_in_a_row_lose_no_request() {
    let cluster = Setup::hello().flag("--workers", 3).start();
    let watch = ServingWatch::of(cluster.monitor());
    let load = Load::on(&cluster.app(), 6, 3);
    let mut known: BTreeSet<u32> = cluster.serving().iter().map(|worker| worker.pid).collect();
    for generation in 2..=3 {
        roll(&cluster);
        let serving = cluster.serving();
        assert_eq!(serving.len(), 3);
        for worker in serving {
            assert_eq!(worker.generation, generation);
            assert!(
                known.insert(worker.pid),
                "worker {} is a new process",
                worker.id
            );
        }
    }
    load.end().assert_lost_only_to(&[]);
    assert!(watch.fewest() >= 2);
    assert!(fewest_by_log(&cluster) >= 2, "{}", cluster.log.text());
    cluster.stop();
}

#[test]
fn a_cluster_of_one_is_restarted_without_a_gap() {
    let cluster = Setup::hello().flag("--workers", 1).start();
    let load = Load::on(&cluster.app(), 2, 2);
    roll(&cluster);
    load.end().assert_lost_only_to(&[]);
    cluster.stop();
}

#[test]
fn a_request_under_way_is_answered_by_the_worker_that_took_it() {
    let cluster = Setup::hello().flag("--workers", 1).start();
    let mut connection = crate::support::Connection::open(&cluster.app()).unwrap();
    let old = connection.ask("/pid").unwrap().pid();
    let slow = std::thread::spawn(move || connection.ask("/slow?ms=1500"));
    roll(&cluster);
    let answer = slow.join().unwrap().unwrap();
    assert_eq!((answer.status, answer.closes()), (200, true), "{answer:?}");
    assert_ne!(cluster.serving()[0].pid, old);
    cluster.stop();
}
