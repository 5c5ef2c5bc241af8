//! The master dies, and another one takes its workers over: they serve on, and what operators have decided stands.

use std::time::{Duration, Instant};

use cluster_core::Operation;
use serde_json::Value;

use crate::support::{
    Cluster, Connection, Kill, Load, Setup, Signal, Worker, signal, soon, within,
};

const LONG: Duration = Duration::from_secs(30);

/// Kills the master and starts another; waits until that one has adopted whoever lives.
fn replace_master(cluster: &mut Cluster) {
    Kill::of(cluster.master());
    cluster.start_master_again();
    cluster.line("whoever was left behind is adopted");
    cluster.wait_until_ready();
}

fn pids(workers: &[Worker]) -> Vec<u32> {
    workers.iter().map(|worker| worker.pid).collect()
}

/// How often the master is killed under load.
fn deaths() -> usize {
    std::env::var("EXAMPLES_MASTER_DEATHS").map_or(5, |n| n.parse().expect("a number"))
}

#[test]
fn masters_die_and_no_request_fails() {
    let mut cluster = Setup::hello().flag("--workers", 3).start();
    let (app, before) = (cluster.app(), cluster.serving());
    let load = Load::on(&app, 4, 2);
    let mut slowest = Duration::ZERO;
    for _ in 0..deaths() {
        let old = cluster.master();
        Kill::of(old);
        let dead = Instant::now();
        cluster.start_master_again();
        cluster.line("the monitor serves");
        assert_eq!(cluster.ask("/status").status, 200);
        slowest = slowest.max(dead.elapsed());
        cluster.wait_until_ready();
        assert_ne!(cluster.master(), old);
        let serving = cluster.serving();
        assert_eq!(pids(&serving), pids(&before), "the workers are the same");
        assert_eq!(serving, before, "and so are their numbers and generations");
        assert_eq!(format!("{:?}", cluster.app()), format!("{app:?}"));
    }
    println!(
        "{} deaths, the monitor was back within {slowest:?}",
        deaths()
    );
    load.end().assert_lost_only_to(&[]);
    let beats = cluster.until(LONG, "counters that went on", |status| {
        let workers = status["workers"].as_array().unwrap();
        workers
            .iter()
            .all(|worker| worker["beat"]["requests"].as_u64() > Some(0))
    });
    assert_eq!(beats["state"], "running");
    cluster.stop();
}

#[test]
fn what_operators_have_decided_stands() {
    let mut cluster = Setup::hello().flag("--workers", 2).start();
    cluster.operate(Operation::Scale { workers: 3 }).unwrap();
    cluster.until(LONG, "a third worker", |status| status["serving"] == 3);
    let paused = cluster.serving()[0].clone();
    cluster
        .operate(Operation::Pause {
            worker: Some(paused.pid),
            force: false,
        })
        .unwrap();
    cluster.operate(Operation::MarkDown).unwrap();
    cluster.until(LONG, "a paused worker", |status| status["serving"] == 2);
    assert_eq!(cluster.ask("/ecv").status, 503);
    Kill::of(cluster.master());
    cluster.start_master_again();
    cluster.line("whoever was left behind is adopted");
    let status = cluster.until(LONG, "all that was there", |status| {
        status["workers"].as_array().unwrap().len() == 3 && status["state"] == "running"
    });
    let state = |worker: &Value| worker["pid"] == paused.pid && worker["state"] == "paused";
    assert!(
        status["workers"].as_array().unwrap().iter().any(state),
        "{status:#}"
    );
    assert_eq!(cluster.ask("/ecv").status, 503, "it is still marked down");
    cluster.operate(Operation::Resume { worker: None }).unwrap();
    cluster.operate(Operation::MarkUp).unwrap();
    cluster.until(LONG, "three that serve", |status| status["serving"] == 3);
    assert_eq!(cluster.ask("/ecv").status, 200);
    cluster.stop();
}

