//! Workers that get worse are noticed, named and replaced, and the others serve on.

use std::time::Duration;

use crate::support::{Cluster, Connection, Load, ServingWatch, Setup, soon, within};

const LONG: Duration = Duration::from_secs(30);

/// Has one of the workers do something to itself; says which, where it says so in time.
fn post(cluster: &Cluster, path: &str, patience: Duration) -> Option<u32> {
    let mut connection = Connection::open_with(&cluster.app(), patience).unwrap();
    let answer = connection.send("POST", path, &[]).ok()?;
    assert_eq!(answer.status, 200, "{answer:?}");
    Some(answer.pid())
}

/// Waits until a worker is queued for this reason, and is replaced; gives back its pid.
#[track_caller]
fn replaced(cluster: &Cluster, reason: &str) -> u32 {
    let queued = cluster.line("queued for replacement");
    assert!(queued.text.contains(reason), "{}", queued.text);
    let worker = queued.field("worker").unwrap();
    let retiring = soon("its retirement", || {
        let lines = cluster.log.since(0);
        let of_it = |line: &&crate::support::Line| {
            line.is("master", "retiring") && line.field("worker") == Some(worker)
        };
        lines.iter().find(of_it).cloned()
    });
    assert!(retiring.text.contains(reason), "{}", retiring.text);
    let pid = retiring.pid().unwrap();
    cluster.until(Duration::from_secs(60), "its replacement", |status| {
        let workers = status["workers"].as_array().unwrap();
        status["serving"] == 2 && workers.iter().all(|worker| worker["pid"] != pid)
    });
    pid
}

#[test]
fn a_worker_that_leaks_is_replaced_for_its_memory() {
    let cluster = Setup::decay().flag("--max-memory", "200MiB").start();
    let watch = ServingWatch::of(cluster.monitor());
    let load = Load::on(&cluster.app(), 2, 1);
    let leaks = post(&cluster, "/leak?mib=300", LONG).unwrap();
    assert_eq!(replaced(&cluster, "MiB of memory (allowed: 200)"), leaks);
    load.end().assert_lost_only_to(&[]);
    assert!(watch.fewest() >= 2, "its successor serves first");
    cluster.stop();
}

#[test]
fn a_worker_that_does_less_at_a_higher_cost_is_replaced_as_degraded() {
    let cluster = Setup::decay().flag("--heartbeat-interval", 500).start();
    let watch = ServingWatch::of(cluster.monitor());
    let load = Load::on(&cluster.app(), 8, 1);
    // At its best it is seen for some beats.
    let beats = |cluster: &Cluster| {
        let workers = cluster.status()["workers"].as_array().unwrap().clone();
        let uptime = |worker: &serde_json::Value| worker["beat"]["uptime_ms"].as_u64();
        workers.iter().filter_map(uptime).min().unwrap_or_default()
    };
    let begun = beats(&cluster);
    within(Duration::from_secs(60), "some beats", || {
        (beats(&cluster) >= begun + 2500).then_some(())
    });
    // Each of its answers takes this much longer, and its core has nothing to spare.
    let slow = post(&cluster, "/slow?us=20000", LONG).unwrap();
    assert_eq!(replaced(&cluster, "degraded to"), slow);
    load.end().assert_lost_only_to(&[]);
    assert!(watch.fewest() >= 2, "its successor serves first");
    cluster.stop();
}

/// A worker with a thread that is stuck is silent, and its log tells where it is.
fn is_replaced_as_silent(path: &str, threads: u32) {
    let cluster = Setup::decay()
        .flag("--threads", threads)
        .flag("--nanny.tolerance", 1500)
        // Time to look up the names of all it is doing, which takes seconds without optimisation.
        .flag("--stop-timeout", 8000)
        .start();
    let watch = ServingWatch::of(cluster.monitor());
    let before = cluster.serving();
    assert_eq!(post(&cluster, path, Duration::from_secs(1)), None);
    let stuck = replaced(&cluster, "silent for");
    assert!(before.iter().any(|worker| worker.pid == stuck));
    assert!(watch.fewest() >= 2, "its successor serves first");
    let stacks = format!("stacks of process {stuck} ");
    let log = cluster.log.text();
    let (_, stacks) = log.split_once(&stacks).expect(&stacks);
    assert!(stacks.contains("bin/decay.rs"), "{stacks}");
    // Whoever was on the other worker, or comes now, is served.
    assert_eq!(cluster.get("/").status, 200);
    cluster.stop();
}

#[test]
fn a_worker_that_spins_is_replaced_as_silent() {
    is_replaced_as_silent("/spin", 1);
}

#[test]
fn a_worker_that_waits_for_itself_is_replaced_as_silent() {
    is_replaced_as_silent("/deadlock", 1);
}

#[test]
fn a_worker_with_one_thread_of_two_that_spins_is_replaced_as_silent() {
    is_replaced_as_silent("/spin", 2);
}

#[test]
fn all_that_are_to_be_replaced_at_once_are_replaced_one_at_a_time() {
    let cluster = Setup::decay()
        .flag("--workers", 3)
        .flag("--max-requests", 300)
        .start();
    let born: Vec<u32> = cluster.serving().iter().map(|worker| worker.pid).collect();
    let watch = ServingWatch::of(cluster.monitor());
    let load = Load::on(&cluster.app(), 6, 2);
    within(Duration::from_secs(120), "the replacement of all", || {
        let now = cluster.serving();
        (now.len() == 3 && now.iter().all(|worker| !born.contains(&worker.pid))).then_some(())
    });
    load.end().assert_lost_only_to(&[]);
    assert!(watch.fewest() >= 2, "no more than one is missing");
    assert!(cluster.log.text().contains("requests answered"));
    cluster.stop();
}

#[test]
fn a_rule_that_would_retire_the_newborn_is_not_heeded_and_says_so() {
    let cluster = Setup::decay().flag("--max-memory", "1MiB").start();
    let line = cluster.line("has just been born");
    assert_eq!(line.field("rule"), Some("max-memory"));
    let before = cluster.serving();
    let beats = cluster.status()["workers"][0]["beat"]["uptime_ms"].as_u64();
    let later = beats.unwrap_or_default() + 1000;
    cluster.until(Duration::from_secs(30), "ten beats", |status| {
        let uptime = status["workers"][0]["beat"]["uptime_ms"].as_u64();
        uptime.unwrap_or_default() > later
    });
    assert_eq!(cluster.serving(), before);
    cluster.stop();
}
