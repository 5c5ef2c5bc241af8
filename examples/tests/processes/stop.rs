//! How a cluster stops.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Answer, Cluster, Connection, Failure, Setup, Signal, signal};

/// Long enough for everything but a request that is waited for in vain.
const SOON: Duration = Duration::from_secs(10);

/// A request that takes so long, on a connection that a worker has accepted.
///
/// Should the worker hear of the stop before it reads the request, it answers all the same: idle connections have a second's grace.
fn slow(cluster: &Cluster, ms: u64) -> thread::JoinHandle<Result<Answer, Failure>> {
    let mut connection = Connection::open(&cluster.app()).unwrap();
    connection.ask("/pid").unwrap();
    thread::spawn(move || connection.ask(&format!("/slow?ms={ms}")))
}

#[test]
fn a_request_under_way_is_answered_before_the_end() {
    let mut cluster = Setup::hello().start();
    let request = slow(&cluster, 1500);
    cluster.signal(Signal::TERM);
    let answer = request.join().unwrap().unwrap();
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "slept 1500 ms")
    );
    assert!(answer.closes());
    assert_eq!(cluster.exit(SOON).code(), Some(0));
    cluster.assert_nothing_left();
}

#[test]
fn an_idle_connection_does_not_hold_up_a_stop() {
    let mut cluster = Setup::hello().start();
    let mut idle = Connection::open(&cluster.app()).unwrap();
    idle.ask("/").unwrap();
    let begun = Instant::now();
    cluster.signal(Signal::TERM);
    assert_eq!(cluster.exit(SOON).code(), Some(0));
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    assert!(matches!(idle.ask("/"), Err(Failure::Unanswered)));
    cluster.assert_nothing_left();
}

#[test]
fn ctrl_c_in_a_terminal_is_a_stop_in_good_order() {
    let mut cluster = Setup::hello().start();
    let request = slow(&cluster, 500);
    cluster.interrupt_group();
    assert_eq!(request.join().unwrap().unwrap().status, 200);
    assert_eq!(cluster.exit(SOON).code(), Some(0));
    cluster.assert_nothing_left();
}

#[test]
fn a_second_signal_forces() {
    let mut cluster = Setup::hello().start();
    let request = slow(&cluster, 60_000);
    cluster.signal(Signal::TERM);
    cluster.line("dismissing");
    // Another signal than the first: equal ones in a row count once.
    cluster.signal(Signal::INT);
    cluster.exit(SOON);
    assert!(matches!(request.join().unwrap(), Err(Failure::Unanswered)));
    cluster.assert_nothing_left();
}

#[test]
fn the_deadline_forces() {
    let mut cluster = Setup::hello().flag("--stop-timeout", 500).start();
    let request = slow(&cluster, 60_000);
    cluster.signal(Signal::TERM);
    cluster.exit(SOON);
    assert!(matches!(request.join().unwrap(), Err(Failure::Unanswered)));
    cluster.assert_nothing_left();
}

#[test]
fn a_stop_at_any_step_of_the_start_leaves_nothing() {
    for step in [
        "configuring the monitor",
        "cache manager started",
        " bound ",
        "worker started",
        "warming",
    ] {
        let mut cluster = Setup::hello().spawn();
        cluster.line(step);
        cluster.signal(Signal::TERM);
        let status = cluster.exit(SOON);
        assert!(status.success(), "{step}: {status}");
        cluster.assert_nothing_left();
        let log = cluster.log.text();
        assert!(
            !log.contains("error:"),
            "a stop is no error, whenever it comes:\n{log}"
        );
    }
}

#[test]
fn a_process_that_stands_still_does_not_hold_up_a_forced_stop() {
    let mut cluster = Setup::hello().start();
    let manager = cluster.status()["cache_manager"]["pid"].as_u64().unwrap();
    let still = [u32::try_from(manager).unwrap(), cluster.serving()[0].pid];
    for pid in still {
        assert!(signal(pid, Signal::STOP));
    }
    cluster.signal(Signal::TERM);
    cluster.line("dismissing");
    cluster.signal(Signal::INT);
    cluster.exit(SOON);
    cluster.assert_nothing_left();
}

#[test]
fn a_stop_during_a_restart_leaves_nothing() {
    let mut cluster = Setup::hello().start();
    let first = cluster.log.len();
    cluster.signal(Signal::HUP);
    cluster.line_since(first, "worker started");
    cluster.signal(Signal::TERM);
    assert_eq!(cluster.exit(SOON).code(), Some(0));
    cluster.assert_nothing_left();
}
