//! `cluster upgrade`.

use std::fs;

use crate::Run;
use crate::trial::{Trial, place_program, workers};

fn deploy(trial: &Trial, program: &[u8]) {
    fs::write(trial.file("text"), program).expect("a file is written");
    place_program(&trial.file("text"), &trial.file("program"));
}

/// What it complains with, after the lines on its progress.
fn last_word(run: &Run) -> String {
    assert_eq!(run.code, Some(8), "{}{}", run.out, run.err);
    run.err.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn it_waits_for_the_new_master_and_names_the_builds() {
    let trial = Trial::of_a_copy();
    let before = trial.state();
    let upgraded = trial.cli(&["upgrade", "--wait"]);
    let build = before["build"].as_str().unwrap();
    let expected = format!("upgraded: all processes run build {build}, as before\n");
    assert_eq!(upgraded.output(), expected);
    let after = trial.state();
    assert_eq!(after["master"]["pid"], before["master"]["pid"]);
    assert_eq!(
        (&after["state"], &after["upgrade"]["step"]),
        (&"running".into(), &"done".into())
    );
    assert!(
        !workers(&after)
            .iter()
            .any(|pid| workers(&before).contains(pid))
    );
}

#[test]
fn what_would_not_start_is_refused_with_its_reason() {
    let trial = Trial::of_a_copy();
    let before = trial.state();
    deploy(&trial, b"#!/bin/sh\necho out of order >&2; exit 9\n");
    for args in [&["upgrade", "--wait"][..], &["upgrade"]] {
        let complaint = last_word(&trial.cli(args));
        assert!(
            complaint.starts_with("error: the upgrade is refused: "),
            "{complaint}"
        );
        assert!(
            complaint.ends_with("ended with exit code 9: out of order"),
            "{complaint}"
        );
    }
    assert_eq!(workers(&trial.state()), workers(&before));
}

#[test]
fn where_workers_do_not_start_the_old_ones_stay() {
    let trial = Trial::of_a_copy();
    let before = trial.state();
    fs::write(trial.file("broken"), "").unwrap();
    let complaint = last_word(&trial.cli(&["upgrade", "--wait"]));
    assert!(
        complaint.contains("the old build serves on") && complaint.contains("there is a file"),
        "{complaint}"
    );
    assert_eq!(workers(&trial.state()), workers(&before));
    fs::remove_file(trial.file("broken")).unwrap();
    trial.cli(&["upgrade", "--wait"]).output();
}

#[test]
fn a_master_that_panics_leaves_the_workers_serving_and_is_started_again() {
    let mut trial = Trial::run_a_copy();
    trial.until("it has lived for long enough", |state| {
        state["master"]["uptime_ms"].as_u64() > Some(2000)
    });
    fs::write(trial.file("panics"), "").expect("a file is written");
    let run = trial.cli(&["upgrade", "--wait", "--timeout", "4000"]);
    assert_eq!(run.code, Some(6), "{}", run.err);
    assert!(
        run.err
            .ends_with("error: it has not ended within 4000 ms; it goes on\n"),
        "{}",
        run.err
    );
    fs::remove_file(trial.file("panics")).expect("it is there");
    let state = trial.until("a master that has taken over", |state| {
        state["serving"] == 2 && state["upgrade"]["step"] == "done"
    });
    let generations = state["workers"].as_array().expect("a list");
    assert!(
        generations.iter().all(|worker| worker["generation"] == 2),
        "{state:#}"
    );
    trial.cli(&["stop"]).output();
    assert_eq!(trial.ended().code(), Some(0));
}
