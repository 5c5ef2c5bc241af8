//! A small cluster for one test.

use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use serde_json::Value;
use tempfile::TempDir;

use crate::{Run, cluster};

/// How long anything may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster of the example `trial`, in a directory of its own.
pub(crate) struct Trial {
    dir: TempDir,
    child: Child,
    log: Receiver<String>,
    /// The lines that were received.
    logged: RefCell<Vec<String>>,
}

/// The file of the example, which cargo builds beside the command.
fn program() -> PathBuf {
    let command = Path::new(env!("CARGO_BIN_EXE_cluster"));
    let program = command
        .parent()
        .expect("it lies in a directory")
        .join("examples/trial");
    assert!(
        program.exists(),
        "`cargo build -p cluster-cli --examples` makes {}",
        program.display()
    );
    program
}

impl Trial {
    /// A cluster of two workers that serve.
    pub(crate) fn start() -> Self {
        Self::begin(Stdio::null(), |dir| {
            let mut command = Command::new(program());
            command.args(flags(dir)).arg("--cache.enable=false");
            command
        })
    }

    /// Without a cache, from a copy of the program, which can be replaced.
    pub(crate) fn of_a_copy() -> Self {
        Self::begin(Stdio::null(), |dir| {
            let copy = dir.join("program");
            place_program(&program(), &copy);
            let mut command = Command::new(copy);
            command.args(flags(dir)).arg("--cache.enable=false");
            command
        })
    }

    /// The same with a cache.
    pub(crate) fn with_cache() -> Self {
        Self::begin(Stdio::null(), |dir| {
            let mut command = Command::new(program());
            command.args(flags(dir));
            command
        })
    }

    /// The same below `cluster run`.
    pub(crate) fn run() -> Self {
        Self::begin(Stdio::null(), |dir| {
            let mut command = cluster();
            command.arg("run").arg(program()).arg("--").args(flags(dir));
            command.arg("--cache.enable=false");
            command
        })
    }

    /// The same from a copy of the program; workers have time to wait for a master.
    pub(crate) fn run_a_copy() -> Self {
        Self::begin(Stdio::null(), |dir| {
            let copy = dir.join("program");
            place_program(&program(), &copy);
            let mut command = cluster();
            command.arg("run").arg(copy).arg("--").args(flags(dir));
            command.args(["--cache.enable=false", "--orphan-timeout", "60s"]);
            command
        })
    }

    /// The same, where `cluster run` is started by these words before it, with this input, and as set.
    pub(crate) fn run_by(
        words: &[&str],
        stdin: impl Into<Stdio>,
        set: impl FnOnce(&mut Command),
    ) -> Self {
        Self::begin(stdin.into(), |dir| {
            let mut command = Command::new(words[0]);
            command.args(&words[1..]).arg(env!("CARGO_BIN_EXE_cluster"));
            command.arg("run").arg(program()).arg("--").args(flags(dir));
            command.arg("--cache.enable=false");
            set(&mut command);
            command
        })
    }

    /// The same with log files, in `log`.
    pub(crate) fn with_log_files() -> Self {
        let trial = Self::spawn(Stdio::null(), |dir| {
            let mut command = Command::new(program());
            command.args(flags(dir)).args(["--log", "files"]);
            command
        });
        trial.until("all serve", |state| state["serving"] == 2);
        trial
    }

    fn begin(stdin: Stdio, command: impl FnOnce(&Path) -> Command) -> Self {
        let trial = Self::spawn(stdin, command);
        trial.until_logged("all workers are ready");
        trial
    }

    fn spawn(stdin: Stdio, command: impl FnOnce(&Path) -> Command) -> Self {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let mut command = command(dir.path());
        command.env_remove("RUST_LOG").current_dir(dir.path());
        let mut child = command
            .stdin(stdin)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the cluster can be started");
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let (tell, log) = channel();
        // Reads on when nobody listens any more, so that the cluster never waits for its log.
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        Self {
            dir,
            child,
            log,
            logged: RefCell::default(),
        }
    }