#[test]
fn a_restart_that_was_under_way_is_finished() {
    let mut cluster = Setup::hello().flag("--workers", 3).start();
    let load = Load::on(&cluster.app(), 2, 2);
    cluster.operate(Operation::Restart { wait: false }).unwrap();
    // In the middle of it: one has been replaced.
    cluster.line("dismissing");
    replace_master(&mut cluster);
    let done = cluster.until(
        Duration::from_secs(60),
        "the end of the restart",
        |status| {
            let workers = status["workers"].as_array().unwrap();
            workers.len() == 3
                && workers
                    .iter()
                    .all(|worker| worker["generation"] == 2 && worker["state"] == "active")
        },
    );
    assert_eq!(done["death_queue"].as_array().unwrap().len(), 0);
    load.end().assert_lost_only_to(&[]);
    cluster.stop();
}

#[test]
fn workers_that_die_while_there_is_no_master_are_replaced() {
    let mut cluster = Setup::hello().flag("--workers", 3).start();
    let workers = cluster.serving();
    Kill::of(cluster.master());
    Kill::of(workers[1].pid);
    cluster.start_master_again();
    let status = cluster.until(LONG, "three that serve", |status| status["serving"] == 3);
    let ids = status["workers"].as_array().unwrap();
    let ids: Vec<_> = ids
        .iter()
        .map(|worker| worker["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids, [1, 3, 4], "no number is used twice");
    cluster.stop();
}

#[test]
fn a_stopped_worker_is_adopted_and_judged_like_any_other() {
    let mut cluster = Setup::hello()
        .flag("--nanny.tolerance", 1500)
        .flag("--stop-timeout", 500)
        .start();
    let stopped = cluster.serving()[0].pid;
    // Afterwards: what is stopped when its group is orphaned, the kernel continues.
    Kill::of(cluster.master());
    signal(stopped, Signal::STOP);
    cluster.start_master_again();
    cluster.line("adopted, and has not linked yet");
    cluster.line("condemned: silent for too long");
    cluster.until(Duration::from_secs(60), "its replacement", |status| {
        let workers = status["workers"].as_array().unwrap();
        status["serving"] == 2 && workers.iter().all(|worker| worker["pid"] != stopped)
    });
    cluster.stop();
}

#[test]
fn a_master_that_cannot_start_harms_nobody() {
    let mut cluster = Setup::hello().start();
    let (app, workers) = (cluster.app(), cluster.serving());
    Kill::of(cluster.master());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    cluster.start_master_with(|command| {
        command
            .env("CLUSTER_SKIP_CHECK_BUSY_PORTS", "true")
            .args(["--mon-port", &port]);
    });
    assert_eq!(cluster.exit(LONG).code(), Some(1));
    for worker in &workers {
        within(Duration::from_secs(5), "an answer of each", || {
            let answer = Connection::get(&app, "/pid").ok()?;
            (answer.pid() == worker.pid).then_some(())
        });
    }
    drop(taken);
    cluster.start_master_again();
    cluster.wait_until_ready();
    assert_eq!(pids(&cluster.serving()), pids(&workers));
    cluster.stop();
}

#[test]
fn all_processes_but_one_worker_die_together() {
    let mut cluster = Setup::hello().flag("--workers", 3).start();
    let status = cluster.status();
    let cache = status["cache_manager"]["pid"].as_u64().unwrap();
    let workers = cluster.serving();
    for pid in [
        cluster.master(),
        u32::try_from(cache).unwrap(),
        workers[0].pid,
        workers[2].pid,
    ] {
        signal(pid, Signal::KILL);
    }
    soon("their end", || {
        (cluster.processes().len() == 1).then_some(())
    });
    cluster.start_master_again();
    cluster.wait_until_ready();
    let serving = cluster.serving();
    assert_eq!(serving.len(), 3);
    assert!(serving.contains(&workers[1]));
    cluster.stop();
}
