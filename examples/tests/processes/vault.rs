//! The example whose store not every worker reaches.

use std::time::Duration;

use cluster_core::Operation;

use crate::support::{Cluster, Connection, Kill, Setup, Worker, within};

const LONG: Duration = Duration::from_secs(60);

/// Asks until this worker answers.
fn ask(cluster: &Cluster, worker: &Worker, method: &str, path: &str) -> u16 {
    within(LONG, "an answer of this worker", || {
        let mut connection = Connection::open(&cluster.app()).ok()?;
        // The next request on the connection is the same worker's.
        let answers = connection.ask("/pid").ok()?.pid() == worker.pid;
        answers
            .then(|| connection.send(method, path, &[]).ok())
            .flatten()
    })
    .status
}

/// Each worker is let in where its number is odd, and cannot let itself in.
fn only_odd_ones_are_in(cluster: &Cluster) {
    let workers = cluster.serving();
    assert_eq!(workers.len(), 2);
    for worker in &workers {
        let expected = if worker.id % 2 == 1 { 200 } else { 403 };
        within(LONG, "the master's word", || {
            (ask(cluster, worker, "GET", "/secret") == expected).then_some(())
        });
        assert_eq!(ask(cluster, worker, "POST", "/enter"), 403);
        assert_eq!(ask(cluster, worker, "GET", "/secret"), expected);
    }
}

#[test]
fn only_added_workers_reach_the_store_also_with_the_next_owner() {
    for mode in ["standalone", "master"] {
        let cluster = Setup::vault().flag("--cache.mode", mode).start();
        only_odd_ones_are_in(&cluster);
        cluster.operate(Operation::Restart { wait: true }).unwrap();
        only_odd_ones_are_in(&cluster);
        if mode == "standalone" {
            let manager = cluster.status()["cache_manager"]["pid"].as_u64().unwrap();
            Kill::of(u32::try_from(manager).unwrap());
            cluster.until(LONG, "another cache manager", |status| {
                let now = status["cache_manager"]["pid"].as_u64();
                now.is_some_and(|now| now != manager)
            });
            only_odd_ones_are_in(&cluster);
        }
        cluster.stop();
    }
}
