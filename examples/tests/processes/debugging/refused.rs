//! The system does not let the master trace its workers: that is said, with the way out, and nobody else notices.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use cluster_core::{Debugging, Operation, Subject};
use serde_json::Value;

use super::session::{LONG, Session, servers, worker};
use crate::support::{Cluster, Connection, Load, Ptrace, Setup, place_program};

/// What is said to whoever wants to see into worker 1.
fn refusals(cluster: &Cluster) -> Vec<String> {
    let of = Subject::Worker(1);
    let looks = [
        Debugging::Stacks { of },
        Debugging::Profile { of, seconds: 1 },
        Debugging::Attach { worker: Some(1) },
        Debugging::Attach { worker: None },
    ];
    let refused = |look| {
        let refused = cluster.operate(Operation::Debug(look));
        refused.unwrap_err().to_string()
    };
    looks.into_iter().map(refused).collect()
}

fn nobody_notices(ptrace: Ptrace, says: &str) {
    let cluster = Setup::hello().without(ptrace).start();
    let (load, before) = (Load::on(&cluster.app(), 2, 1), cluster.serving());
    let refusals = refusals(&cluster);
    for refusal in &refusals {
        assert!(refusal.contains(says), "{refusal}");
        assert!(refusal.contains("--cap-add=SYS_PTRACE"), "{refusal}");
    }
    // The worker that was started to be debugged ends.
    let whom = ["worker 1: ", "worker 1: ", "worker 1: ", "worker 3: "];
    for (refusal, whom) in refusals.iter().zip(whom) {
        assert!(refusal.starts_with(whom), "{refusal}");
    }
    let page = Connection::get(&cluster.monitor(), "/debug/stacks/1").unwrap();
    assert_eq!(page.status, 409);
    assert!(page.json()["error"].as_str().unwrap().contains(says));
    cluster.until(LONG, "its end", |status| worker(status, 3) == Value::Null);
    assert_eq!(cluster.serving(), before, "nobody was isolated for nothing");
    load.end().assert_lost_only_to(&[]);
    assert_eq!(servers(&cluster), 0);
    cluster.stop();
}

#[test]
fn by_a_filter_that_refuses_ptrace() {
    nobody_notices(Ptrace::Refused, "a seccomp filter forbids ptrace");
}

#[test]
fn by_a_filter_that_kills_for_ptrace() {
    nobody_notices(
        Ptrace::Kills,
        "was killed by a seccomp filter, which forbids ptrace",
    );
}

#[test]
fn as_another_user() {
    let cluster = Setup::hello().start();
    let (load, worker) = (Load::on(&cluster.app(), 2, 1), cluster.serving()[0].pid);
    // Somebody else's: of whoever is not root the first process is.
    let ours = rustix::process::geteuid();
    let (user, pid) = match ours.is_root() {
        true => (65534, worker),
        false => (ours.as_raw(), 1),
    };
    // Whoever looks is the program once more, told what to do as a master tells it, and here another user.
    let home = tempfile::tempdir().unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (program, answer) = (home.path().join("program"), home.path().join("answer"));
    place_program(env!("CARGO_BIN_EXE_hello").as_ref(), &program);
    let mut options = File::options();
    options.read(true).write(true).create_new(true);
    let file = options.open(&answer).unwrap();
    for task in [
        r#""Stacks""#,
        r#"{"Profile":{"seconds":1,"title":""}}"#,
        r#""Permission""#,
    ] {
        file.set_len(0).unwrap();
        let errand = format!(r#"{{"pid":{pid},"task":{task},"answer":3}}"#);
        let looked = Command::new("sh")
            .args(["-c", "exec \"$0\" 3<&0"])
            .arg(&program)
            .env("CLUSTER_LOOK", errand)
            .current_dir("/")
            .uid(user)
            .gid(if ours.is_root() {
                user
            } else {
                rustix::process::getegid().as_raw()
            })
            .stdin(Stdio::from(file.try_clone().unwrap()))
            .status();
        assert!(looked.unwrap().success());
        let mut said = String::new();
        File::open(&answer)
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        let obstacle =
            format!("it runs as user 0, and the master as user {user}; run both as the same user");
        assert!(
            said.contains("Forbidden") && said.contains(&obstacle),
            "{task}: {said}"
        );
    }
    load.end().assert_lost_only_to(&[]);
    assert_eq!(cluster.serving().len(), 2);
    cluster.stop();
}

#[test]
fn a_port_that_is_taken_is_named_and_the_worker_is_let_go() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let cluster = Setup::hello().flag("--debug.port", port).start();
    let error = Session::begin(&cluster, Some(1)).outcome().unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains(&format!("nobody can listen at 127.0.0.1:{port}")),
        "{error}"
    );
    assert!(error.contains("--debug.port 0 takes any free"), "{error}");
    assert_eq!(servers(&cluster), 0);
    drop(taken);
    cluster.stop();
}
