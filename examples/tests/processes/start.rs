//! How a cluster starts, and what it shows of itself.

use std::collections::BTreeSet;

use crate::support::{Address, Connection, Setup, soon};

#[test]
fn a_start_goes_in_the_order_that_is_promised() {
    let cluster = Setup::hello().start();
    let log = cluster.log.since(0);
    let at = |process: &str, says: &str| {
        let found = log.iter().position(|line| line.is(process, says));
        found.unwrap_or_else(|| panic!("{process} did not say {says:?}:\n{}", cluster.log.text()))
    };
    let steps = [
        at("master", "configuring the monitor"),
        at("master", "starting the cache service"),
        at("master", "the cache manager serves"),
        at("master", "the monitor serves"),
        at("master", " bound "),
        at("master", "starting workers"),
        at("master", "worker started"),
        at("master", "listening"),
        at("master", "all workers are ready"),
    ];
    assert!(steps.is_sorted(), "{steps:?}:\n{}", cluster.log.text());
    // The lines of a worker come by themselves: each in its own order.
    for worker in ["worker 1", "worker 2"] {
        assert!(
            at(worker, "warming up") < at(worker, "serving"),
            "{}",
            cluster.log.text()
        );
    }
    cluster.stop();
}

#[test]
fn a_cluster_is_ready_only_when_all_workers_serve() {
    let cluster = Setup::hello().flag("--workers", 3).start();
    assert_eq!(cluster.serving().len(), 3);
    let log = cluster.log.since(0);
    let ready = log
        .iter()
        .position(|line| line.is("master", "all workers are ready"))
        .unwrap();
    let listening = log[..ready]
        .iter()
        .filter(|line| line.is("master", "listening"))
        .count();
    assert_eq!(listening, 3);
    cluster.stop();
}

#[test]
fn the_monitor_shows_the_whole_cluster() {
    let cluster = Setup::hello().start();
    let status = cluster.status();
    assert_eq!(status["name"], "hello");
    assert_eq!(status["state"], "running");
    assert_eq!(
        (&status["wanted"], &status["serving"]),
        (&2.into(), &2.into())
    );
    assert_eq!(status["master"]["pid"], cluster.master());
    assert_eq!(status["death_queue"], serde_json::json!([]));
    let build = status["build"].as_str().unwrap();
    assert_eq!(build.len(), 16, "{build}");
    let workers = status["workers"].as_array().unwrap();
    for (worker, id) in workers.iter().zip(1..) {
        assert_eq!(
            (&worker["id"], &worker["state"]),
            (&id.into(), &"active".into())
        );
        assert_eq!(
            (&worker["generation"], &worker["build"]),
            (&1.into(), &build.into())
        );
        assert!(
            worker["uptime_ms"].is_u64() && worker["linked"] == true,
            "{worker}"
        );
    }

    // What it shows is what is there: these processes, and no others.
    let shown = [
        &status["master"],
        &status["cache_manager"],
        &workers[0],
        &workers[1],
    ];
    let shown: BTreeSet<u64> = shown
        .iter()
        .map(|process| process["pid"].as_u64().unwrap())
        .collect();
    let there: BTreeSet<u64> = cluster.processes().into_iter().map(u64::from).collect();
    assert_eq!(shown, there);
    assert_eq!(cluster.ask("/status/nobody-offers-this").status, 404);
    cluster.stop();
}

#[test]
fn every_worker_answers_by_itself() {
    let cluster = Setup::hello().start();
    assert_eq!(cluster.get("/").body, "hello");
    let serving = cluster.serving();
    let whoami = cluster.get("/whoami").json();
    let me = serving
        .iter()
        .find(|worker| whoami["pid"] == worker.pid)
        .expect("it is one of the workers");
    assert_eq!(
        (&whoami["role"], &whoami["id"]),
        (&"worker".into(), &me.id.into())
    );
    assert_eq!(whoami["generation"], 1);
    assert_eq!(cluster.get("/nothing-is-here").status, 404);
    cluster.stop();
}

#[test]
fn every_process_answers_a_roll_call() {
    let cluster = Setup::hello().start();
    let mut expected: BTreeSet<u64> = cluster
        .serving()
        .iter()
        .map(|worker| worker.pid.into())
        .collect();
    expected.insert(cluster.master().into());
    // It waits a fifth of a second for the next answer: on a busy machine one may come too late.
    soon("a complete roll call", || {
        let present = cluster.get("/roll-call").json();
        let present = present.as_array().unwrap().iter();
        let pids: BTreeSet<u64> = present
            .map(|process| process["pid"].as_u64().unwrap())
            .collect();
        assert!(pids.is_subset(&expected), "{pids:?} of {expected:?}");
        (pids == expected).then_some(())
    });
    cluster.stop();
}

