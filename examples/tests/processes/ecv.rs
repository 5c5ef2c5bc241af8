//! What a load balancer is told.

use std::time::{Duration, Instant};

use crate::support::{Answer, Cluster, Connection, Setup, Signal, soon, within};

fn send(cluster: &Cluster, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut connection = Connection::open(&cluster.monitor()).unwrap();
    connection.send(method, path, headers).unwrap()
}

#[test]
fn an_operator_marks_the_node_down_and_up() {
    let cluster = Setup::hello().start();
    let ecv = || cluster.ask("/ecv");
    assert_eq!((ecv().status, ecv().body.trim()), (200, "up"));
    for method in ["GET", "POST"] {
        assert_eq!(send(&cluster, method, "/ecv/disable", &[]).status, 200);
        assert_eq!(ecv().status, 503);
        assert_eq!(cluster.status()["mark"], "down");
        assert_eq!(
            cluster.get("/").body,
            "hello",
            "it serves whoever comes all the same"
        );
        assert_eq!(send(&cluster, method, "/ecv/enable", &[]).status, 200);
        assert_eq!(ecv().status, 200);
    }
    cluster.stop();
}

#[test]
fn a_page_of_another_site_cannot_mark_the_node() {
    let cluster = Setup::hello().start();
    let strangers: [&[(&str, &str)]; 4] = [
        &[("sec-fetch-site", "cross-site")],
        &[
            ("sec-fetch-site", "same-site"),
            ("origin", "http://localhost"),
        ],
        &[("origin", "http://evil.example")],
        &[("origin", "null")],
    ];
    for headers in strangers {
        for method in ["GET", "POST"] {
            assert_eq!(
                send(&cluster, method, "/ecv/disable", headers).status,
                403,
                "{method} {headers:?}"
            );
        }
    }
    assert_eq!(cluster.ask("/ecv").status, 200);
    let own = [
        ("sec-fetch-site", "same-origin"),
        ("origin", "http://localhost"),
    ];
    assert_eq!(send(&cluster, "POST", "/ecv/disable", &own).status, 200);
    assert_eq!(cluster.ask("/ecv").status, 503);
    cluster.stop();
}

#[test]
fn too_few_workers_are_down_by_themselves() {
    let cluster = Setup::hello().flag("--ecv.min", 3).start();
    let answer = cluster.ask("/ecv");
    assert_eq!(answer.status, 503);
    assert!(
        answer.body.contains("2 workers serve, 3 are needed"),
        "{answer:?}"
    );
    cluster.stop();

    let cluster = Setup::hello().flag("--ecv.min", 2).spawn();
    let monitor = cluster.monitor();
    // From its first moment on the monitor tells the truth: not yet.
    let early = Connection::get(&monitor, "/ecv").unwrap();
    cluster.wait_until_ready();
    assert_eq!(cluster.ask("/ecv").status, 200);
    assert_eq!(early.status, 503, "{early:?}");
    cluster.stop();
}

#[test]
fn a_node_that_stops_lets_its_prober_hear_of_it_first() {
    let mut cluster = Setup::hello().start();
    // A second between two probes: then a stop waits for the next one up to half a second longer.
    let rhythm = Instant::now();
    assert_eq!(cluster.ask("/ecv").status, 200);
    within(Duration::from_secs(10), "a second", || {
        (rhythm.elapsed().as_millis() >= 1000).then_some(())
    });
    assert_eq!(cluster.ask("/ecv").status, 200);
    let first = cluster.log.len();
    cluster.signal(Signal::TERM);
    let stopping = cluster.line_since(first, "stopping within_ms");
    let wait: u64 = stopping.field("probe_wait_ms").unwrap().parse().unwrap();
    assert!((500..=2000).contains(&wait), "{}", stopping.text);
    assert_eq!(
        cluster.get("/").body,
        "hello",
        "until a probe was told, users are served"
    );
    let probe = cluster.ask("/ecv");
    assert_eq!((probe.status, probe.body.trim()), (503, "down: stopping"));
    let dismissed = cluster.line_since(first, "dismissing");
    let waited = dismissed.at.duration_since(stopping.at);
    assert!(waited < Duration::from_millis(wait + 500), "{waited:?}");
    assert_eq!(cluster.exit(Duration::from_secs(30)).code(), Some(0));
    cluster.assert_nothing_left();
}

#[test]
fn in_monitor_mode_the_application_decides() {
    // The port must be known before the start: one that was free a moment ago.
    let free = || {
        std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port()
    };
    let start = |path: &str| {
        let port = free();
        let url = format!("http://127.0.0.1:{port}{path}");
        let setup = Setup::hello()
            .flag("--port", port)
            .flag("--ecv.mode", "monitor");
        setup.flag("--ecv.monitor", url).start()
    };
    let healthy = start("/");
    let answer = healthy.ask("/ecv");
    assert_eq!(answer.status, 200, "{answer:?}");
    healthy.stop();

    let sick = start("/panic");
    let answer = sick.ask("/ecv");
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("500"), "{answer:?}");
    sick.stop();

    let slow = start("/slow?ms=10000");
    let begun = Instant::now();
    let answer = slow.ask("/ecv");
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "a probe has a deadline"
    );
    let mut slow = slow;
    slow.signal(Signal::TERM);
    slow.line("dismissing");
    slow.signal(Signal::INT);
    slow.exit(Duration::from_secs(30));
    soon("the end", || slow.processes().is_empty().then_some(()));
}

#[test]
fn paths_that_were_disabled_are_not_there() {
    let cluster = Setup::hello().switch("--ecv.disabled").start();
    for path in ["/ecv", "/ecv/enable", "/ecv/disable"] {
        assert_eq!(cluster.ask(path).status, 404, "{path}");
    }
    cluster.stop();
}

#[test]
fn paths_can_be_chosen() {
    let cluster = Setup::hello()
        .flag("--ecv.root", "/health")
        .flag("--ecv.mark-up", "/on")
        .flag("--ecv.mark-down", "/off")
        .start();
    assert_eq!(cluster.ask("/off").status, 200);
    assert_eq!(cluster.ask("/health").status, 503);
    assert_eq!(cluster.ask("/on").status, 200);
    assert_eq!(cluster.ask("/health").status, 200);
    assert_eq!(cluster.ask("/ecv").status, 404);
    cluster.stop();
}
