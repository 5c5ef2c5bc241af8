//! What orchestrators are told.

use crate::support::{Connection, Setup, Signal, within};
use std::time::Duration;

#[test]
fn readiness_falls_before_the_listeners_close() {
    let mut cluster = Setup::hello().start();
    assert_eq!(cluster.ask("/healthz").body, "ok\n");
    let ready = || cluster.ask("/readyz");
    assert_eq!(ready().status, 200);
    // A rhythm of half a second, so that the stop waits for the next probe.
    within(Duration::from_secs(10), "half a second", {
        let begun = std::time::Instant::now();
        move || (begun.elapsed().as_millis() >= 500).then_some(())
    });
    assert_eq!(ready().status, 200);
    let monitor = cluster.monitor();
    let app = cluster.app();
    cluster.signal(Signal::TERM);
    cluster.line("stopping within_ms");
    let probe = Connection::get(&monitor, "/readyz").unwrap();
    assert_eq!(
        (probe.status, probe.body.as_str()),
        (503, "not ready: stopping\n")
    );
    let served = Connection::get(&app, "/").map(|answer| answer.body);
    // The probe has let the stop go on; until then the application was served.
    assert!(!matches!(served, Ok(body) if body != "hello"));
    let stopping = cluster.line("stopping within_ms").at;
    assert!(cluster.line("dismissing").at >= stopping);
    assert_eq!(cluster.exit(Duration::from_secs(30)).code(), Some(0));
    cluster.assert_nothing_left();
}

#[test]
fn readiness_waits_for_all_workers_and_follows_marks() {
    let cluster = Setup::hello().spawn();
    let early = Connection::get(&cluster.monitor(), "/readyz").unwrap();
    cluster.wait_until_ready();
    assert_eq!(early.status, 503, "{early:?}");
    assert_eq!(cluster.ask("/readyz").status, 200);
    assert_eq!(cluster.ask("/ecv/disable").status, 200);
    assert_eq!(cluster.ask("/readyz").body, "not ready: marked down\n");
    assert_eq!(cluster.ask("/healthz").status, 200);
    cluster.stop();
}
