//! Logs in files: what processes say is there, whole, whatever happens to the files meanwhile.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Address, Answer, Cluster, Connection, Line, Setup, Signal, signal, soon};

/// A cluster of the example `chatter` that logs to files.
struct Filed {
    cluster: Cluster,
    directory: PathBuf,
}

impl Filed {
    fn start(setup: Setup) -> Self {
        let directory = setup.path("log");
        Self::start_in(setup, directory)
    }

    fn start_in(setup: Setup, directory: PathBuf) -> Self {
        let cluster = setup
            .flag("--log", "files")
            .flag("--log-dir", directory.display())
            .flag("--workers", 1)
            .spawn();
        let filed = Filed { cluster, directory };
        filed.line("master", "all workers are ready");
        filed
    }

    /// What is in the files of a process, the oldest first.
    fn text(&self, process: &str) -> String {
        let path = |end: &str| self.directory.join(format!("chatter.{process}.log{end}"));
        let files = [".3", ".2", ".1", ""].map(|end| fs::read_to_string(path(end)));
        files.into_iter().filter_map(Result::ok).collect()
    }

    /// The line of a process that says this, once it is there.
    #[track_caller]
    fn line(&self, process: &str, says: &str) -> Line {
        soon(&format!("{says:?} of {process}"), || {
            let text = self.text(process);
            let line = text.lines().find(|line| line.contains(says))?;
            Some(Line {
                text: line.to_owned(),
                at: Instant::now(),
            })
        })
    }

    fn address(&self, says: &str) -> Address {
        let line = self.line("master", says);
        Address::parse(line.field("addresses").unwrap())
    }

    fn post(&self, path: &str) -> Answer {
        post(&self.address(" bound "), path)
    }

    /// Waits for a heartbeat of the first worker that has begun after this.
    fn next_beat(&self) {
        let monitor = self.address("the monitor serves");
        let beat = || {
            let status = Connection::get(&monitor, "/status").unwrap().json();
            status["workers"][0]["beat"]["uptime_ms"].as_u64()
        };
        for _ in 0..2 {
            let before = beat();
            soon("a heartbeat", || (beat() > before).then_some(()));
        }
    }

    /// How the log of the process does, as it says itself.
    fn account(&self, pid: u32) -> Value {
        let monitor = self.address("the monitor serves");
        let all = Connection::get(&monitor, "/status/log").unwrap().json();
        let mut entries = all.as_array().unwrap().iter();
        let of_it = entries.find(|entry| entry["pid"] == pid);
        of_it.unwrap_or_else(|| panic!("{all}"))["status"].clone()
    }
}

fn post(address: &Address, path: &str) -> Answer {
    let mut connection = Connection::open(address).unwrap();
    let answer = connection.send("POST", path, &[("connection", "close")]);
    answer.unwrap_or_else(|e| panic!("POST {path}: {e:?}"))
}

/// The lines of one kind, each by its thread and number; a torn one fails the test.
fn whole(text: &str, kind: &str, bytes: usize) -> HashSet<(u32, u32)> {
    let filling = "x".repeat(bytes);
    let marked = format!("{kind} ");
    let mut found = HashSet::new();
    for line in text.lines() {
        let Some(at) = line.find(&marked) else {
            continue;
        };
        let words: Vec<&str> = line[at..].split(' ').collect();
        let [_, thread, number, filled, "whole"] = words[..] else {
            panic!("torn: {line:?}");
        };
        assert_eq!(filled, filling, "torn");
        let which = (thread.parse().unwrap(), number.parse().unwrap());
        assert!(found.insert(which), "said twice: {which:?}");
    }
    found
}

