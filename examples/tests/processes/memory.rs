//! What a cluster shows of its memory, and lets an operator do about it.

use serde_json::Value;

use crate::support::{Cluster, Connection, Setup, soon};

/// The figures of each process, once all four have answered.
fn figures(cluster: &Cluster) -> Vec<Value> {
    soon("the memory of all four processes", || {
        let entries = cluster.ask("/status/gc").json();
        let figures: Vec<Value> = entries
            .as_array()?
            .iter()
            .map(|e| e["status"].clone())
            .collect();
        // The share is looked at beside the first heartbeat.
        let is_known = |figures: &Value| figures["pss_bytes"].as_u64() > Some(0);
        (figures.len() == 4 && figures.iter().all(is_known)).then_some(figures)
    })
}

#[test]
fn each_process_shows_its_memory_where_that_is_wanted() {
    let cluster = Setup::hello().switch("--gc.monitor").start();
    for figures in figures(&cluster) {
        let number = |key: &str| {
            figures[key]
                .as_u64()
                .unwrap_or_else(|| panic!("{key}: {figures}"))
        };
        for key in ["rss_bytes", "private_bytes", "pss_bytes", "allocated_bytes"] {
            assert!(number(key) > 100_000, "{key}: {figures}");
        }
        assert!(
            number("peak_rss_bytes") >= number("private_bytes"),
            "{figures}"
        );
        assert!(
            number("resident_bytes") >= number("retained_bytes"),
            "{figures}"
        );
        assert_eq!(figures["allocator"], "glibc");
    }
    // To look is not to touch.
    let monitor = cluster.monitor();
    let refused = Connection::put(&monitor, "/status/gc", "null").unwrap();
    assert_eq!(refused.status, 405, "{}", refused.body);
    cluster.stop();
}

#[test]
fn an_operator_gives_free_memory_back_where_that_is_allowed() {
    let cluster = Setup::hello().switch("--gc.explicit").start();
    figures(&cluster);
    let set = Connection::put(&cluster.monitor(), "/status/gc", "null").unwrap();
    assert_eq!(
        (set.status, set.json()["processes"].as_u64()),
        (200, Some(4)),
        "{}",
        set.body
    );
    for process in ["master", "worker 1", "worker 2", "cache manager"] {
        let says = "free memory was given back";
        soon(process, || {
            cluster
                .log
                .since(0)
                .into_iter()
                .find(|line| line.is(process, says))
        });
    }
    cluster.stop();
}

#[test]
fn nothing_is_shown_that_was_not_asked_for() {
    let cluster = Setup::hello().start();
    assert_eq!(cluster.ask("/status/gc").status, 404);
    // The beats have the figures all the same.
    soon("a beat of each worker", || {
        let status = cluster.status();
        let beats = status["workers"]
            .as_array()?
            .iter()
            .map(|worker| &worker["beat"]);
        let known = |beat: &Value| {
            let keys = [
                "rss_bytes",
                "private_bytes",
                "pss_bytes",
                "allocated_bytes",
                "resident_bytes",
            ];
            keys.iter()
                .all(|key| beat[key].as_u64().is_some_and(|n| n > 0))
        };
        beats.into_iter().all(known).then_some(())
    });
    cluster.stop();
}
