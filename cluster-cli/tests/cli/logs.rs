//! `cluster logs`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use cluster_core::Operation;
use cluster_core::operator::Operator;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::trial::{Trial, signal, workers};
use crate::{Run, cluster};

/// How long anything may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command that follows the log.
struct Follower {
    child: Child,
    lines: Receiver<String>,
}

impl Follower {
    fn of(trial: &Trial, args: &[&str]) -> Self {
        let mut child = cluster()
            .arg("--runtime-dir")
            .arg(trial.runtime_dir())
            .args(["logs", "--follow"])
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command can be started");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        Follower { child, lines }
    }

    /// Reads on until a line is the one.
    #[track_caller]
    fn until(&self, mut is: impl FnMut(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if is(&line) => return line,
                Ok(_) => {}
                Err(e) => panic!("{e}: the line never came"),
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tells master and workers so many notes of so many bytes each, which begin with their number.
fn tell(trial: &Trial, notes: std::ops::Range<u32>, bytes: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut operator = Operator::connect(&trial.runtime_dir())
            .await
            .expect("the master listens");
        for number in notes {
            let text = format!("note {number} {} whole", "x".repeat(bytes));
            let emit = Operation::Emit {
                name: "trial.Note".to_owned(),
                json: json!({ "text": text }).to_string(),
                to: Vec::new(),
            };
            operator.operate(emit, |_| {}).await.expect("it is emitted");
        }
    });
}

fn note(trial: &Trial, text: &str) {
    let value = json!({ "text": text }).to_string();
    trial.cli(&["emit", "trial.Note", &value]).output();
}

#[test]
fn the_last_lines_of_all_are_shown_in_order_and_those_of_one_alone() {
    let trial = Trial::with_log_files();
    note(&trial, "first");
    note(&trial, "second");
    let all = ["master", "worker 1", "worker 2"];
    let heard = |text: &str, what: &str| {
        let of = |who: &&str| {
            let stamp = format!(" {who:<13} ");
            text.lines()
                .any(|line| line.contains(&stamp) && line.ends_with(what))
        };
        all.iter().all(of)
    };
    // The workers hear it a moment after the master has answered.
    let deadline = Instant::now() + PATIENCE;
    let text = loop {
        assert!(Instant::now() < deadline, "not all have heard");
        let run = trial.cli(&["logs", "-n", "1000"]);
        let text = run.output().to_owned();
        if heard(&text, "heard second") {
            break text;
        }
    };
    assert!(heard(&text, "heard first"), "{text}");
    assert!(text.contains("all workers are ready"), "{text}");
    assert!(
        text.contains("\nworker 2      | worker 2 was told 6 bytes\n"),
        "{text}"
    );
    let times: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("20"))
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert!(times.is_sorted(), "{text}");

    let pid = workers(&trial.state())[1].to_string();
    for worker in ["2", &pid] {
        let run = trial.cli(&["logs", "-n", "2", worker]);
        let lines: Vec<&str> = run.output().lines().collect();
        let [event, print] = lines[..] else {
            panic!("{lines:?}")
        };
        assert!(event.ends_with("INFO heard second"), "{event}");
        assert_eq!(print, "worker 2 was told 6 bytes");
    }
    let run = trial.cli(&["--json", "logs", "-n", "1", "1"]);
    let line: Value = serde_json::from_str(run.output()).unwrap();
    assert_eq!(
        line,
        json!({ "process": "worker 1", "time": null, "line": "worker 1 was told 6 bytes" })
    );
    assert_eq!(trial.cli(&["logs", "-n", "0"]).output(), "");
    let nobody = trial.cli(&["logs", "77"]);
    let complaint = nobody.complaint(8);
    assert!(
        complaint.starts_with("no worker has the id or pid 77"),
        "{complaint}"
    );
}

