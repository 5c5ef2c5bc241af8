//! The live view, at a terminal.

use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::terminal::Terminal;
use crate::trial::{Trial, signal, workers};
use crate::{Run, cluster};

fn top(trial: &Trial) -> Terminal {
    top_where(trial, |command| {
        command.env_remove("NO_COLOR");
    })
}

fn top_where(trial: &Trial, set: impl FnOnce(&mut Command)) -> Terminal {
    let mut command = cluster();
    command.arg("--runtime-dir").arg(trial.runtime_dir());
    set(&mut command);
    let mut terminal = Terminal::start(command.arg("top"));
    terminal.until("it shows the workers", |text| {
        text.contains("2 of 2 workers serving")
    });
    terminal
}

/// Whether there is a row of this worker's pid and state.
fn row(text: &str, pid: u32, state: &str) -> bool {
    let pid = format!(" {pid} {state}");
    text.lines().any(|line| line.contains(&pid))
}

fn states(state: &Value) -> Vec<&str> {
    let workers = state["workers"].as_array().expect("it has workers");
    workers
        .iter()
        .map(|worker| worker["state"].as_str().expect("a state"))
        .collect()
}

#[test]
fn it_shows_the_cluster_and_leaves_the_terminal_as_it_was() {
    let trial = Trial::start();
    let mut terminal = top(&trial);
    let pids = workers(&trial.state());
    let text = terminal.until("figures", |text| text.contains("MiB"));
    assert!(text.starts_with("trial: running"), "{text}");
    let master = format!("master {}, up", trial.pid());
    assert!(text.contains(&master), "{text}");
    for pid in pids {
        assert!(row(&text, pid, "active"), "{text}");
    }
    terminal.press("?");
    terminal.until("the keys", |text| {
        text.contains("roll: replace all workers")
    });
    terminal.press("?");
    terminal.until("no keys", |text| {
        !text.contains("roll: replace all workers")
    });
    terminal.resize(40, 10);
    terminal.until("too small", |text| text.contains("too small: 40 x 10"));
    terminal.resize(80, 24);
    let text = terminal.until("rows again", |text| text.contains("2 of 2 workers"));
    assert!(!text.contains("LAST 2 MIN"), "{text}");
    terminal.press("q");
    assert_eq!(terminal.ended().code(), Some(0));
}

#[test]
fn a_signal_and_ctrl_c_leave_the_terminal_as_it_was() {
    let trial = Trial::start();
    let terminal = top(&trial);
    signal(terminal.pid(), Signal::TERM);
    assert_eq!(terminal.ended().code(), Some(128 + 15));
    let mut terminal = top(&trial);
    assert!(terminal.is_coloured());
    terminal.press("\x03");
    assert_eq!(terminal.ended().code(), Some(0));
    let mut plain = top_where(&trial, |command| {
        command.env("NO_COLOR", "1");
    });
    assert!(!plain.is_coloured());
    plain.press("q");
    assert_eq!(plain.ended().code(), Some(0));
}

#[test]
fn a_terminal_that_is_closed_ends_it() {
    let trial = Trial::start();
    let status = top(&trial).hang_up();
    assert!(matches!(status.code(), Some(1 | 129)), "{status}");
}

#[test]
fn workers_are_paused_and_resumed_and_replaced_before_its_eyes() {
    let trial = Trial::start();
    let pids = workers(&trial.state());
    let mut terminal = top(&trial);
    terminal.press("jp");
    terminal.until("a question", |text| text.contains("Pause worker 2?"));
    terminal.press("y");
    terminal.until("it is paused", |text| row(text, pids[1], "paused"));
    assert_eq!(states(&trial.state()), ["active", "paused"]);
    terminal.press("kpy");
    terminal.until("it is the last one", |text| {
        text.contains("last one that serves")
    });
    terminal.press("n");
    terminal.press("jr");
    terminal.until("it serves", |text| row(text, pids[1], "active"));
    assert_eq!(states(&trial.state()), ["active", "active"]);
    signal(pids[0], Signal::KILL);
    let died = format!("worker 1 (pid {}) has died", pids[0]);
    terminal.until("its death", |text| text.contains(&died));
    let state = trial.until("a successor", |state| {
        state["serving"] == 2 && workers(state).len() == 2
    });
    for pid in workers(&state) {
        assert!(pid != pids[0]);
        terminal.until("its row", |text| row(text, pid, "active"));
    }
    terminal.press("P");
    terminal.until("a question", |text| text.contains("Pause all workers?"));
    terminal.press("y");
    terminal.until("all are paused", |text| text.contains("0 of 2 workers"));
    terminal.press("A");
    terminal.until("all serve", |text| text.contains("2 of 2 workers"));
    terminal.press("+");
    terminal.until("a third", |text| text.contains("3 of 3 workers serving"));
    terminal.press("m");
    terminal.until("a question", |text| text.contains("Mark the node down?"));
    terminal.press("y");
    terminal.until("the mark", |text| text.contains(", marked down"));
    assert_eq!(trial.state()["mark"], "down");
    terminal.press("m");
    terminal.until("the mark", |text| text.contains(", marked up"));
    terminal.press("q");
    assert_eq!(terminal.ended().code(), Some(0));
}

