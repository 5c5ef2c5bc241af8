//! Listening sockets that a service manager gives to a cluster.

use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;

use crate::support::{Address, Connection, Kill, Load, Setup, Signal};

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn tcp(port: u16) -> Address {
    Address::parse(&format!("127.0.0.1:{port}"))
}

#[test]
fn it_is_served_and_what_waits_in_it_is_answered() {
    let (listener, port) = listener();
    // Connected before there is anybody to accept.
    let mut early = Connection::open(&tcp(port)).unwrap();
    let cluster = Setup::hello().given(listener, "web").start();
    assert_eq!(cluster.addresses(), [tcp(port)]);
    assert_eq!(early.ask("/").unwrap().body, "hello");
    let load = Load::on(&tcp(port), 2, 2);
    crate::restart::roll(&cluster);
    load.end().assert_lost_only_to(&[]);
    cluster.stop();
}

#[test]
fn it_takes_the_place_of_the_address_that_it_is_at() {
    let (listener, port) = listener();
    // The test holds it too, as a service manager does: bound once more, the port would be busy.
    let held = listener.try_clone().unwrap();
    let setup = Setup::hello().flag("--port", port);
    let cluster = setup
        .flag("--host", "127.0.0.1")
        .flag("--host", "127.0.0.2");
    let cluster = cluster.given(listener, "").start();
    let other = Address::parse(&format!("127.0.0.2:{port}"));
    assert_eq!(cluster.addresses(), [tcp(port), other.clone()]);
    for address in [tcp(port), other] {
        assert_eq!(Connection::get(&address, "/").unwrap().body, "hello");
    }
    cluster.stop();
    drop(held);
}

#[test]
fn one_at_another_address_is_warned_of() {
    let ((given, elsewhere), (free, port)) = (listener(), listener());
    drop(free);
    let cluster = Setup::hello()
        .flag("--port", port)
        .given(given, "odd")
        .start();
    assert_eq!(cluster.addresses(), [tcp(port)]);
    let warning = cluster.line("a listening socket that was given is closed");
    assert_eq!(
        warning.field("address"),
        Some(format!("127.0.0.1:{elsewhere}").as_str())
    );
    cluster.stop();
}

#[test]
fn a_unix_socket_keeps_its_file() {
    let setup = Setup::hello();
    let path = setup.path("given.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let cluster = setup.given(listener, "").start();
    assert_eq!(cluster.addresses(), [Address::Unix(path.clone())]);
    assert_eq!(cluster.get("/").body, "hello");
    cluster.stop_and(|| assert!(path.exists(), "it is the service manager's to remove"));
}

#[test]
fn the_monitor_has_the_one_of_its_name() {
    let ((web, port), (monitor, monitor_port)) = (listener(), listener());
    let cluster = Setup::hello()
        .given(web, "web")
        .given(monitor, "monitor")
        .start();
    assert_eq!(cluster.addresses(), [tcp(port)]);
    let line = cluster.line("the monitor serves");
    assert_eq!(
        line.field("addresses"),
        Some(format!("http://127.0.0.1:{monitor_port}").as_str())
    );
    assert_eq!(cluster.status()["serving"], 2);
    cluster.stop();
}

#[test]
fn what_is_meant_for_another_process_is_left_alone() {
    let (listener, port) = listener();
    let setup = Setup::hello().given(listener, "web");
    let cluster = setup
        .env("GIVEN_TO", std::process::id().to_string())
        .start();
    assert_ne!(cluster.app(), tcp(port));
    assert_eq!(cluster.get("/").body, "hello");
    cluster.stop();
}

#[test]
fn what_does_not_listen_is_one_clear_error() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let failed = Setup::hello()
        .given(listener().0, "web")
        .given(udp, "x")
        .fail();
    failed.names(&[
        "descriptor 4",
        "LISTEN_FDS",
        "a socket of another kind",
        "allowed",
    ]);
    let file = tempfile::tempfile().unwrap();
    let failed = Setup::hello().given(file, "x").fail();
    failed.names(&["descriptor 3", "no socket"]);
    let failed = Setup::hello()
        .env("LISTEN_FDS", "many")
        .under(&["sh", "-c", "export LISTEN_PID=$$; exec \"$@\"", "sh"])
        .fail();
    failed.names(&["LISTEN_FDS=\"many\"", "allowed"]);
}

#[test]
fn a_killed_worker_is_replaced_on_it() {
    let (listener, port) = listener();
    let mut cluster = Setup::hello().given(listener, "web").start();
    let old = cluster.serving()[0].pid;
    Kill::of(old);
    cluster.until(std::time::Duration::from_secs(60), "two others", |status| {
        let workers = status["workers"].as_array().unwrap();
        status["serving"] == 2 && workers.iter().all(|worker| worker["pid"] != old)
    });
    for worker in cluster.serving() {
        crate::support::soon("an answer of each", || {
            let answer = Connection::get(&tcp(port), "/pid").ok()?;
            (answer.pid() == worker.pid).then_some(())
        });
    }
    cluster.signal(Signal::TERM);
    assert!(cluster.exit(std::time::Duration::from_secs(20)).success());
    cluster.assert_nothing_left();
}
