//! A worker is taken out of service, and given back.

use std::time::Duration;

use cluster_core::{Debugging, Operation};
use serde_json::{Value, json};

use crate::support::{
    Address, Cluster, Connection, Kill, Load, ServingWatch, Setup, Signal, signal, within,
};

const LONG: Duration = Duration::from_secs(30);

fn isolate(cluster: &Cluster, worker: u32) -> Address {
    let asked = Operation::Debug(Debugging::Isolate { worker });
    let isolated = cluster.operate(asked).unwrap();
    Address::parse(isolated["address"].as_str().unwrap())
}

fn release(cluster: &Cluster, worker: u32, retire: bool) -> Value {
    let asked = Operation::Debug(Debugging::Release { worker, retire });
    cluster.operate(asked).unwrap()
}

fn worker(status: &Value, id: u32) -> Value {
    let mut workers = status["workers"].as_array().unwrap().iter();
    let found = workers.find(|worker| worker["id"] == id);
    found.cloned().unwrap_or(Value::Null)
}

#[test]
fn an_isolated_worker_serves_at_its_own_address_alone_and_comes_back() {
    let mut cluster = Setup::hello().flag("--nanny.tolerance", 1000).start();
    let load = Load::on(&cluster.app(), 2, 1);
    let watch = ServingWatch::of(cluster.monitor());
    let pid = cluster.serving()[0].pid;
    let own = isolate(&cluster, 1);
    assert_eq!(
        isolate(&cluster, pid).port(),
        own.port(),
        "a second word changes nothing"
    );
    let status = cluster.until(LONG, "two that serve", |status| status["serving"] == 2);
    assert_eq!(worker(&status, 1)["state"], "isolated");
    assert_eq!(
        worker(&status, 1)["isolated"],
        format!("http://127.0.0.1:{}", own.port())
    );
    assert_eq!(Connection::get(&own, "/pid").unwrap().pid(), pid);
    for _ in 0..50 {
        assert_ne!(cluster.get("/pid").pid(), pid, "nobody else comes to it");
    }
    // A roll passes it by, and the nanny leaves it alone though it is stopped for longer than it tolerates.
    assert!(signal(pid, Signal::STOP));
    cluster.operate(Operation::Restart { wait: true }).unwrap();
    std::thread::sleep(Duration::from_millis(2500)); // wait: longer than the nanny tolerates
    assert!(signal(pid, Signal::CONT));
    assert_eq!(worker(&cluster.status(), 1)["state"], "isolated");
    assert_eq!(Connection::get(&own, "/pid").unwrap().pid(), pid);
    assert!(watch.fewest() >= 2, "its successor served first");
    load.end().assert_lost_only_to(&[]);
    // It survives the master, address and all.
    Kill::of(cluster.master());
    cluster.start_master_again();
    cluster.wait_until_ready();
    let status = cluster.until(LONG, "where it serves", |status| {
        worker(status, 1)["isolated"].is_string()
    });
    assert_eq!(
        (&status["serving"], &worker(&status, 1)["state"]),
        (&json!(2), &json!("isolated"))
    );
    assert_eq!(Connection::get(&own, "/pid").unwrap().pid(), pid);
    // It is older than the restart, and so ends.
    assert_eq!(
        release(&cluster, 1, false),
        json!({ "worker": 1, "retires": true })
    );
    cluster.until(LONG, "its end", |status| worker(status, 1) == Value::Null);
    cluster.stop();
}

#[test]
fn a_worker_that_is_released_serves_again_and_the_youngest_leaves() {
    let cluster = Setup::hello().start();
    let pid = cluster.serving()[0].pid;
    let load = Load::on(&cluster.app(), 2, 1);
    let own = isolate(&cluster, 1);
    assert_eq!(
        release(&cluster, 1, false),
        json!({ "worker": 1, "retires": false })
    );
    cluster.until(LONG, "two that serve", |status| {
        let there = status["workers"].as_array().unwrap().len() == 2;
        there && status["serving"] == 2 && worker(status, 1)["state"] == "active"
    });
    within(LONG, "an answer of it", || {
        (cluster.get("/pid").pid() == pid).then_some(())
    });
    assert!(
        Connection::get(&own, "/").is_err(),
        "its own address is gone"
    );
    load.end().assert_lost_only_to(&[]);
    cluster.stop();
}

#[test]
fn what_cannot_be_isolated_or_released_is_one_clear_error() {
    let cluster = Setup::hello().start();
    let asked = Operation::Debug(Debugging::Release {
        worker: 1,
        retire: false,
    });
    assert_eq!(
        cluster.operate(asked).unwrap_err().to_string(),
        "worker 1 is active"
    );
    let asked = Operation::Debug(Debugging::Isolate { worker: 9 });
    assert_eq!(
        cluster.operate(asked).unwrap_err().to_string(),
        "no worker has the id or pid 9"
    );
    isolate(&cluster, 2);
    assert_eq!(
        release(&cluster, 2, true),
        json!({ "worker": 2, "retires": true })
    );
    cluster.until(LONG, "its end", |status| {
        worker(status, 2) == Value::Null && status["serving"] == 2
    });
    // A cluster is stopped with whoever is isolated.
    isolate(&cluster, 1);
    cluster.stop();
}