#[test]
fn one_worker_is_seen_into() {
    let trial = Trial::start();
    let mut terminal = top(&trial);
    terminal.press("lcluster_core=debug\r");
    terminal.until("what it logs", |text| {
        text.contains("worker 1 logs cluster_core=debug (before: info)")
    });
    terminal.press("la=loud\r");
    terminal.until("why not", |text| text.contains("\"a=loud\" is no filter"));
    terminal.press("s");
    terminal.until("its stacks", |text| {
        text.contains("the stacks of worker 1: lines 1 to") && text.contains("thread ")
    });
    terminal.press("G");
    terminal.until("their end", |text| !text.contains(": lines 1 to"));
    terminal.press("q");
    terminal.until("the rows", |text| text.contains("2 of 2 workers serving"));
    terminal.press("L");
    terminal.until("its log", |text| {
        text.contains("what worker 1 has logged lately: lines")
            && text.contains("the filter of the log was changed")
    });
    terminal.press("qM");
    terminal.until("the master's log", |text| {
        text.contains("what the master has logged lately: lines")
            && text.contains("all workers are ready")
    });
    terminal.press("q");
    let file = trial.file("flame.svg");
    terminal.press("f");
    terminal.until("a file is asked for", |text| {
        text.contains("> trial-worker-1.svg_")
    });
    let erased = "\x7f".repeat("trial-worker-1.svg".len());
    terminal.press(&format!("{erased}{}\r", file.display()));
    terminal.until("it is drawn", |text| text.contains("flame.svg: worker 1, "));
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("<svg"));
    terminal.press("i");
    terminal.until("a question", |text| text.contains("Isolate worker 1?"));
    terminal.press("yg");
    terminal.until("it is isolated", |text| text.contains("isolated"));
    trial.until("it is", |state| states(state).contains(&"isolated"));
}

/// The ids of a cluster's workers.
fn ids(state: &Value) -> Vec<u64> {
    let workers = state["workers"].as_array().expect("it has workers");
    let id = |worker: &Value| worker["id"].as_u64().expect("an id");
    workers.iter().map(id).collect()
}

/// Whether these are all the workers, and all of them serve.
fn are(state: &Value, wanted: &[u64]) -> bool {
    ids(state) == wanted && states(state).iter().all(|state| *state == "active")
}

#[test]
fn one_worker_is_recycled_and_all_are_rolled() {
    let trial = Trial::start();
    let mut terminal = top(&trial);
    terminal.press("jc");
    terminal.until("a question", |text| text.contains("Replace worker 2?"));
    terminal.press("n");
    terminal.until("nothing was done", |text| text.contains("nothing was done"));
    assert!(are(&trial.state(), &[1, 2]));
    terminal.press("c");
    terminal.until("a question", |text| text.contains("Replace worker 2?"));
    terminal.press("y");
    terminal.until("it is said", |text| {
        text.contains("worker 2 is to be replaced")
    });
    let state = trial.until("its successor alone", |state| are(state, &[1, 3]));
    let successor = workers(&state)[1];
    terminal.until("its row", |text| row(text, successor, "active"));
    assert_eq!(generations(&state), [1, 1]);
    terminal.press("R");
    terminal.until("a question", |text| text.contains("Replace all workers,"));
    terminal.press("y");
    terminal.until("it is said", |text| {
        text.contains("all workers are being replaced")
    });
    let state = trial.until("their successors alone", |state| are(state, &[4, 5]));
    assert_eq!(generations(&state), [2, 2]);
    for pid in workers(&state) {
        terminal.until("its row", |text| row(text, pid, "active"));
    }
    terminal.press("q");
    assert_eq!(terminal.ended().code(), Some(0));
}

