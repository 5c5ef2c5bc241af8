//! Seeing into one process.

use serde_json::Value;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::Run;
use crate::trial::{Trial, place_program, workers};

#[test]
fn one_process_is_seen_into() {
    let trial = Trial::start();
    let pid = workers(&trial.state())[0].to_string();
    let set = trial.cli(&["log-level", &pid, "cluster_core=debug"]);
    assert_eq!(
        set.output(),
        "worker 1 logs cluster_core=debug (before: info)\n"
    );
    let wrong = trial.cli(&["log-level", "1", "a=loud"]);
    assert!(wrong.complaint(8).contains("\"a=loud\" is no filter"));
    trial.cli(&["log-level", "1", "--reset"]).output();
    let unnamed = trial.cli(&["stacks", "worker"]);
    assert_eq!(unnamed.code, Some(2), "{}", unnamed.err);
    assert!(unnamed.err.contains("a worker's id or pid, master"));
    for of in ["1", "master"] {
        let stacks = trial.cli(&["stacks", of]);
        let text = stacks.output();
        assert!(text.contains("trial::main at "), "{text}");
    }
    let file = trial.file("flame.svg");
    let path = file.display().to_string();
    let drawn = trial.cli(&["profile", "1", "--seconds", "1", "-o", &path]);
    assert!(drawn.output().starts_with(&path), "{}", drawn.out);
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("<svg"));
}

#[test]
fn a_worker_is_isolated_and_given_back() {
    let trial = Trial::start();
    let isolated = trial.cli(&["--json", "isolate", "1"]);
    let isolated: Value = serde_json::from_str(isolated.output()).unwrap();
    assert_eq!(isolated["worker"], 1);
    let text = trial.cli(&["status"]);
    assert!(text.output().contains("isolated"), "{}", text.out);
    let back = trial.cli(&["release", "1", "--retire"]);
    assert_eq!(back.output(), "worker 1 ends\n");
    let again = trial.cli(&["release", "2"]);
    assert_eq!(again.complaint(8), "worker 2 is active");
}

#[test]
fn another_user_may_not_look_and_is_told_why() {
    const NOBODY: u32 = 65534;
    // Only root can be another user.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let trial = Trial::start();
    let before = workers(&trial.state());
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = dir.path().join("cluster");
    place_program(env!("CARGO_BIN_EXE_cluster").as_ref(), &program);
    let runtime_dir = trial.runtime_dir();
    std::fs::set_permissions(
        runtime_dir.parent().unwrap(),
        std::fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    for verb in [
        &["stacks", "1"][..],
        &["profile", "1", "-o", "/dev/null"],
        &["debug", "1"],
    ] {
        let mut command = Command::new(&program);
        command.arg("--runtime-dir").arg(&runtime_dir).args(verb);
        let run = Run::of(command.current_dir("/").uid(NOBODY).gid(NOBODY));
        let complaint = run.complaint(5);
        assert!(
            complaint.contains(&runtime_dir.display().to_string()),
            "{complaint}"
        );
        assert!(complaint.ends_with("is another user's"), "{complaint}");
    }
    assert_eq!(workers(&trial.state()), before, "nobody notices");
}
