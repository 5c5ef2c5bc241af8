//! With a cluster.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::trial::{Trial, exists, signal, workers};
use crate::{Run, cluster};

#[test]
fn status_shows_the_workers() {
    let trial = Trial::start();
    let state = trial.until("all have beaten", |state| {
        let beats = state["workers"].as_array().unwrap();
        beats.iter().all(|worker| worker["beat"].is_object())
    });
    assert_eq!(
        (&state["name"], &state["serving"]),
        (&json!("trial"), &json!(2))
    );
    assert_eq!(state["master"]["pid"], trial.pid());
    let text = trial.cli(&["status"]);
    let text = text.output();
    let head = format!("master {}, up", trial.pid());
    assert!(
        text.starts_with("trial: running") && text.contains(&head),
        "{text}"
    );
    assert!(text.contains("2 of 2 workers serving"), "{text}");
    for pid in workers(&state) {
        let line = text
            .lines()
            .find(|line| line.contains(&format!(" {pid} ")))
            .unwrap();
        assert!(line.contains("active") && line.ends_with("MiB"), "{line}");
    }
}

#[test]
fn a_worker_is_paused_and_resumed_by_id_or_pid() {
    let trial = Trial::start();
    let pid = workers(&trial.state())[0].to_string();
    let states = |state: &Value| {
        let workers = state["workers"].as_array().unwrap();
        workers
            .iter()
            .map(|worker| worker["state"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        trial.cli(&["pause", &pid]).output(),
        format!("pausing worker {pid}\n")
    );
    trial.until("the first is paused", |state| {
        states(state) == ["paused", "active"]
    });
    let last = trial.cli(&["pause", "2"]);
    assert!(last.complaint(8).contains("--force"), "{}", last.err);
    trial.cli(&["pause", "2", "--force"]).output();
    trial.until("both are paused", |state| {
        states(state) == ["paused", "paused"]
    });
    assert_eq!(trial.cli(&["resume"]).output(), "resuming all workers\n");
    trial.until("both serve", |state| states(state) == ["active", "active"]);
    let nobody = trial.cli(&["pause", "77"]);
    assert_eq!(nobody.complaint(8), "no worker has the id or pid 77");
}

#[test]
fn the_number_of_workers_follows() {
    let trial = Trial::start();
    assert_eq!(
        trial.cli(&["scale", "3"]).output(),
        "scaling to 3 workers\n"
    );
    trial.until("three serve", |state| state["serving"] == 3);
    trial.cli(&["scale", "1"]).output();
    trial.until("one is left", |state| workers(state).len() == 1);
    let wrong = trial.cli(&["scale", "513"]);
    assert_eq!(
        wrong.complaint(8),
        "workers: 513 is out of range (allowed: 1 to 512)"
    );
}

#[test]
fn a_restart_replaces_every_worker() {
    let trial = Trial::start();
    let old = workers(&trial.state());
    let run = trial.cli(&["restart", "--wait"]);
    assert_eq!(run.output(), "all workers are replaced (generation 2)\n");
    assert!(
        run.err.contains("1/2: worker") && run.err.contains("2/2: worker"),
        "{}",
        run.err
    );
    let new = workers(&trial.state());
    assert_eq!(new.len(), 2);
    assert!(new.iter().all(|pid| !old.contains(pid)), "{old:?} {new:?}");
    assert!(!old.iter().any(|pid| exists(*pid)));
}

#[test]
fn a_restart_that_fails_keeps_the_old_workers_and_says_why() {
    let trial = Trial::start();
    let old = workers(&trial.state());
    std::fs::write(trial.file("broken"), "").unwrap();
    let run = trial.cli(&["--json", "restart", "--wait"]);
    let why = run.complaint(8);
    assert!(
        why.starts_with("the restart failed: ") && why.contains("there is a file"),
        "{why}"
    );
    let error: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(error["error"]["code"], 8);
    // The one that failed may still be on its way out when the answer comes.
    let state = trial.until("the old ones alone are there", |state| {
        workers(state) == old
    });
    assert_eq!(state["serving"], 2);
}

#[test]
fn a_mark_is_kept() {
    let trial = Trial::start();
    trial.cli(&["mark-down"]).output();
    assert_eq!(trial.state()["mark"], "down");
    assert!(trial.cli(&["status"]).output().contains("marked down"));
    trial.cli(&["mark-up"]).output();
    assert_eq!(trial.state()["mark"], "up");
}

#[test]
fn an_event_is_heard_by_whom_it_is_told() {
    let trial = Trial::start();
    let heard = |expected: &[&str]| {
        // Each word is one write; all have come when the last one has.
        let lines = loop {
            let text = std::fs::read_to_string(trial.file("heard")).unwrap_or_default();
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            if lines.len() >= expected.len() {
                lines.sort();
                break lines;
            }
            std::thread::yield_now();
        };
        assert_eq!(lines, expected);
        std::fs::remove_file(trial.file("heard")).unwrap();
    };
    let run = trial.cli(&["emit", "trial.Note", r#"{"text":"all"}"#]);
    assert_eq!(run.output(), "emitted trial.Note\n");
    heard(&[
        "master heard all",
        "worker 1 heard all",
        "worker 2 heard all",
    ]);
    trial
        .cli(&[
            "emit",
            "trial.Note",
            r#"{"text":"two"}"#,
            "--to",
            "worker:2",
        ])
        .output();
    heard(&["worker 2 heard two"]);
    trial
        .cli(&[
            "emit",
            "trial.Note",
            r#"{"text":"both"}"#,
            "--to",
            "master,worker:1",
        ])
        .output();
    heard(&["master heard both", "worker 1 heard both"]);
    let lost = trial.cli(&["emit", "trial.Note", "null", "--to", "worker:9"]);
    assert!(lost.complaint(8).contains("worker 9"), "{}", lost.err);
}

#[test]
fn a_stop_leaves_nothing() {
    let mut trial = Trial::start();
    let pids = workers(&trial.state());
    let run = trial.cli(&["stop"]);
    assert_eq!(run.output(), "stopped\n");
    assert!(
        run.err.starts_with("stopping\n") && run.err.contains("has ended, 1 worker left\n"),
        "{}",
        run.err
    );
    assert!(trial.ended().success());
    assert!(!pids.iter().any(|pid| exists(*pid)));
    assert!(!trial.runtime_dir().exists());
    trial.cli(&["status"]).complaint(3);
}

#[test]
fn a_master_that_does_not_answer_is_code_6() {
    let trial = Trial::start();
    signal(trial.pid(), Signal::STOP);
    let run = trial.cli(&["status", "--timeout", "300"]);
    signal(trial.pid(), Signal::CONT);
    assert_eq!(
        run.complaint(6),
        "the master has not answered within 300 ms"
    );
    assert_eq!(trial.state()["serving"], 2);
}

#[test]
fn of_several_clusters_one_must_be_named() {
    let (one, other) = (Trial::start(), Trial::start());
    // Both lie where clusters are looked for, under names that no other cluster of this machine has.
    let around = tempfile::tempdir().unwrap();
    let base = around.path().join("cluster");
    std::fs::create_dir(&base).unwrap();
    let names = [
        format!("trial-{}", one.pid()),
        format!("trial-{}", other.pid()),
    ];
    let both = [&one, &other];
    // Directories that end with their clusters cannot be moved, but they can be bound to another place: by a lock there.
    for (name, trial) in names.iter().zip(both) {
        std::fs::create_dir(base.join(name)).unwrap();
        std::fs::hard_link(
            trial.runtime_dir().join("lock"),
            base.join(name).join("lock"),
        )
        .unwrap();
        let socket = trial.runtime_dir().join("master.sock");
        std::os::unix::fs::symlink(socket, base.join(name).join("master.sock")).unwrap();
    }
    let here = |args: &[&str]| Run::of(cluster().env("XDG_RUNTIME_DIR", around.path()).args(args));
    let run = here(&["status"]);
    let complaint = run.complaint(4);
    assert!(
        names.iter().all(|name| complaint.contains(name.as_str())),
        "{complaint}"
    );
    for (name, trial) in names.iter().zip(both) {
        let run = here(&["--json", "--name", name, "status"]);
        let state: Value = serde_json::from_str(run.output()).unwrap();
        assert_eq!(state["master"]["pid"], trial.pid());
    }
    assert!(
        here(&["status", &names[0]])
            .output()
            .starts_with("trial: running")
    );
}

#[test]
fn statuses_are_shown_reduced_and_set() {
    let trial = Trial::start();
    let names = trial.cli(&["statuses"]);
    assert_eq!(names.output(), "deathQueue\nlog\nos\n");
    let log = trial.cli(&["--json", "statuses", "log"]);
    let log: Value = serde_json::from_str(log.output()).unwrap();
    assert_eq!(log.as_array().unwrap().len(), 3);
    let lines = trial.cli(&["statuses", "log"]);
    let master = format!("{:>7}  {{\"file\":null,\"lost\":0}}", trial.pid());
    assert!(
        lines.output().lines().any(|line| line == master),
        "{}",
        lines.out
    );
    let merged = trial.cli(&["--json", "statuses", "log", "--reduce", "merge"]);
    assert_eq!(merged.output(), "{\"file\":null,\"lost\":0}\n");
    let wrong = trial.cli(&["statuses", "os", "--reduce", "sum"]);
    assert!(
        wrong.complaint(8).contains("cannot be reduced by sum"),
        "{}",
        wrong.err
    );
    let none = trial.cli(&["statuses", "none"]);
    assert_eq!(
        none.complaint(8),
        "no process offers a status named \"none\""
    );
    let fixed = trial.cli(&["statuses", "os", "--set", "1"]);
    assert_eq!(fixed.complaint(8), "status \"os\" has no update function");
}

#[test]
fn one_worker_is_recycled() {
    let trial = Trial::start();
    let old = workers(&trial.state());
    assert_eq!(
        trial.cli(&["recycle", "1"]).output(),
        "recycling worker 1\n"
    );
    trial.until("another has its place", |state| {
        let new = workers(state);
        state["serving"] == 2 && new.len() == 2 && !new.contains(&old[0]) && new.contains(&old[1])
    });
    assert_eq!(
        trial.cli(&["recycle", "77"]).complaint(8),
        "no worker has the id or pid 77"
    );
}
