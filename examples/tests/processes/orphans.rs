//! What becomes of workers whose master is gone.

use std::time::Duration;

use tempfile::TempDir;

use crate::support::{Connection, Kill, Load, Setup, within};

#[test]
fn workers_without_a_master_serve_on_and_leave_by_themselves() {
    let cluster = Setup::hello().flag("--orphan-timeout", 1000).start();
    let app = cluster.app();
    let workers = cluster.serving();
    let load = Load::on(&app, 3, 3);
    Kill::of(cluster.master());
    for worker in &workers {
        // Until its own patience is at an end, each serves.
        within(Duration::from_secs(1), "an answer of each", || {
            Connection::get(&app, "/pid")
                .ok()
                .filter(|answer| answer.pid() == worker.pid)
        });
    }
    load.end().assert_lost_only_to(&[]);
    cluster.all_gone();
    let log = cluster.log.since(0);
    let left = log
        .iter()
        .filter(|line| line.text.contains("no master came back"))
        .count();
    assert!(left >= 2, "{}", cluster.log.text());
}

#[test]
fn a_cluster_starts_where_one_was_killed() {
    let place = TempDir::new().unwrap();
    let runtime_dir = place.path().join("run");
    let setup = || Setup::hello().flag("--runtime-dir", runtime_dir.display());
    let killed = setup().flag("--orphan-timeout", 100).start();
    Kill::of(killed.master());
    killed.all_gone();
    assert!(
        runtime_dir.join("master.sock").exists(),
        "its socket was left behind"
    );
    setup().start().stop();
}
