//! The example whose prices come through the shared cache.

use std::io::{BufRead, BufReader, Write};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

use crate::support::{
    Address, Answer, Cluster, Connection, Failure, Kill, Line, Setup, soon, within,
};

const LONG: Duration = Duration::from_secs(30);

fn loads(cluster: &Cluster, sku: &str) -> u64 {
    let loads = cluster.get(&format!("/loads/{sku}")).json();
    loads["loads"].as_u64().unwrap()
}

/// So many clients that ask for one product at the same time, each on a connection of its own.
fn crowd(address: &Address, sku: &str, size: usize) -> Vec<JoinHandle<Result<Answer, Failure>>> {
    let client = |_| {
        let (address, path) = (address.clone(), format!("/product/{sku}"));
        thread::spawn(move || Connection::open_with(&address, LONG)?.ask(&path))
    };
    (0..size).map(client).collect()
}

#[test]
fn a_product_is_loaded_once_however_many_ask() {
    let cluster = Setup::shop()
        .flag("--workers", 4)
        .flag("--backend-ms", 100)
        .start();
    let app = cluster.app();
    for round in 0..5 {
        let sku = format!("pear-{round}");
        let answers: Vec<Value> = crowd(&app, &sku, 60)
            .into_iter()
            .map(|client| client.join().unwrap().unwrap().json())
            .collect();
        assert!(answers.iter().all(|product| *product == answers[0]));
        assert_eq!(answers[0]["sku"], sku.as_str());
        assert_eq!(loads(&cluster, &sku), 1);
    }
    cluster.stop();
}

#[test]
fn where_the_loading_worker_is_killed_one_other_loads() {
    let cluster = Setup::shop()
        .flag("--workers", 4)
        .flag("--backend-ms", 400)
        .start();
    let app = cluster.app();
    for round in 0..3 {
        cluster.until(LONG, "four workers", |status| status["serving"] == 4);
        let (sku, before) = (format!("plum-{round}"), cluster.log.len());
        let clients = crowd(&app, &sku, 40);
        let loading = soon("a load", || {
            let lines = cluster.log.since(before);
            lines
                .iter()
                .find(|line| line.text.contains("loading"))?
                .pid()
        });
        Kill::of(loading);
        let answers: Vec<_> = clients.into_iter().map(|c| c.join().unwrap()).collect();
        let served: Vec<Value> = answers.iter().flatten().map(Answer::json).collect();
        assert!(served.len() >= 10, "{answers:?}");
        for product in &served {
            assert_eq!(product["sku"], sku.as_str());
            assert_ne!(product["by"], loading);
            assert_eq!(product, &served[0], "one process loaded it for all");
        }
        assert_eq!(loads(&cluster, &sku), 2);
    }
    cluster.stop();
}

#[test]
fn a_new_price_reaches_every_worker_and_who_watches() {
    let cluster = Setup::shop().flag("--backend-ms", 0).start();
    let first = cluster.get("/product/fig").json();
    assert_eq!(first["cents"], 102 + 105 + 103);
    let port = cluster.app().port();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
        .write_all(b"GET /watch/fig HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == ": watching"));
    let answer = Connection::open(&cluster.app())
        .unwrap()
        .send("POST", "/product/fig?cents=77", &[])
        .unwrap();
    assert_eq!(answer.status, 200);
    assert!(lines.any(|line| line == "event: set"));
    let data = lines.next().unwrap();
    let told: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(told["cents"], 77);
    assert_eq!(cluster.get("/product/fig").json()["cents"], 77);
    for worker in cluster.serving() {
        soon("the news in each worker", || {
            let lines = cluster.log.since(0);
            let heard = |line: &crate::support::Line| {
                line.text.contains("a price has changed") && line.pid() == Some(worker.pid)
            };
            lines.iter().any(heard).then_some(())
        });
    }
    assert_eq!(loads(&cluster, "fig"), 1);
    // The stream ends with its worker: nothing waits for who watches.
    cluster.stop();
}

#[test]
fn a_killed_manager_is_replaced_and_nobody_sees_more_than_a_pause() {
    let cluster = Setup::shop().flag("--backend-ms", 0).start();
    assert_eq!(cluster.get("/product/fig").status, 200);
    for round in 1..=3 {
        let pid = |status: &Value| status["cache_manager"]["pid"].as_u64();
        let manager = pid(&cluster.status()).unwrap();
        Kill::of(u32::try_from(manager).unwrap());
        // What was cached is gone with it; what is asked for meanwhile waits for the next one.
        assert_eq!(cluster.get("/product/fig").status, 200);
        assert_eq!(loads(&cluster, "fig"), 1 + round);
        within(LONG, "another manager", || {
            pid(&cluster.status()).filter(|now| *now != manager)
        });
    }
    cluster.stop();
}

#[test]
fn the_cache_in_the_master_serves_the_same() {
    let cluster = Setup::shop()
        .flag("--cache.mode", "master")
        .flag("--backend-ms", 20)
        .start();
    let clients = crowd(&cluster.app(), "fig", 30);
    for client in clients {
        assert_eq!(client.join().unwrap().unwrap().json()["sku"], "fig");
    }
    assert_eq!(loads(&cluster, "fig"), 1);
    cluster.stop();
}

#[test]
fn without_a_cache_a_product_is_an_error_and_the_page_is_not() {
    let cluster = Setup::shop().switch("--cache.enable=false").start();
    assert_eq!(cluster.get("/product/fig").status, 500);
    // The worker's own line comes when it comes.
    let says = |line: &Line| line.text.contains("this cluster has no cache");
    assert!(cluster.log.find(0, Duration::from_secs(10), says).is_some());
    let page = cluster.get("/");
    assert_eq!(page.status, 200);
    cluster.stop();
}
