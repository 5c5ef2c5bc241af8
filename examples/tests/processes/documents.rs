//! The example whose flags every worker holds: edited in one, seen in all, through kills, restarts and upgrades.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use cluster_core::Operation;
use serde_json::{Value, json};

use crate::support::{Answer, Cluster, Connection, Kill, Setup, soon, within};
use crate::upgrade::{deploy, upgrade, variant};

const LONG: Duration = Duration::from_secs(30);

/// A connection to each worker that serves, by its pid.
fn workers(cluster: &Cluster) -> BTreeMap<u32, Connection> {
    let serving = cluster.serving().len();
    let mut found = BTreeMap::new();
    within(LONG, "a connection to each worker", || {
        let mut connection = Connection::open(&cluster.app()).ok()?;
        let pid = connection.ask("/pid").ok()?.pid();
        found.insert(pid, connection);
        (found.len() == serving).then_some(())
    });
    found
}

fn send(connection: &mut Connection, method: &str, path: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json")];
    // A body that is not read ends the connection.
    let body = match method {
        "POST" => body.to_string(),
        _ => String::new(),
    };
    let sent = connection.exchange(method, path, &headers, &body);
    sent.unwrap()
}

fn set(connection: &mut Connection, path: &str, value: &Value) {
    let set = send(connection, "POST", &format!("/set?path={path}"), value);
    assert_eq!((set.status, set.json()), (200, value.clone()), "{set:?}");
}

/// Waits until each worker shows this at a path.
fn seen_in_all(workers: &mut BTreeMap<u32, Connection>, path: &str, value: Option<&Value>) {
    for (pid, connection) in workers {
        soon("the same in each worker", || {
            let shown = connection.ask(&format!("/get?path={path}")).unwrap();
            assert_eq!(shown.header("pid"), Some(pid.to_string().as_str()));
            let shown = (shown.status == 200).then(|| shown.json());
            (shown.as_ref() == value).then_some(())
        });
    }
}

fn manager(cluster: &Cluster) -> Option<u32> {
    let pid = cluster.status()["cache_manager"]["pid"].as_u64()?;
    u32::try_from(pid).ok()
}

#[test]
fn flags_edited_in_one_worker_are_seen_in_all() {
    let cluster = Setup::documents().flag("--workers", 3).start();
    let mut workers = workers(&cluster);
    let pids: Vec<u32> = workers.keys().copied().collect();
    for (n, pid) in pids.iter().enumerate() {
        let flag = json!({ "on": true, "share": 0.1 * n as f64 });
        let first = workers.get_mut(pid).unwrap();
        set(first, &format!("checkout.flags[{n}]"), &flag);
        // The worker that was asked shows it at once.
        let shown = first
            .ask(&format!("/get?path=checkout.flags[{n}].on"))
            .unwrap();
        assert_eq!((shown.status, shown.json()), (200, json!(true)));
        seen_in_all(&mut workers, &format!("checkout.flags[{n}]"), Some(&flag));
    }
    let one = workers.get_mut(&pids[0]).unwrap();
    let deleted = send(
        one,
        "DELETE",
        "/delete?path=checkout.flags[0].on",
        &Value::Null,
    );
    assert_eq!(
        (deleted.status, deleted.json()),
        (200, json!({ "deleted": true }))
    );
    seen_in_all(&mut workers, "checkout.flags[0].on", None);
    let one = workers.get_mut(&pids[1]).unwrap();
    let timed = send(one, "POST", "/set?path=sale&ttl=300", &json!("now"));
    assert_eq!(timed.status, 200);
    seen_in_all(&mut workers, "sale", None);
    for (path, body, status) in [
        ("/set?path=a..b", json!(1), 400),
        ("/set?path=checkout.flags[999999999]", json!(1), 409),
        ("/get?path=a[", Value::Null, 400),
        ("/get?path=nowhere", Value::Null, 404),
    ] {
        let method = if path.starts_with("/set") {
            "POST"
        } else {
            "GET"
        };
        let one = workers.get_mut(&pids[0]).unwrap();
        assert_eq!(send(one, method, path, &body).status, status, "{path}");
    }
    let all = workers
        .get_mut(&pids[2])
        .unwrap()
        .ask("/get")
        .unwrap()
        .json();
    let file = cluster.path("flags.json");
    drop(workers);
    cluster.stop_and(|| {
        let kept: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(kept, all);
    });
}

/// The most memory that a process has ever had, in bytes.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib * 1024
}

