//! `cluster run`.

use std::path::Path;

use rustix::process::Signal;

use crate::trial::{Trial, exists, signal, workers};
use crate::{Run, cluster};

fn run(args: &[&str]) -> Run {
    Run::of(cluster().env("RUST_LOG", "off").arg("run").args(args))
}

#[test]
fn a_program_that_is_missing_is_one_clear_line() {
    let run = run(&["/no/such/program"]);
    let complaint = run.complaint(1);
    assert!(
        complaint.starts_with("/no/such/program cannot be started: No such file"),
        "{complaint}"
    );
}

#[test]
fn a_failed_start_ends_it_with_the_programs_own_code() {
    assert_eq!(run(&["sh", "--", "-c", "exit 7"]).code, Some(7));
    assert_eq!(run(&["sh", "--", "-c", "exit 0"]).code, Some(0));
    assert_eq!(run(&["sh", "--", "-c", "kill -9 $$"]).code, Some(128 + 9));
}

#[test]
fn a_master_that_dies_is_started_anew_and_a_stop_ends_both() {
    let mut trial = Trial::run();
    let state = trial.until("it has lived for long enough", |state| {
        state["master"]["uptime_ms"]
            .as_u64()
            .is_some_and(|ms| ms > 2000)
    });
    let old = u32::try_from(state["master"]["pid"].as_u64().unwrap()).unwrap();
    assert_ne!(old, trial.pid());
    signal(old, Signal::KILL);
    let workers_before = workers(&state);
    let state = trial.until("a new master has the two workers", |state| {
        state["master"]["pid"] != old && state["serving"] == 2 && state["state"] == "running"
    });
    assert_eq!(
        workers(&state),
        workers_before,
        "they are the same processes"
    );
    assert!(!exists(old), "the parent reaps its master");
    let master = u32::try_from(state["master"]["pid"].as_u64().unwrap()).unwrap();
    trial.cli(&["stop"]).output();
    assert_eq!(trial.ended().code(), Some(0));
    assert!(!exists(master));
}

/// How often the master is killed; `MASTER_DEATHS=50 cargo test -p cluster-cli again_and_again -- --nocapture` prints how long it is away.
fn deaths() -> usize {
    std::env::var("MASTER_DEATHS").map_or(3, |n| n.parse().expect("a number"))
}

#[test]
fn a_master_that_is_killed_again_and_again_is_back_each_time() {
    let trial = Trial::run();
    let mut slowest = std::time::Duration::ZERO;
    let before = workers(&trial.state());
    for n in 0..deaths() {
        // The first start has to be one that has served.
        let lived = if n == 0 { 2000 } else { 1000 };
        let state = trial.until("it has lived for long enough", |state| {
            state["master"]["uptime_ms"].as_u64() > Some(lived)
        });
        let old = state["master"]["pid"].as_u64();
        signal(
            old.and_then(|pid| u32::try_from(pid).ok()).expect("a pid"),
            Signal::KILL,
        );
        let dead = std::time::Instant::now();
        let state = trial.until("another one", |state| {
            state["master"]["pid"].as_u64() != old
        });
        slowest = slowest.max(dead.elapsed());
        assert_eq!(workers(&state), before, "the workers are the same");
    }
    println!(
        "{} deaths, another master answered within {slowest:?}",
        deaths()
    );
    assert!(slowest < std::time::Duration::from_secs(5), "{slowest:?}");
    trial.cli(&["stop"]).output();
}

#[test]
fn a_signal_to_the_parent_reaches_the_master() {
    let mut trial = Trial::run();
    let old = workers(&trial.state());
    signal(trial.pid(), Signal::HUP);
    trial.until("all workers are of the next generation", |state| {
        let new = state["workers"].as_array().unwrap();
        new.len() == 2
            && new.iter().all(|worker| worker["generation"] == 2)
            && state["serving"] == 2
    });
    assert!(!old.iter().any(|pid| exists(*pid)));
    signal(trial.pid(), Signal::TERM);
    assert_eq!(trial.ended().code(), Some(0));
    assert!(!trial.runtime_dir().exists());
}

#[test]
fn the_death_of_the_parent_leaves_the_master_running() {
    let mut trial = Trial::run();
    signal(trial.pid(), Signal::KILL);
    assert_eq!(trial.ended().code(), None);
    assert_eq!(trial.state()["serving"], 2);
    trial.cli(&["stop"]).output();
}

/// A package with these binaries, each of which exits with its own code.
fn package(dir: &Path, bins: &[(&str, i32)]) -> std::io::Result<()> {
    let manifest =
        "[package]\nname = \"tiny\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n";
    std::fs::write(dir.join("Cargo.toml"), manifest)?;
    std::fs::create_dir_all(dir.join("src/bin"))?;
    for (name, code) in bins {
        let text = format!("fn main() {{ std::process::exit({code}) }}\n");
        std::fs::write(dir.join(format!("src/bin/{name}.rs")), text)?;
    }
    Ok(())
}

#[test]
fn a_binary_of_the_package_here_is_built_and_run() {
    let dir = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let mut command = cluster();
        command
            .env("CARGO_TARGET_DIR", dir.path().join("target"))
            .env("RUST_LOG", "off");
        Run::of(command.current_dir(dir.path()).arg("run").args(args))
    };
    assert!(run(&[]).complaint(1).starts_with("no cargo package here"));
    package(dir.path(), &[("one", 41)]).unwrap();
    let built = run(&[]);
    assert_eq!(built.code, Some(41), "{}", built.err);
    assert!(
        built.err.contains("Compiling tiny"),
        "cargo is heard: {}",
        built.err
    );
    package(dir.path(), &[("two", 42)]).unwrap();
    assert!(
        run(&[])
            .complaint(1)
            .contains("several binaries (one, two)")
    );
    assert_eq!(run(&["--bin", "two"]).code, Some(42));
    let missing = run(&["--bin", "three"]);
    assert_eq!(missing.code, Some(1));
    assert!(
        missing.err.ends_with("error: cargo could not build it\n"),
        "{}",
        missing.err
    );
}