#[test]
fn lines_are_followed_over_full_files_and_killed_workers() {
    let trial = Trial::with_log_files();
    let all = Follower::of(&trial, &["-n", "0"]);
    // It follows once it shows what is new.
    let shown = |within| all.lines.recv_timeout(within).is_ok();
    let deadline = Instant::now() + PATIENCE;
    loop {
        note(&trial, "are you there");
        if shown(Duration::from_millis(500)) {
            break;
        }
        assert!(Instant::now() < deadline, "it follows nothing");
    }
    // 9 MB for each: two files are filled.
    let notes = 0..150;
    tell(&trial, notes.clone(), 60_000);
    let mut heard: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    let mut left = 3 * notes.len();
    all.until(|line| {
        if let Some((stamp, note)) = line.split_once(" INFO heard note ") {
            let who = stamp.split_once(' ').unwrap().1.trim();
            let number = note.split(' ').next().unwrap().parse().unwrap();
            assert!(note.ends_with("x whole"), "torn");
            heard.entry(who.to_owned()).or_default().push(number);
            left -= 1;
        }
        left == 0
    });
    let expected: Vec<u32> = notes.collect();
    for who in ["master", "worker 1", "worker 2"] {
        assert_eq!(heard[who], expected, "{who}");
    }
    assert!(trial.file("log/trial.1.log.2").exists());

    signal(workers(&trial.state())[0], Signal::KILL);
    all.until(|line| line.contains(" worker 3      ") && line.contains("serving"));
    trial.until("the next serves", |state| state["serving"] == 2);
    note(&trial, "after all");
    all.until(|line| line.contains(" worker 3      ") && line.ends_with("heard after all"));
    // What the dead one has said is there.
    let dead = trial.cli(&["logs", "-n", "1", "1"]);
    assert_eq!(dead.output(), "worker 1 was told 60015 bytes\n");

    let mut all = all;
    signal(all.child.id(), Signal::INT);
    assert_eq!(all.child.wait().unwrap().code(), Some(0));
}

#[test]
fn one_worker_is_followed_alone() {
    let trial = Trial::with_log_files();
    let mut one = Follower::of(&trial, &["--json", "2"]);
    let mut seen = Vec::new();
    one.until(|line| line.contains("serving"));
    note(&trial, "hello");
    one.until(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        seen.push(line["process"].as_str().unwrap().to_owned());
        line["line"].as_str().unwrap().ends_with("heard hello")
    });
    assert!(seen.iter().all(|who| who == "worker 2"), "{seen:?}");
    signal(one.child.id(), Signal::INT);
    assert_eq!(one.child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_files_of_a_cluster_that_has_ended_are_found_where_it_was_started() {
    let mut trial = Trial::with_log_files();
    trial.cli(&["stop"]).output();
    assert!(trial.ended().success());
    let here = |directory: &Path, args: &[&str]| {
        let mut command = cluster();
        command
            .current_dir(directory)
            .arg("--runtime-dir")
            .arg(trial.runtime_dir());
        Run::of(command.args(args))
    };
    let home = trial.file("");
    let run = here(&home, &["logs", "-n", "1000"]);
    assert!(
        run.output().contains("all workers are ready"),
        "{}",
        run.out
    );
    let log = home.join("log");
    let log = log.to_str().unwrap();
    let named = here(Path::new("/"), &["logs", "--log-dir", log, "1"]);
    assert!(named.output().contains("serving"), "{}", named.out);
    let nobody = here(&home, &["logs", "9"]);
    assert!(nobody.complaint(8).starts_with("no worker has the id"));
    let nowhere = tempfile::tempdir().unwrap();
    let none = here(nowhere.path(), &["logs"]);
    let complaint = none.complaint(3);
    assert!(
        complaint.starts_with("no cluster is running (looked in ")
            && complaint.ends_with("), and there are no log files in ./log"),
        "{complaint}"
    );
    let missing = here(&home, &["logs", "--log-dir", "no"]);
    assert_eq!(missing.complaint(1), "there are no log files in no");
}

#[test]
fn a_cluster_that_logs_to_standard_error_says_so() {
    let trial = Trial::start();
    let run = trial.cli(&["logs"]);
    let complaint = run.complaint(8);
    assert!(
        complaint.starts_with("trial logs to standard error"),
        "{complaint}"
    );
}
