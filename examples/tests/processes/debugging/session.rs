//! A debugging session, and the debuggers in it.

use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use cluster_core::operator::{Operator, OperatorError};
use cluster_core::{Debugging, Operation};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::support::Cluster;

pub(super) const LONG: Duration = Duration::from_secs(60);

/// An operator who debugs a worker; none where it has left.
type Over = Option<Result<Value, OperatorError>>;

pub(super) struct Session {
    over: JoinHandle<Over>,
    commands: mpsc::Receiver<String>,
    leave: oneshot::Sender<()>,
}

impl Session {
    pub(super) fn begin(cluster: &Cluster, worker: Option<u32>) -> Self {
        let directory = cluster.path("run");
        let (command, commands) = mpsc::channel();
        let (leave, left) = oneshot::channel();
        let operate = move || async move {
            let mut operator = Operator::connect(&directory).await?;
            let operation = Operation::Debug(Debugging::Attach { worker });
            let tell = |note: cluster_core::ProgressNote| {
                if note.done == 1 {
                    command.send(note.note).unwrap();
                }
            };
            operator.operate(operation, tell).await
        };
        let over = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                tokio::select! {
                    over = operate() => Some(over),
                    _ = left => None,
                }
            })
        });
        Session {
            over,
            commands,
            leave,
        }
    }

    /// The command that connects a debugger.
    pub(super) fn command(&self) -> String {
        self.commands.recv_timeout(LONG).expect("a debug server")
    }

    pub(super) fn outcome(self) -> Result<Value, OperatorError> {
        let over = self.over.join().unwrap();
        drop(self.leave);
        over.expect("it has not left")
    }

    /// The operator goes away.
    pub(super) fn leave(self) {
        self.leave.send(()).unwrap();
        assert!(self.over.join().unwrap().is_none());
    }
}

/// gdb, connected as the cluster says, with these commands.
pub(super) fn gdb(command: &str, then: &[&str]) -> Child {
    let own = [
        "-batch",
        "-nx",
        "-iex",
        "set pagination off",
        "-iex",
        "set breakpoint pending off",
    ];
    debugger(command, &own, "-ex", then)
}

/// The same of lldb.
pub(super) fn lldb(command: &str, then: &[&str]) -> Child {
    debugger(command, &["--batch", "--no-lldbinit"], "-o", then)
}

fn debugger(command: &str, own: &[&str], flag: &str, then: &[&str]) -> Child {
    let words = "exec timeout 100 ".to_owned() + command;
    let mut debugger = Command::new("sh");
    debugger.args(["-c", &(words + " \"$@\""), "debugger"]);
    debugger.args(own);
    for one in then {
        debugger.args([flag, one]);
    }
    debugger
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

pub(super) fn text(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

pub(super) fn worker(status: &Value, id: u32) -> Value {
    let mut workers = status["workers"].as_array().unwrap().iter();
    let found = workers.find(|worker| worker["id"] == id);
    found.cloned().unwrap_or(Value::Null)
}

/// How many debug servers a cluster has.
pub(super) fn servers(cluster: &Cluster) -> usize {
    let is_server = |pid: &u32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        name.starts_with("gdbserver") || name.starts_with("lldb-server")
    };
    let all = cluster.processes().into_iter();
    all.filter(is_server).count()
}

/// Who traces a process.
pub(super) fn tracer(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mut lines = status.lines();
    let tracer = lines.find_map(|line| line.strip_prefix("TracerPid:"))?;
    tracer.trim().parse().ok().filter(|tracer| *tracer != 0)
}

/// Where anybody listens at a port, as the kernel writes addresses.
pub(super) fn listens_at(port: u16) -> Vec<String> {
    const LISTENS: &str = "0A";
    let mut found = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = fs::read_to_string(table).unwrap_or_default();
        for line in text.lines().skip(1) {
            let mut fields = line.split_whitespace().skip(1);
            let (Some(local), state) = (fields.next(), fields.nth(1)) else {
                continue;
            };
            if state == Some(LISTENS) && local.ends_with(&format!(":{port:04X}")) {
                found.push(local.to_owned());
            }
        }
    }
    found
}

/// 127.0.0.1, as the kernel writes it.
pub(super) const LOOPBACK: &str = "0100007F";

/// That the port at which a debugger is connected is open on this machine alone.
#[track_caller]
pub(super) fn assert_loopback_alone(command: &str) {
    let (_, port) = command.rsplit_once("127.0.0.1:").expect("an address");
    let port: u16 = port.trim_end_matches('"').parse().expect("a port");
    assert_eq!(listens_at(port), [format!("{LOOPBACK}:{port:04X}")]);
}
