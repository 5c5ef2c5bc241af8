//! Workers that are there and say nothing.

use std::time::Duration;

use serde_json::Value;

use crate::support::{Setup, Signal, signal};

#[test]
fn a_silent_worker_is_suspected_condemned_and_replaced() {
    let cluster = Setup::hello()
        .flag("--heartbeat-interval", 200)
        .flag("--nanny.tolerance", 1500)
        .flag("--stop-timeout", 1000)
        .start();
    let [silent, other] = cluster.serving().try_into().unwrap();
    assert!(signal(silent.pid, Signal::STOP));
    let of = |status: &Value| status["workers"].as_array().unwrap().clone();
    cluster.until(Duration::from_secs(10), "the suspicion", |status| {
        of(status)
            .iter()
            .any(|worker| worker["pid"] == silent.pid && worker["suspect"] == true)
    });
    assert_eq!(
        cluster.line("condemned").field("worker"),
        Some(&*silent.id.to_string())
    );
    // It hears no word and no SIGTERM: SIGKILL ends it, once its time is over.
    cluster.until(Duration::from_secs(30), "its replacement", |status| {
        let pids: Vec<u64> = of(status)
            .iter()
            .filter_map(|worker| worker["pid"].as_u64())
            .collect();
        status["serving"] == 2 && !pids.contains(&silent.pid.into())
    });
    assert!(
        cluster.serving().contains(&other),
        "the one that was heard stays"
    );
    assert_eq!(cluster.get("/").body, "hello");
    cluster.stop();
}

#[test]
fn a_worker_that_is_heard_again_in_time_is_cleared() {
    let cluster = Setup::hello().flag("--heartbeat-interval", 200).start();
    let before = cluster.serving();
    let pause = before[0].clone();
    let suspect = |status: &Value| {
        let workers = status["workers"].as_array().unwrap();
        workers
            .iter()
            .any(|worker| worker["pid"] == pause.pid && worker["suspect"] == true)
    };
    assert!(signal(pause.pid, Signal::STOP));
    cluster.until(Duration::from_secs(10), "the suspicion", suspect);
    assert!(signal(pause.pid, Signal::CONT));
    cluster.until(Duration::from_secs(10), "its end", |status| {
        !suspect(status)
    });
    assert_eq!(cluster.serving(), before);
    cluster.stop();
}

#[test]
fn nobody_is_condemned_where_the_nanny_is_off() {
    let cluster = Setup::hello()
        .flag("--heartbeat-interval", 50)
        .flag("--nanny.tolerance", 100)
        .switch("--nanny.enable=false")
        .start();
    let before = cluster.serving();
    assert!(signal(before[0].pid, Signal::STOP));
    // The other one beats on, twenty times and more: long past the tolerance.
    let beats = |status: &Value| {
        let workers = status["workers"].as_array().unwrap();
        let other = workers.iter().find(|worker| worker["pid"] == before[1].pid);
        other
            .and_then(|worker| worker["beat"]["uptime_ms"].as_u64())
            .unwrap_or_default()
    };
    let now = beats(&cluster.status());
    cluster.until(Duration::from_secs(30), "a second", |status| {
        beats(status) > now + 1000
    });
    assert!(signal(before[0].pid, Signal::CONT));
    assert_eq!(cluster.serving(), before);
    cluster.stop();
}