fn generations(state: &Value) -> Vec<u64> {
    let workers = state["workers"].as_array().expect("it has workers");
    let generation = |worker: &Value| worker["generation"].as_u64().expect("a generation");
    workers.iter().map(generation).collect()
}

#[test]
fn the_number_of_workers_is_lowered() {
    let trial = Trial::start();
    let mut terminal = top(&trial);
    terminal.press("-");
    terminal.until("a question", |text| {
        text.contains("Scale down from 2 to 1 worker?")
    });
    terminal.press("y");
    terminal.until("one is left", |text| text.contains("1 of 1 worker"));
    let state = trial.until("the oldest alone", |state| are(state, &[1]));
    assert_eq!(state["wanted"], 1);
    // One is the fewest.
    terminal.press("-");
    terminal.until("a question", |text| {
        text.contains("Scale down from 1 to 0 workers?")
    });
    terminal.press("y");
    terminal.until("why not", |text| text.contains("allowed: 1 to 512"));
    terminal.press("q");
    assert_eq!(terminal.ended().code(), Some(0));
    assert!(are(&trial.state(), &[1]));
}

#[test]
fn who_is_isolated_is_brought_back_or_ended() {
    let trial = Trial::start();
    let pids = workers(&trial.state());
    let mut terminal = top(&trial);
    for (worker, pid) in [(1, pids[0]), (2, pids[1])] {
        if worker == 2 {
            terminal.press("j");
        }
        terminal.press("i");
        let question = format!("Isolate worker {worker}?");
        terminal.until("a question", |text| text.contains(&question));
        terminal.press("y");
        terminal.until("it is isolated", |text| row(text, pid, "isolated"));
        trial.until("two serve besides", |state| state["serving"] == 2);
    }
    // The second, which is selected, ends; the first comes back, and the youngest leaves.
    terminal.press("x");
    terminal.until("a question", |text| {
        text.contains("End worker 2, which is isolated?")
    });
    terminal.press("y");
    terminal.until("it is said", |text| text.contains("worker 2 ends"));
    trial.until("its end", |state| ids(state) == [1, 3, 4]);
    terminal.press("kkk");
    terminal.press("b");
    terminal.until("it is said", |text| {
        text.contains("worker 1 serves with the others again")
    });
    let state = trial.until("the oldest two", |state| are(state, &[1, 3]));
    assert_eq!(workers(&state)[0], pids[0]);
    terminal.until("its row", |text| row(text, pids[0], "active"));
    terminal.press("q");
    assert_eq!(terminal.ended().code(), Some(0));
}

#[test]
fn it_outlives_the_master() {
    let trial = Trial::run_a_copy();
    let state = trial.until("it has lived for long enough", |state| {
        state["master"]["uptime_ms"].as_u64() > Some(2000)
    });
    let old = u32::try_from(state["master"]["pid"].as_u64().unwrap()).unwrap();
    let mut terminal = top(&trial);
    signal(trial.pid(), Signal::STOP);
    signal(old, Signal::KILL);
    let away = terminal.until("the master is away", |text| {
        text.contains("the master is away since")
    });
    for pid in workers(&state) {
        assert!(row(&away, pid, "active"), "{away}");
    }
    signal(trial.pid(), Signal::CONT);
    let over = format!("has taken over from master {old}");
    let text = terminal.until("the next master", |text| {
        text.contains(&over) && text.contains("2 of 2 workers serving")
    });
    assert!(!text.contains("the master is away"), "{text}");
    for pid in workers(&state) {
        assert!(row(&text, pid, "active"), "{text}");
    }
    terminal.press("q");
    assert_eq!(terminal.ended().code(), Some(0));
}

#[test]
fn without_a_terminal_it_says_so_and_once_it_is_text() {
    let trial = Trial::start();
    let run = trial.cli(&["top"]);
    let complaint = run.complaint(2);
    assert!(complaint.contains("is no terminal"), "{complaint}");
    let once = trial.cli(&["top", "--once"]);
    let text = once.output();
    assert!(text.starts_with("trial: running"), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
    for pid in workers(&trial.state()) {
        assert!(row(text, pid, "active"), "{text}");
    }
    let nowhere = Run::of(cluster().args(["--name", "no-such-cluster", "top", "--once"]));
    assert_eq!(nowhere.code, Some(3), "{}", nowhere.err);
    assert_eq!(trial.cli(&["--json", "top"]).code, Some(2));
}
