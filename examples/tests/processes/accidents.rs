//! Workers that die by themselves.

use std::time::Duration;

use crate::support::{Cluster, Connection, Failure, Kill, Load, Setup, within};

/// How soon another worker serves in the place of one that died; a build without optimisation takes a second to start it alone.
const REPLACED: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 2 });

/// Waits until two workers serve, none of them of this pid.
fn replaced(cluster: &Cluster, died: u32) {
    within(
        REPLACED,
        "another worker in the place of the dead one",
        || {
            let serving = cluster.serving();
            (serving.len() == 2 && serving.iter().all(|worker| worker.pid != died)).then_some(())
        },
    );
}

#[test]
fn a_killed_worker_is_replaced_and_takes_nothing_with_it_but_its_own_connections() {
    let cluster = Setup::hello().start();
    let load = Load::on(&cluster.app(), 6, 2);
    let [victim, other] = cluster.serving().try_into().unwrap();
    let kill = Kill::of(victim.pid);
    replaced(&cluster, victim.pid);
    load.end().assert_lost_only_to(&[kill]);
    assert!(
        cluster.serving().contains(&other),
        "the other one serves on"
    );
    let died = cluster.line("worker ended worker=");
    assert_eq!(died.pid(), Some(victim.pid));
    assert!(
        died.text.contains("SIGKILL") && died.text.contains("accident=true"),
        "{}",
        died.text
    );
    cluster.stop();
}

#[test]
fn a_request_that_aborts_its_process_costs_one_worker() {
    let cluster = Setup::hello().start();
    let mut connection = Connection::open(&cluster.app()).unwrap();
    let victim = connection.ask("/pid").unwrap().pid();
    let crashed = connection.ask("/crash");
    assert!(matches!(crashed, Err(Failure::Unanswered)), "{crashed:?}");
    assert_eq!(cluster.get("/").body, "hello", "the others serve on");
    replaced(&cluster, victim);
    let died = cluster.line("worker ended worker=");
    assert!(died.text.contains("SIGABRT"), "{}", died.text);
    cluster.stop();
}

#[test]
fn a_panic_fails_its_own_request_alone() {
    let cluster = Setup::hello().start();
    let before = cluster.serving();
    let mut neighbour = Connection::open(&cluster.app()).unwrap();
    let pid = neighbour.ask("/pid").unwrap().pid();
    // Each worker panics at least once: half of the connections are its own.
    for _ in 0..16 {
        assert_eq!(cluster.get("/panic").status, 500);
    }
    assert_eq!(neighbour.ask("/pid").unwrap().pid(), pid);
    assert_eq!(cluster.serving(), before, "nobody died of it");
    cluster.until(
        Duration::from_secs(10),
        "the panics in the heartbeats",
        |status| {
            let panics = |worker: &serde_json::Value| worker["beat"]["panics"].as_u64();
            status["workers"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(panics)
                .sum::<u64>()
                == 16
        },
    );
    cluster.stop();
}

#[test]
fn a_crash_loop_is_named_and_the_cluster_serves_on() {
    let cluster = Setup::hello().start();
    for _ in 0..5 {
        let first = cluster.log.len();
        let victim = cluster.serving().remove(0);
        Kill::of(victim.pid);
        cluster.line_since(first, "worker ended worker=");
        if cluster.status()["state"] == "degraded" {
            break;
        }
        cluster.line_since(first, "listening");
    }
    cluster.line("crash loop");
    let status = cluster.status();
    assert_eq!(status["state"], "degraded");
    assert!(
        status["crash_loop"].as_str().unwrap().contains("signal 9"),
        "{status}"
    );
    assert_eq!(cluster.get("/").body, "hello", "the other worker serves on");
    cluster.stop();
}

#[test]
fn a_cache_manager_that_dies_is_replaced() {
    let cluster = Setup::hello().start();
    let before = cluster.serving();
    let pid = |status: &serde_json::Value| status["cache_manager"]["pid"].as_u64();
    let victim = pid(&cluster.status()).unwrap();
    Kill::of(u32::try_from(victim).unwrap());
    cluster.until(Duration::from_secs(10), "another cache manager", |status| {
        pid(status).is_some_and(|pid| pid != victim) && status["cache_manager"]["state"] == "active"
    });
    assert_eq!(cluster.serving(), before, "no worker noticed");
    cluster.stop();
}