    /// Waits until the log has such a line; what came before it is passed over.
    pub(crate) fn until_logged(&self, text: &str) {
        let mut logged = self.logged.borrow_mut();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.log.recv_timeout(left) {
                Ok(line) => logged.push(line),
                Err(e) => panic!("{e}: the log never said {text:?}: {}", logged.join("\n")),
            }
            if logged.last().is_some_and(|line| line.contains(text)) {
                return;
            }
        }
    }

    /// Whether the log has had such a line by now.
    pub(crate) fn has_logged(&self, text: &str) -> bool {
        self.logged.borrow().iter().any(|line| line.contains(text))
    }

    /// A file of the test's.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn runtime_dir(&self) -> PathBuf {
        self.file("run")
    }

    /// The process that the test has started: the master, or its parent.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Runs the command on this cluster.
    pub(crate) fn cli(&self, args: &[&str]) -> Run {
        Run::of(
            cluster()
                .arg("--runtime-dir")
                .arg(self.runtime_dir())
                .args(args),
        )
    }

    /// The cluster as it is now.
    pub(crate) fn state(&self) -> Value {
        let run = self.cli(&["--json", "status"]);
        serde_json::from_str(run.output()).expect("it is JSON")
    }

    /// Waits until the cluster is as it should be.
    pub(crate) fn until(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // A master that is being started anew is no failure.
            let run = self.cli(&["--json", "status"]);
            let state = serde_json::from_str(&run.out).unwrap_or(Value::Null);
            if run.code == Some(0) && is(&state) {
                return state;
            }
            assert!(
                Instant::now() < deadline,
                "it never came to this: {what}: {state:#}"
            );
        }
    }

    /// Waits for the end of the process that the test has started.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let pid = Pid::from_child(&self.child);
        let (tell, ended) = channel();
        std::thread::spawn(move || {
            // Left as it is: the child's own handle reaps it.
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            let _ = tell.send(waitid(WaitId::Pid(pid), look).map(drop));
        });
        let ended = ended.recv_timeout(PATIENCE).expect("it ends");
        ended.expect("it is our child");
        self.child.wait().expect("it is our child")
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        // All of the cluster, where it still runs; a stopped master is woken to hear of it.
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            signal(self.pid(), Signal::CONT);
            let _ = self.cli(&["stop", "--timeout", "0"]);
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn flags(dir: &Path) -> Vec<String> {
    let path = |name: &str| dir.join(name).display().to_string();
    let flags = [
        ("--name", "trial".to_owned()),
        ("--workers", "2".to_owned()),
        ("--runtime-dir", path("run")),
        ("--heartbeat-interval", "100ms".to_owned()),
        ("--orphan-timeout", "500ms".to_owned()),
        ("--broken-if", path("broken")),
        ("--panics-if", path("panics")),
        ("--heard", path("heard")),
    ];
    flags
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .collect()
}

/// Puts a program at a path, written aside and renamed. Written by a process of its own: one that a test beside this one starts
/// would inherit the file while it is written, and the kernel executes no file that somebody writes to.
pub(crate) fn place_program(from: &Path, to: &Path) {
    let draft = to.with_extension("draft");
    let copied = Command::new("cp").arg(from).arg(&draft).status();
    assert!(
        copied.is_ok_and(|status| status.success()),
        "the program can be copied"
    );
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    std::fs::rename(&draft, to).expect("it is ours");
}

/// Sends a signal, to a process that may be gone.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .expect("it is a pid");
    let _ = kill_process(pid, signal);
}

/// Whether there is such a process, dead ones that nobody has reaped among them.
pub(crate) fn exists(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

/// The pids of a cluster's workers.
pub(crate) fn workers(state: &Value) -> Vec<u32> {
    let workers = state["workers"].as_array().expect("it has workers");
    let pid =
        |worker: &Value| u32::try_from(worker["pid"].as_u64().expect("a pid")).expect("a pid");
    workers.iter().map(pid).collect()
}
