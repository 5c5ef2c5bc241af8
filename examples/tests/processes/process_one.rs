//! A master that is process 1 of its namespace, as in a container.

use std::fs;
use std::fs::OpenOptions;
use std::process::Command;
use std::time::Duration;

use crate::support::{Cluster, Setup, Signal, children, signal, soon};

/// Long enough for what is to come at once, on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// What makes a program process 1 of a namespace of its own; none where this user may not.
fn unshare() -> Option<[&'static str; 5]> {
    let unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
    let tried = Command::new(unshare[0])
        .args(&unshare[1..])
        .arg("true")
        .output();
    if tried.is_ok_and(|output| output.status.success()) {
        return Some(unshare);
    }
    println!("namespaces of processes are not permitted here: nothing to see");
    None
}

/// The pid that a process 1 has outside of its namespace.
fn outside(cluster: &Cluster) -> u32 {
    let is_first = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        pids.is_some_and(|pids| pids.split_whitespace().skip(1).eq(["1"]))
    };
    soon("a process 1", || {
        cluster.processes().into_iter().find(is_first)
    })
}

#[test]
fn orphans_of_others_are_reaped_and_a_stop_ends_all() {
    let Some(unshare) = unshare() else { return };
    let setup = Setup::hello();
    let fifo = setup.path("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    // A stranger that waits at the pipe: its parent ends at once, and it falls to process 1, which becomes the master.
    let script = format!("(cat {} &); exec \"$@\"", fifo.display());
    let command = [&unshare[..], &["sh", "-c", &script, "sh"]].concat();
    let mut cluster = setup.under(&command).start();
    let master = outside(&cluster);
    let of_strangers = || {
        children(master)
            .into_iter()
            .filter(|(_, name)| name == "cat")
            .count()
    };
    assert_eq!(of_strangers(), 1);
    // It ends when the pipe does.
    drop(OpenOptions::new().write(true).open(&fifo).unwrap());
    soon("the stranger to be reaped", || {
        (of_strangers() == 0).then_some(())
    });
    assert_eq!(cluster.get("/").body, "hello");

    assert!(signal(master, Signal::TERM));
    assert_eq!(cluster.exit(SOON).code(), Some(0), "{}", cluster.log.text());
    cluster.assert_nothing_left();
}

#[test]
fn signals_are_obeyed() {
    let Some(unshare) = unshare() else { return };
    let mut cluster = Setup::hello().under(&unshare).start();
    let master = outside(&cluster);
    assert!(signal(master, Signal::HUP));
    cluster.until(Duration::from_secs(60), "a roll", |status| {
        let workers = status["workers"].as_array().unwrap();
        status["serving"] == 2 && workers.iter().all(|worker| worker["generation"] == 2)
    });
    assert!(signal(master, Signal::INT));
    assert_eq!(cluster.exit(SOON).code(), Some(0), "{}", cluster.log.text());
    cluster.assert_nothing_left();
}