#[test]
fn without_a_cache_there_is_no_process_for_it() {
    let cluster = Setup::hello().switch("--cache.enable=false").start();
    assert_eq!(cluster.status()["cache_manager"], serde_json::Value::Null);
    assert_eq!(cluster.processes().len(), 3);
    cluster.stop();
}

#[test]
fn a_cache_in_the_master_takes_no_process() {
    let cluster = Setup::hello().flag("--cache.mode", "master").start();
    assert_eq!(cluster.processes().len(), 3);
    cluster.stop();
}

#[test]
fn by_default_a_cluster_lives_where_its_name_says_and_leaves_nothing_there() {
    let setup = Setup::hello().bare();
    let around = setup.path("xdg");
    std::fs::create_dir(&around).unwrap();
    let cluster = setup
        .flag("--port", 0)
        .flag("--mon-port", 0)
        .flag("--workers", 1)
        .flag("--name", "by-name")
        .env("XDG_RUNTIME_DIR", around.as_os_str())
        .start();
    assert!(around.join("cluster/by-name/lock").exists());
    let port = cluster.app().port();
    let answer = Connection::get(&Address::parse(&format!("127.0.0.1:{port}")), "/");
    assert_eq!(answer.unwrap().body, "hello");
    let around = cluster.path("xdg");
    cluster.stop_and(|| assert_eq!(std::fs::read_dir(around).unwrap().count(), 0));
}

#[test]
fn pid_files_are_there_while_the_processes_are() {
    let setup = Setup::hello();
    let pids = setup.path("pids");
    let cluster = setup.flag("--pids", pids.display()).start();
    let read = |name: &str| {
        std::fs::read_to_string(pids.join(name))
            .unwrap()
            .trim()
            .to_owned()
    };
    assert_eq!(read("master.pid"), cluster.master().to_string());
    for worker in cluster.serving() {
        assert_eq!(
            read(&format!("worker.{}.pid", worker.id)),
            worker.pid.to_string()
        );
    }
    cluster.stop_and(|| {
        let left: Vec<_> = std::fs::read_dir(&pids).into_iter().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    });
}

#[test]
fn the_cluster_offers_statuses_of_its_own() {
    let cluster = Setup::hello().start();
    let names = cluster.ask("/status/").json();
    for name in ["os", "log", "deathQueue"] {
        assert!(names.as_array().unwrap().contains(&name.into()), "{names}");
    }
    // Every process beats: soon there is a figure of each worker.
    soon("the beats of both workers", || {
        let os = cluster.ask("/status/os").json();
        let entries = os.as_array().cloned().unwrap_or_default();
        let has = |pid: u32| {
            entries
                .iter()
                .any(|entry| entry["pid"] == pid && entry["status"].is_object())
        };
        cluster
            .serving()
            .iter()
            .all(|worker| has(worker.pid))
            .then_some(())
    });
    assert_eq!(cluster.ask("/status/deathQueue").status, 200);
    cluster.stop();
}

#[test]
fn the_cache_manager_answers_from_its_own_process_or_from_the_master() {
    let pid_of_cache = |cluster: &crate::support::Cluster| {
        let entries = cluster.ask("/status/cache").json();
        let pids: Vec<_> = entries
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["status"]["pid"].as_u64().unwrap())
            .collect();
        assert_eq!(pids.len(), 1, "{entries}");
        u32::try_from(pids[0]).unwrap()
    };
    let cluster = Setup::hello().start();
    let state = cluster.ask("/status").json();
    let manager = state["cache_manager"]["pid"].as_u64().unwrap();
    assert_eq!(u64::from(pid_of_cache(&cluster)), manager);
    assert_ne!(pid_of_cache(&cluster), cluster.master());
    let environment = std::fs::read(format!("/proc/{manager}/environ")).unwrap();
    let large_pages = b"\0GLIBC_TUNABLES=glibc.malloc.hugetlb=1\0";
    let tuned = |bytes: &[u8]| bytes.windows(large_pages.len()).any(|w| w == large_pages);
    assert!(tuned(&environment));
    cluster.stop();

    let cluster = Setup::hello().flag("--cache.mode", "master").start();
    assert!(cluster.ask("/status").json()["cache_manager"].is_null());
    assert_eq!(pid_of_cache(&cluster), cluster.master());
    cluster.stop();

    let cluster = Setup::hello().switch("--cache.enable=false").start();
    assert_eq!(cluster.ask("/status/cache").status, 404);
    cluster.stop();
}