#[test]
fn threads_that_write_at_once_lose_and_tear_no_line_while_files_are_set_aside() {
    let filed = Filed::start(Setup::chatter());
    let address = filed.address(" bound ");
    let kinds = [("tracing", 4), ("print", 2), ("eprint", 2)];
    let say = |(by, threads)| {
        let path = format!("/say?lines=1500&bytes=900&threads={threads}&by={by}");
        assert_eq!(post(&address, &path).status, 200);
    };
    // Standard library's prints to standard error are in pieces, which those to standard output may come between wherever both lead.
    thread::scope(|scope| {
        scope.spawn(|| say(kinds[0]));
        scope.spawn(|| say(kinds[1]));
    });
    say(kinds[2]);
    let path = |end: &str| filed.directory.join(format!("chatter.1.log{end}"));
    let length = |end: &str| fs::metadata(path(end)).map(|found| found.len()).ok();
    let first = soon("the second full file", || length(".2"));
    // It was full while tracing wrote as well, which notices that at once.
    assert!(first <= (4 << 20) + (1 << 19), "{first}");
    assert_eq!(length(".3"), None, "no more than is needed");
    let text = filed.text("1");
    let said = ["said", "printed", "complained"];
    for (kind, (_, threads)) in said.iter().zip(kinds) {
        let all = (0..threads).flat_map(|t| (0..1500).map(move |n| (t, n)));
        assert_eq!(whole(&text, kind, 900), all.collect(), "{kind}");
    }
    filed.cluster.stop();
}

#[test]
fn prints_alone_are_noticed_and_only_four_files_are_kept() {
    let filed = Filed::start(Setup::chatter());
    let oldest = filed.directory.join("chatter.1.log.3");
    soon("the fourth file", || {
        let answer = filed.post("/say?lines=1000&bytes=1000&by=print");
        assert_eq!(answer.status, 200);
        oldest.exists().then_some(())
    });
    let first = filed.line("1", "printed 0 0 ").text;
    soon("the loss of the first", || {
        filed.post("/say?lines=1000&bytes=1000&by=print");
        (!filed.text("1").contains("serving")).then_some(())
    });
    assert!(first.starts_with("printed"));
    let files = fs::read_dir(&filed.directory).unwrap();
    let of_worker = files
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().contains(".1.log"));
    assert_eq!(of_worker.count(), 4);
    filed.cluster.stop();
}

#[test]
fn prints_panics_and_stacks_are_in_the_file_of_their_process() {
    let filed = Filed::start(Setup::chatter());
    let pid = filed.post("/say?lines=1&by=print").pid();
    assert!(filed.text("1").contains("\nprinted 0 0 "));
    let panicked = Connection::open(&filed.address(" bound "))
        .unwrap()
        .send("POST", "/panic", &[])
        .unwrap();
    assert_eq!(panicked.status, 500);
    filed.line("1", &format!("process {pid} panics, as it was asked to"));
    assert!(signal(pid, Signal::QUIT));
    filed.line("1", &format!("stacks of process {pid} "));
    filed.line("cache-manager", "serving");
    let front: Vec<String> = filed
        .cluster
        .log
        .since(0)
        .into_iter()
        .map(|line| line.text)
        .collect();
    let expected = format!("logging to {}/chatter.*.log", filed.directory.display());
    assert_eq!(front, [expected], "where it was started it is told once");
    assert_eq!(filed.account(pid)["lost"], 0);
    filed.cluster.stop();
}

#[test]
fn the_files_of_workers_that_ended_long_ago_make_room() {
    let setup = Setup::chatter();
    let directory = setup.path("log");
    fs::create_dir(&directory).unwrap();
    for id in 100..130 {
        fs::write(directory.join(format!("chatter.{id}.log")), "").unwrap();
        fs::write(directory.join(format!("chatter.{id}.log.1")), "").unwrap();
    }
    fs::write(directory.join("other.100.log"), "").unwrap();
    let filed = Filed::start(setup);
    let left = |kind: &str| {
        let all = fs::read_dir(&filed.directory).unwrap().flatten();
        let names = all.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(kind)).count()
    };
    assert_eq!((left("chatter.1"), left("other")), (1 + 2 * 16, 1));
    filed.cluster.stop();
}

