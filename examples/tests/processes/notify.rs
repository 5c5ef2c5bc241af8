//! What a service manager hears of a cluster.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::support::{Cluster, Connection, Manager, Said, Setup, Signal, signal, variables};

/// Long enough for what is to come at once, on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// What a service manager says to the process that it starts.
const SAID: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
];

/// A cluster, and who hears of it.
fn told(setup: Setup) -> (Cluster, Manager) {
    let manager = Manager::at(setup.path("notify"));
    let cluster = setup.env("NOTIFY_SOCKET", manager.path()).spawn();
    (cluster, manager)
}

#[test]
fn ready_is_said_once_when_all_workers_serve() {
    let (cluster, manager) = told(Setup::hello());
    let heard = manager.hear("READY=1");
    assert_eq!(cluster.serving().len(), 2);
    assert!(
        heard[0].value("STATUS").unwrap().starts_with("starting: "),
        "{heard:#?}"
    );
    let ready = heard.last().unwrap();
    assert_eq!(ready.value("STATUS"), Some("2 of 2 workers serve"));
    assert!(
        heard.iter().all(|said| said.pid == cluster.master()),
        "{heard:#?}"
    );

    // What changes later is said, and ready is not said again.
    assert!(signal(cluster.serving()[0].pid, Signal::KILL));
    let heard = manager.until("one serves", |said| {
        said.value("STATUS") == Some("1 of 2 workers serve")
    });
    assert!(!heard.iter().any(|said| said.says("READY=1")), "{heard:#?}");
    manager.until("both serve", |said| {
        said.value("STATUS") == Some("2 of 2 workers serve")
    });
    cluster.stop();
}

#[test]
fn a_roll_is_a_reload_and_ready_is_said_after_it() {
    let (cluster, manager) = told(Setup::hello());
    manager.hear("READY=1");
    let now = clock_gettime(ClockId::Monotonic);
    let now_us = u64::try_from(now.tv_sec * 1_000_000 + now.tv_nsec / 1000).unwrap();
    cluster.signal(Signal::HUP);
    let heard = manager.hear("RELOADING=1");
    let reloading = heard.last().unwrap();
    let at_us: u64 = reloading.value("MONOTONIC_USEC").unwrap().parse().unwrap();
    assert!(
        (now_us..now_us + 60_000_000).contains(&at_us),
        "{now_us} {at_us}"
    );
    let heard = manager.hear("READY=1");
    assert!(
        !heard.iter().any(|said| said.says("RELOADING=1")),
        "{heard:#?}"
    );
    assert!(
        cluster
            .serving()
            .iter()
            .all(|worker| worker.generation == 2)
    );
    cluster.stop();
}

#[test]
fn a_stop_is_said_and_asks_for_time_while_workers_drain() {
    let (mut cluster, manager) = told(Setup::hello());
    manager.hear("READY=1");
    let mut connection = Connection::open(&cluster.app()).unwrap();
    connection.ask("/pid").unwrap();
    let request = thread::spawn(move || connection.ask("/slow?ms=7000"));
    cluster.signal(Signal::TERM);
    let stopping = manager.hear("STOPPING=1").pop().unwrap();
    let asks = |said: &Said| {
        let more = said
            .value("EXTEND_TIMEOUT_USEC")
            .and_then(|us| us.parse::<u64>().ok());
        more.is_some_and(|us| us >= 10_000_000)
    };
    assert!(asks(&stopping), "{stopping:?}");
    // Again and again, for as long as it drains.
    for _ in 0..2 {
        manager.until("more time", asks);
    }
    assert_eq!(request.join().unwrap().unwrap().status, 200);
    assert_eq!(cluster.exit(SOON).code(), Some(0));
    cluster.assert_nothing_left();
}

#[test]
fn the_watchdog_hears_the_master_while_it_is_not_stuck() {
    let patience = Duration::from_secs(3);
    let setup = Setup::hello().env("WATCHDOG_USEC", patience.as_micros().to_string());
    let (cluster, manager) = told(setup);
    manager.hear("READY=1");
    let alive = || manager.hear("WATCHDOG=1").pop().unwrap();
    let mut last = alive();
    for _ in 0..3 {
        let next = alive();
        let silence = next.at - last.at;
        assert!(silence < patience, "{silence:?}");
        last = next;
    }
    assert!(signal(cluster.master(), Signal::STOP));
    // What was on its way comes still.
    while manager.next(patience).is_some() {}
    assert!(signal(cluster.master(), Signal::CONT));
    alive();
    cluster.stop();
}

#[test]
fn who_is_not_watched_says_nothing_to_a_watchdog() {
    let setup = Setup::hello()
        .env("WATCHDOG_USEC", "20000")
        .env("WATCHDOG_PID", "1");
    let (cluster, manager) = told(setup);
    let heard = manager.hear("READY=1");
    assert!(
        !heard.iter().any(|said| said.says("WATCHDOG=1")),
        "{heard:#?}"
    );
    assert!(manager.next(Duration::from_millis(500)).is_none());
    cluster.stop();
}

#[test]
fn nobody_but_the_master_is_told_of_the_service_manager() {
    let setup = Setup::hello()
        .env("WATCHDOG_USEC", "10000000")
        .env("LISTEN_FDS", "1")
        .env("LISTEN_PID", "1")
        .env("LISTEN_FDNAMES", "x");
    let (cluster, manager) = told(setup);
    manager.hear("READY=1");
    let knows = |pid: u32| -> Vec<String> {
        let said = |variable: &String| SAID.iter().any(|name| variable.starts_with(name));
        variables(pid).into_iter().filter(said).collect()
    };
    // They stay where they are, so that a master that becomes another program under its pid is still heard.
    assert_eq!(knows(cluster.master()).len(), 5);
    let others = cluster.processes();
    let others: Vec<u32> = others
        .into_iter()
        .filter(|pid| *pid != cluster.master())
        .collect();
    assert_eq!(others.len(), 3);
    for pid in others {
        assert_eq!(knows(pid), Vec::<String>::new());
    }
    cluster.stop();
}

#[test]
fn a_name_without_a_file_is_an_address_too() {
    let setup = Setup::hello();
    let name = format!("cluster-notify-{}", setup.mark);
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let manager = Manager::of(
        UnixDatagram::bind_addr(&address).unwrap(),
        format!("@{name}").into(),
    );
    let cluster = setup.env("NOTIFY_SOCKET", manager.path()).spawn();
    manager.hear("READY=1");
    cluster.stop();
}

#[test]
fn an_address_that_cannot_be_told_is_warned_of_and_no_more() {
    for (address, says) in [
        ("vsock:2:1234", "an absolute path, or @NAME"),
        ("/no/such/socket", "cannot be had"),
    ] {
        let cluster = Setup::hello().env("NOTIFY_SOCKET", address).start();
        let line = cluster.line("the service manager is told nothing");
        assert!(line.text.contains(says), "{}", line.text);
        cluster.stop();
    }
}
