//! The example that is no server.

use std::time::Duration;

use serde_json::Value;

use crate::support::{Kill, Setup};

#[test]
fn a_job_runs_in_every_worker_and_ends_in_good_order() {
    let cluster = Setup::jobs().flag("--every", 20).start();
    let serving = cluster.serving();
    let ticks = || cluster.ask("/status/ticks").json();
    let count = |of: &Value, pid: u32| {
        let entries = of.as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .find(|entry| entry["pid"] == pid)
            .and_then(|entry| entry["status"].as_u64())
    };
    let before = ticks();
    for worker in &serving {
        crate::support::soon("a tick of each worker", || {
            (count(&ticks(), worker.pid)? > count(&before, worker.pid).unwrap_or_default())
                .then_some(())
        });
    }
    let heard = cluster.line("ticked");
    assert!(heard.text.contains("worker"), "{}", heard.text);
    let all = ticks();
    let all: u64 = serving
        .iter()
        .filter_map(|worker| count(&all, worker.pid))
        .sum();
    let sum = cluster.ask("/status/ticks?reduce=sum").json();
    assert!(sum.as_f64().unwrap() >= all as f64, "{sum} after {all}");
    assert_eq!(cluster.ask("/status/ticks?reduce=nothing").status, 400);
    let names = cluster.ask("/status/").json();
    assert!(
        names.as_array().unwrap().contains(&"ticks".into()),
        "{names}"
    );
    let log = cluster.log.clone();
    cluster.stop_and(|| {
        let done = log
            .since(0)
            .iter()
            .filter(|line| line.text.contains("the job is done"))
            .count();
        assert_eq!(done, 2, "{}", log.text());
    });
}

#[test]
fn a_worker_killed_at_its_job_is_replaced() {
    let cluster = Setup::jobs().start();
    let victim = cluster.serving().remove(0);
    Kill::of(victim.pid);
    cluster.until(Duration::from_secs(10), "another worker", |status| {
        let workers = status["workers"].as_array().unwrap();
        status["serving"] == 2 && workers.iter().all(|worker| worker["pid"] != victim.pid)
    });
    cluster.stop();
}

#[test]
fn a_flag_of_the_application_that_makes_no_sense_is_an_error() {
    Setup::jobs()
        .flag("--every", "often")
        .fail()
        .names(&["--every", "often", "1 to 3600000"]);
}
