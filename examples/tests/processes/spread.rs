//! How connections spread over workers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

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
    // The workers' own figures say when all are open, and when all have gone: the next round begins with none.
    live(cluster, count);
    drop(connections);
    live(cluster, 0);
    held
}

/// Waits until the workers say that they hold so many connections together.
fn live(cluster: &Cluster, count: usize) {
    cluster.until(
        Duration::from_secs(30),
        "the count of live connections",
        |status| {
            let live = |worker: &Value| worker["beat"]["live_connections"].as_u64();
            let all = status["workers"].as_array().unwrap();
            all.iter().filter_map(live).sum::<u64>() == count as u64
        },
    );
}

/// How many the busiest worker holds. In single rounds the machine has other things to do, and wakes nobody but one of the workers.
fn median_of_nine(who: &str, round: impl Fn() -> BTreeMap<u32, usize>) -> usize {
    let rounds = (0..9).map(|_| round().into_values().max().unwrap());
    let mut rounds: Vec<usize> = rounds.collect();
    rounds.sort_unstable();
    println!("{who} held, of 64: {rounds:?}");
    rounds[4]
}

#[test]
fn two_workers_share_64_kept_connections() {
    let cluster = Setup::hello().start();
    let busier = median_of_nine("the busier of two", || spread(&cluster, 64));
    assert!(busier * 100 <= 64 * 55, "over 55 %: {busier}");
    cluster.stop();
}

#[test]
fn none_of_eight_workers_holds_much_more_than_its_share() {
    let cluster = Setup::hello().flag("--workers", 8).start();
    let busiest = median_of_nine("the busiest of eight", || {
        let held = spread(&cluster, 64);
        assert_eq!(held.len(), 8);
        held
    });
    assert!(busiest <= 12, "over 1.5 of the mean: {busiest}");
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
