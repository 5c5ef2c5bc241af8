//! The master dies, or is exchanged, while somebody debugs a worker: the session ends with it, and no worker stands still for ever.

use super::session::{LONG, Session, gdb, servers, text, tracer, worker};
use crate::support::{Cluster, Kill, Load, Setup, soon};
use crate::upgrade::{deploy, upgrade, variant};
use serde_json::Value;

/// Until no debug server of this cluster is left, and nobody is traced.
fn until_nobody_is_traced(cluster: &Cluster) {
    soon("nobody who is traced", || {
        let traced = cluster.processes().into_iter().filter_map(tracer).count();
        (servers(cluster) == 0 && traced == 0).then_some(())
    });
}

/// Two sessions: one with gdb in it, of a worker that runs, and one of a fresh worker, to which nobody has come.
fn two_sessions(cluster: &Cluster) -> (Session, Session, std::process::Child) {
    let first = Session::begin(cluster, Some(1));
    let gdb = gdb(
        &first.command(),
        &["break hello::rand_number", "continue", "bt 1"],
    );
    let is_connected = cluster
        .log
        .find(0, LONG, |line| line.is("master", "a debugger has come"));
    assert!(is_connected.is_some(), "{}", cluster.log.text());
    let fresh = Session::begin(cluster, None);
    let _ = fresh.command();
    assert_eq!(servers(cluster), 2);
    (first, fresh, gdb)
}

#[test]
fn a_master_that_dies_takes_its_sessions_with_it_and_the_next_one_knows() {
    let mut cluster = Setup::hello().start();
    let (first, fresh, gdb) = two_sessions(&cluster);
    let load = Load::on(&cluster.app(), 2, 1);
    Kill::of(cluster.master());
    // Nobody is needed for that.
    until_nobody_is_traced(&cluster);
    assert!(first.outcome().is_err() && fresh.outcome().is_err());
    let said = text(&gdb.wait_with_output().unwrap());
    assert!(said.contains("Remote connection closed"), "{said}");
    cluster.start_master_again();
    cluster.wait_until_ready();
    for id in [1, 4] {
        let text = format!("worker={id} ");
        let told = cluster.log.find(0, LONG, |line| {
            line.is(
                "master",
                "the debugging of it has ended with the last master",
            ) && line.text.contains(&text)
        });
        assert!(told.is_some(), "{}", cluster.log.text());
    }
    let status = cluster.until(LONG, "their end", |status| {
        worker(status, 1) == Value::Null && worker(status, 4) == Value::Null
    });
    assert_eq!(status["serving"], 2);
    load.end().assert_lost_only_to(&[]);
    // All is as before: somebody else may be debugged.
    let session = Session::begin(&cluster, Some(2));
    let _ = session.command();
    session.leave();
    cluster.until(LONG, "its end", |status| {
        worker(status, 2) == Value::Null && status["serving"] == 2
    });
    cluster.stop();
}

#[test]
fn a_master_that_is_exchanged_in_place_ends_the_sessions_of_the_one_before() {
    let setup = Setup::hello().copied();
    let program = setup.path("program");
    let cluster = setup.start();
    let (first, fresh, gdb) = two_sessions(&cluster);
    let load = Load::on(&cluster.app(), 2, 1);
    deploy(&cluster, &variant(&program, 1));
    let state = upgrade(&cluster);
    assert_eq!(state["upgrade"]["step"], "done", "{state:#}");
    until_nobody_is_traced(&cluster);
    assert!(first.outcome().is_err() && fresh.outcome().is_err());
    let said = text(&gdb.wait_with_output().unwrap());
    assert!(said.contains("Remote connection closed"), "{said}");
    let status = cluster.until(LONG, "their end", |status| {
        worker(status, 1) == Value::Null && worker(status, 4) == Value::Null
    });
    assert_eq!(status["serving"], 2);
    load.end().assert_lost_only_to(&[]);
    cluster.stop();
}
