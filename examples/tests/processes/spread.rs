//! How connections spread over workers.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::{Cluster, Connection, Failure, Setup, Signal, signal};

/// Opens so many connections at once, and counts how many each worker has.
fn spread(cluster: &Cluster, count: usize) -> BTreeMap<u32, usize> {
    let address = cluster.app();
    let open = || Connection::open(&address).unwrap();
    let mut connections: Vec<Connection> = (0..count).map(|_| open()).collect();
    let mut held: BTreeMap<u32, usize> = cluster.serving().iter().map(|w| (w.pid, 0)).collect();
    for connection in &mut connections {
        *held
            .entry(connection.ask("/pid").unwrap().pid())
            .or_default() += 1;
    }
    drop(connections);
    cluster.until(
        Duration::from_secs(30),
        "the end of all connections",
        |status| {
            let live = |worker: &serde_json::Value| worker["beat"]["live_connections"].as_u64();
            status["workers"]
                .as_array()
                .unwrap()
                .iter()
                .all(|worker| live(worker) == Some(0))
        },
    );
    held
}

#[test]
fn two_workers_share_64_kept_connections() {
    let cluster = Setup::hello().start();
    let busier = |held: BTreeMap<u32, usize>| held.into_values().max().unwrap();
    let mut rounds: Vec<usize> = (0..9).map(|_| busier(spread(&cluster, 64))).collect();
    rounds.sort_unstable();
    println!("the busier of two held, of 64: {rounds:?}");
    assert!(rounds[4] * 100 <= 64 * 55, "median over 55 %: {rounds:?}");
    cluster.stop();
}

#[test]
fn none_of_eight_workers_holds_much_more_than_its_share() {
    let cluster = Setup::hello().flag("--workers", 8).start();
    for _ in 0..3 {
        let held = spread(&cluster, 64);
        println!("eight held, of 64: {:?}", held.values());
        assert_eq!(held.len(), 8);
        assert!(
            held.values().all(|count| *count <= 12),
            "over 1.5 of the mean: {held:?}"
        );
    }
    cluster.stop();
}

#[test]
fn a_worker_that_stands_still_takes_no_new_connection_after_one() {
    let cluster = Setup::hello().start();
    let [still, other] = cluster.serving().try_into().unwrap();
    assert!(signal(still.pid, Signal::STOP));
    let patience = Duration::from_secs(2);
    let mut trapped = Vec::new();
    for _ in 0..32 {
        let mut connection = Connection::open_with(&cluster.app(), patience).unwrap();
        match connection.ask("/pid") {
            Ok(answer) => assert_eq!(answer.pid(), other.pid),
            Err(Failure::Late) => trapped.push(connection),
            Err(failure) => panic!("{failure:?}"),
        }
        assert!(trapped.len() <= 1, "it takes connection after connection");
    }
    assert!(signal(still.pid, Signal::CONT));
    cluster.stop();
}