#[test]
fn a_start_that_fails_says_so_where_it_was_started() {
    let directory = |path: &Path| {
        Setup::chatter()
            .flag("--log", "files")
            .flag("--log-dir", path.display())
    };
    let home = TempDir::new().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    directory(&file.join("log")).fail().names(&[
        "--log files: ",
        "file/log/chatter.master.log cannot be written",
        "Not a directory",
    ]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let failed = directory(&home.path().join("log")).flag("--port", port);
    failed.fail().names(&[&format!("127.0.0.1:{port}"), "busy"]);
    let said = fs::read_to_string(home.path().join("log/chatter.master.log")).unwrap();
    assert!(said.contains("error: ") && said.contains("busy"), "{said}");
}

#[test]
fn an_application_makes_its_lines_itself() {
    for (logger, stamp) in [("given", "given to the worker 1"), ("first", "set first")] {
        let filed = Filed::start(Setup::chatter().flag("--logger", logger));
        assert_eq!(filed.post("/say?lines=1").status, 200);
        let line = filed.line("1", "said 0 0 ").text;
        assert!(line.starts_with(stamp), "{line}");
        filed.cluster.stop();
    }
    let cluster = Setup::chatter().flag("--logger", "given").spawn();
    let line = cluster
        .log
        .find(0, std::time::Duration::from_secs(60), |line| {
            line.text.starts_with("given to the worker 1") && line.text.contains("serving")
        });
    assert!(line.is_some(), "{}", cluster.log.text());
}

/// A file system of its own, with little room.
struct Small(TempDir);

impl Small {
    /// None where this user may not mount one.
    fn mount(bytes: usize) -> Option<Self> {
        let home = TempDir::new().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(home.path())
            .output();
        let mounted = mounted.is_ok_and(|output| output.status.success());
        mounted.then_some(Small(home))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_worker_serves_on_while_the_disk_is_full() {
    let Some(small) = Small::mount(6 << 20) else {
        eprintln!("skipped: this user cannot mount a small file system");
        return;
    };
    let ballast = small.0.path().join("ballast");
    fs::write(&ballast, vec![1; 2 << 20]).unwrap();
    let filed = Filed::start_in(Setup::chatter(), small.0.path().join("log"));
    let pid = filed.post("/say?lines=1").pid();
    let answer = filed.post("/say?lines=4000&bytes=1000&threads=2");
    assert_eq!((answer.status, answer.pid()), (200, pid));
    let log = soon("what was lost", || {
        Some(filed.account(pid)).filter(|log| log["lost"].as_u64() > Some(1000))
    });
    assert!(
        log["file"].as_str().unwrap().ends_with("chatter.1.log"),
        "{log}"
    );
    for by in ["tracing", "print", "eprint"] {
        let answer = filed.post(&format!("/say?lines=300&bytes=1000&by={by}"));
        assert_eq!((answer.status, answer.pid()), (200, pid), "{by}");
    }
    let told = filed.line("1", "chatter.1.log cannot be written");
    assert!(told.text.contains("No space left on device"), "{told:?}");
    fs::remove_file(&ballast).unwrap();
    filed.line("1", "the log is written again; ");
    assert_eq!(filed.post("/say?lines=1&bytes=7").pid(), pid);
    filed.line("1", " xxxxxxx whole");
    for line in filed.text("1").lines() {
        let begins = line.starts_with("20") || line.starts_with("printed") || line.is_empty();
        assert!(begins || line.starts_with("complained"), "torn: {line}");
    }
    // Prints, which fail where they cannot be written, find the room that was set aside for them until it is noticed.
    fs::write(&ballast, vec![1; 6 << 20]).unwrap_err();
    let told = || filed.text("1").matches("cannot be written").count();
    soon("that it is noticed again", || {
        let answer = filed.post("/say?lines=100&bytes=1000&by=print");
        assert_eq!((answer.status, answer.pid()), (200, pid));
        filed.next_beat();
        (told() == 2).then_some(())
    });
    let answer = filed.post("/say?lines=5000&bytes=1000&by=print");
    assert_eq!((answer.status, answer.pid()), (200, pid));
    filed.cluster.stop();
    // Nothing begins where there is no room from the first.
    Setup::chatter()
        .flag("--log", "files")
        .flag("--log-dir", small.0.path().join("other").display())
        .fail()
        .names(&["--log files: ", "No space left on device"]);
}
