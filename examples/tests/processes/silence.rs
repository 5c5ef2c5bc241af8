//! Workers that are there and say nothing.

use std::fs;
use std::time::Duration;

use rustix::net::{Shutdown, SocketAddrUnix, getpeername, shutdown};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use serde_json::Value;

use crate::support::{Cluster, Connection, Load, Setup, Signal, signal, within};

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
    let condemned = cluster.line("condemned");
    let named = format!("process=worker {} ", silent.id);
    assert!(condemned.text.contains(&named), "{}", condemned.text);
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

/// Shuts down what links a process to its master.
fn cut_link(cluster: &Cluster, pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let process = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    let master = SocketAddrUnix::new(cluster.path("run/master.sock")).unwrap();
    for fd in 3..64 {
        let Ok(fd) = pidfd_getfd(&process, fd, PidfdGetfdFlags::empty()) else {
            continue;
        };
        if getpeername(&fd).is_ok_and(|peer| peer == Some(master.clone().into())) {
            shutdown(&fd, Shutdown::Both).unwrap();
        }
    }
}

#[test]
fn a_worker_whose_link_is_dead_is_replaced_though_it_serves() {
    let cluster = Setup::hello()
        .flag("--heartbeat-interval", 200)
        .flag("--nanny.tolerance", 1500)
        .flag("--stop-timeout", 1000)
        .start();
    let [unlinked, other] = cluster.serving().try_into().unwrap();
    let load = Load::on(&cluster.app(), 2, 1);
    // It is cut, and finds nobody when it would link again.
    let (socket, aside) = (cluster.path("run/master.sock"), cluster.path("run/aside"));
    fs::rename(&socket, &aside).unwrap();
    cut_link(&cluster, unlinked.pid);
    let condemned = cluster.line("condemned");
    let named = format!("process=worker {} ", unlinked.id);
    assert!(condemned.text.contains(&named), "{}", condemned.text);
    let serves = || {
        let answer = Connection::get(&cluster.app(), "/pid").ok()?;
        (answer.pid() == unlinked.pid).then_some(())
    };
    within(
        Duration::from_secs(10),
        "an answer of it all the same",
        serves,
    );
    // Its successor has to reach the master.
    fs::rename(&aside, &socket).unwrap();
    cluster.until(Duration::from_secs(60), "its replacement", |status| {
        let workers = status["workers"].as_array().unwrap();
        let there = |pid: u32| workers.iter().any(|worker| worker["pid"] == pid);
        status["serving"] == 2 && !there(unlinked.pid) && there(other.pid)
    });
    load.end().assert_lost_only_to(&[]);
    cluster.stop();
}

#[test]
fn a_cache_manager_that_is_silent_is_killed_and_started_anew() {
    let cluster = Setup::hello()
        .flag("--heartbeat-interval", 200)
        .flag("--nanny.tolerance", 1500)
        .start();
    let pid_of = |status: &Value| status["cache_manager"]["pid"].as_u64().unwrap();
    let silent = pid_of(&cluster.status());
    assert!(signal(u32::try_from(silent).unwrap(), Signal::STOP));
    cluster.until(Duration::from_secs(60), "another one", |status| {
        pid_of(status) != silent && status["cache_manager"]["state"] == "active"
    });
    cluster.stop();
}