#[test]
fn what_no_flag_can_be_is_refused_and_changes_nothing() {
    let cluster = Setup::documents().start();
    let ask = |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        let mut connection = Connection::open(&cluster.app()).unwrap();
        let mut headers = headers.to_vec();
        headers.push(("connection", "close"));
        connection.exchange(method, path, &headers, body)
    };
    let json = [("content-type", "application/json")];
    let set = ask("POST", "/set?path=list", &json, "[1]").unwrap();
    assert_eq!(set.status, 200);
    let pids: Vec<_> = cluster.serving().iter().map(|worker| worker.pid).collect();
    let before: Vec<_> = pids.iter().map(|pid| peak(*pid)).collect();
    let many = vec!["a"; 10_000].join(".");
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let less_deep = "[".repeat(110) + &"]".repeat(110);
    let long = format!("/set?path={many}");
    let cases = [
        (&*long, "1", 400),
        ("/set?path=list[999999999]", "1", 409),
        ("/set?path=new[4294967295].a", "1", 400),
        ("/set?path=list[18446744073709551616]", "1", 400),
        ("/set?path=a", "NaN", 400),
        ("/set?path=a", "1e999", 400),
        ("/set?path=a", &deep, 400),
        ("/set?path=a", &less_deep, 400),
    ];
    for (path, body, status) in cases {
        let answer = ask("POST", path, &json, body).unwrap();
        assert_eq!(answer.status, status, "{path:.60} {body:.60} {answer:?}");
    }
    for method in ["GET", "DELETE"] {
        let path = if method == "GET" { "/get" } else { "/delete" };
        let answer = ask(method, &format!("{path}?path={many}"), &[], "").unwrap();
        assert_eq!(answer.status, 400, "{method}");
    }
    // Whether or not the answer comes before the worker has closed the connection.
    let large = format!("\"{}\"", "x".repeat(100 << 20));
    if let Ok(answer) = ask("POST", "/set?path=a", &json, &large) {
        assert_eq!(answer.status, 413);
    }
    let shown = ask("GET", "/get", &[], "").unwrap();
    assert_eq!(shown.json(), json!({ "list": [1] }));
    let now: Vec<_> = cluster.serving().iter().map(|worker| worker.pid).collect();
    assert_eq!(now, pids, "no worker has died of it");
    for (pid, before) in pids.iter().zip(before) {
        let more = peak(*pid) - before;
        assert!(more < 64 << 20, "{more} bytes more in {pid}");
    }
    cluster.stop();
}

#[test]
fn flags_are_there_where_the_cache_is_not() {
    for mode in ["standalone", "master"] {
        let cluster = Setup::documents()
            .flag("--cache.mode", mode)
            .switch("--cache.enable=false")
            .start();
        let mut workers = workers(&cluster);
        let one = workers.values_mut().next().unwrap();
        set(one, "sale", &json!("now"));
        seen_in_all(&mut workers, "sale", Some(&json!("now")));
        drop(workers);
        cluster.stop();
    }
}

#[test]
fn flags_outlive_killed_managers_and_restarted_workers() {
    let cluster = Setup::documents().start();
    let mut edits = 0;
    for round in 0..3 {
        let mut workers = workers(&cluster);
        let killed = manager(&cluster).unwrap();
        Kill::of(killed);
        // Edited while nobody keeps them.
        for connection in workers.values_mut() {
            edits += 1;
            set(connection, &format!("edits[{edits}]"), &json!(round));
        }
        for edit in 1..=edits {
            let value = json!((edit - 1) / 2);
            seen_in_all(&mut workers, &format!("edits[{edit}]"), Some(&value));
        }
        within(LONG, "another manager", || {
            manager(&cluster).filter(|now| *now != killed)
        });
        drop(workers);
        cluster.operate(Operation::Restart { wait: true }).unwrap();
    }
    let mut workers = workers(&cluster);
    seen_in_all(&mut workers, "edits[6]", Some(&json!(2)));
    drop(workers);
    cluster.stop();
}

#[test]
fn flags_pass_to_the_next_build() {
    let setup = Setup::documents().copied();
    let program = setup.path("program");
    let cluster = setup.start();
    for number in 1..=2 {
        let mut workers = workers(&cluster);
        for (n, connection) in workers.values_mut().enumerate() {
            set(
                connection,
                &format!("builds[{number}][{n}]"),
                &json!(number),
            );
        }
        drop(workers);
        let kept = manager(&cluster).unwrap();
        deploy(&cluster, &variant(&program, number));
        let state = upgrade(&cluster);
        assert_eq!(state["upgrade"]["step"], "done", "{state:#}");
        assert_ne!(manager(&cluster), Some(kept), "another process keeps them");
        let mut workers = self::workers(&cluster);
        for at in 1..=number {
            let builds = json!([at, at]);
            seen_in_all(&mut workers, &format!("builds[{at}]"), Some(&builds));
        }
        // And goes on to.
        let first = workers.values_mut().next().unwrap();
        set(first, "after", &json!(number));
        seen_in_all(&mut workers, "after", Some(&json!(number)));
    }
    cluster.stop();
}
