//! A whole cluster moves to the program that now lies on disk, and no user notices.

use std::fs;
use std::path::Path;
use std::time::Duration;

use cluster_core::operator::OperatorError;
use cluster_core::{Operation, OperationError};
use serde_json::Value;

use crate::support::{Cluster, Load, ServingWatch, Setup, place_program, within};

const LONG: Duration = Duration::from_secs(60);

/// Puts another program in the place of the one that runs, as a deployment does: written aside, then renamed.
pub(crate) fn deploy(cluster: &Cluster, bytes: &[u8]) {
    let bytes_of = cluster.path("bytes");
    fs::write(&bytes_of, bytes).unwrap();
    place_program(&bytes_of, &cluster.path("program"));
}

/// The same program with another build id: the bytes of the linker's note, changed.
pub(crate) fn variant(program: &Path, number: u8) -> Vec<u8> {
    let mut bytes = fs::read(program).unwrap();
    // Name of 4 bytes, id of 20, type 3: <https://man7.org/linux/man-pages/man1/ld.1.html>, --build-id.
    let head = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";
    let at = bytes.windows(head.len()).position(|window| window == head);
    bytes[at.expect("the linker has written its note") + head.len()] = number;
    bytes
}

fn builds(status: &Value) -> Vec<&str> {
    let workers = status["workers"].as_array().unwrap().iter();
    let cache = Some(&status["cache_manager"]).filter(|cache| !cache.is_null());
    let all = workers.chain([&status["master"]]).chain(cache);
    all.map(|process| process["build"].as_str().unwrap_or("?"))
        .collect()
}

/// Upgrades, and waits for its end, through the exchange of the master.
pub(crate) fn upgrade(cluster: &Cluster) -> Value {
    match cluster.operate(Operation::Upgrade { wait: true }) {
        Ok(_) | Err(OperatorError::LinkLost(_)) => {}
        Err(e) => panic!("{e:?}\n{}", cluster.log.text()),
    }
    within(LONG, "the end of the upgrade", || {
        let state = cluster.state()?;
        matches!(state["upgrade"]["step"].as_str(), Some("done" | "failed")).then_some(state)
    })
}

/// How often a cluster is upgraded under load.
fn upgrades() -> u8 {
    std::env::var("EXAMPLES_UPGRADES").map_or(2, |n| n.parse().expect("a number"))
}

#[test]
fn upgrades_under_load_lose_no_request() {
    let setup = Setup::hello().copied().flag("--workers", 2);
    let program = setup.path("program");
    let cluster = setup.start();
    let watch = ServingWatch::of(cluster.monitor());
    let load = Load::on(&cluster.app(), 4, 2);
    let mut open = Vec::new();
    for number in 1..=upgrades() {
        deploy(&cluster, &variant(&program, number));
        let state = upgrade(&cluster);
        let to = state["upgrade"]["to"].as_str().unwrap();
        assert_eq!(state["upgrade"]["step"], "done", "{state:#}");
        assert!(to.starts_with(&format!("{number:02x}")), "{to}");
        assert!(builds(&state).iter().all(|build| *build == to), "{state:#}");
        assert_eq!(state["master"]["pid"], cluster.master(), "the pid stays");
        assert_eq!(state["serving"], 2);
        open.push(
            fs::read_dir(format!("/proc/{}/fd", cluster.master()))
                .unwrap()
                .count(),
        );
    }
    load.end().assert_lost_only_to(&[]);
    assert!(watch.fewest() >= 2, "its successor serves first");
    println!("descriptors of the master after each: {open:?}");
    assert!(open.iter().all(|n| n.abs_diff(open[0]) <= 4), "{open:?}");
    cluster.stop();
}

#[test]
fn a_program_that_cannot_start_is_refused() {
    let cluster = Setup::hello().copied().start();
    let (before, build) = (cluster.serving(), cluster.status()["build"].clone());
    let whole = fs::read(cluster.path("program")).unwrap();
    let programs: [(&[u8], &str); 3] = [
        (b"#!/bin/sh\necho no such luck; exit 3\n", "no such luck"),
        (&whole[..64 * 1024], "program"),
        (b"", "does not name its build"),
    ];
    for (program, says) in programs {
        deploy(&cluster, program);
        match cluster.operate(Operation::Upgrade { wait: true }) {
            Err(OperatorError::Operation(OperationError::UpgradeRefused(cause))) => {
                assert!(cause.contains(says), "{cause}");
            }
            other => panic!("{other:?}"),
        }
    }
    fs::remove_file(cluster.path("program")).unwrap();
    let missing = cluster.operate(Operation::Upgrade { wait: false });
    assert!(matches!(
        missing,
        Err(OperatorError::Operation(OperationError::UpgradeRefused(_)))
    ));
    // A worker that dies meanwhile comes back from the build that runs, though its file is gone.
    crate::support::Kill::of(before[0].pid);
    let status = cluster.until(LONG, "its replacement", |status| {
        status["serving"] == 2 && status["workers"][1]["id"] == 3
    });
    assert!(builds(&status).iter().all(|b| *b == build), "{status:#}");
    cluster.stop();
}

/// A program that passes its check, and whose workers do this.
fn faulty(workers: &str) -> Vec<u8> {
    let check = "if [ -z \"$CLUSTER_BOOT\" ]; then printf 'build %x-%x' $(stat -c '%s %Y' \"$0\"); exit 0; fi";
    format!("#!/bin/sh\n{check}\n{workers}\n").into_bytes()
}

#[test]
fn where_new_workers_fail_the_old_build_is_put_back() {
    let cluster = Setup::hello()
        .copied()
        .flag("--start-timeout", 1000)
        .flag("--warm-up-timeout", 1000)
        .start();
    let (before, build) = (cluster.serving(), cluster.status()["build"].clone());
    let load = Load::on(&cluster.app(), 2, 2);
    for workers in ["exit 7", "exec sleep 1000"] {
        deploy(&cluster, &faulty(workers));
        match cluster.operate(Operation::Upgrade { wait: true }) {
            Err(OperatorError::Operation(OperationError::UpgradeFailed(cause))) => {
                assert!(cause.contains("worker"), "{cause}");
            }
            other => panic!("{other:?}\n{}", cluster.log.text()),
        }
        let status = cluster.status();
        assert_eq!(status["upgrade"]["step"], "failed");
        assert!(builds(&status).iter().all(|b| *b == build), "{status:#}");
        assert_eq!(cluster.serving(), before, "the old workers were kept");
    }
    load.end().assert_lost_only_to(&[]);
    cluster.stop();
}
