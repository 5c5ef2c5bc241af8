//! A running cluster, and the certainty that nothing of it stays.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use cluster_core::Operation;
use cluster_core::operator::{Operator, OperatorError};
use rustix::process::{Pid, Signal};
use serde_json::Value;
use tempfile::TempDir;

use super::http::{Address, Answer, Connection};
use super::log::{Line, Log};
use super::processes::{self, signal};
use super::setup::{self, Setup};
use super::waiting::{soon, within};

/// The longest that a line of the log is waited for.
const LONG: Duration = Duration::from_secs(60);
/// How long processes that were killed may take to be gone.
const GONE: Duration = Duration::from_secs(10);

/// What a command is made of: one that has been used cannot be used for another master's log.
struct Recipe {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, Option<OsString>)>,
    dir: PathBuf,
}

impl Recipe {
    fn of(command: &Command) -> Self {
        let env = command.get_envs();
        Recipe {
            program: command.get_program().to_owned(),
            args: command.get_args().map(ToOwned::to_owned).collect(),
            env: env
                .map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned)))
                .collect(),
            dir: command
                .get_current_dir()
                .expect("it has a directory")
                .to_owned(),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .current_dir(&self.dir)
            .process_group(0);
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }
}

/// A worker, as the monitor shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Worker {
    pub(crate) id: u64,
    pub(crate) pid: u32,
    pub(crate) generation: u64,
}

/// A cluster of its own for one test. Dropping it kills what is left of it.
pub(crate) struct Cluster {
    master: Child,
    /// How the master is started.
    recipe: Recipe,
    mark: String,
    runtime_dir: PathBuf,
    /// The runtime directory was there before: then it is not the cluster's to remove.
    was_there: bool,
    pub(crate) log: Log,
    home: Option<TempDir>,
}

impl Cluster {
    pub(crate) fn spawn(setup: Setup) -> Self {
        let runtime_dir = setup.runtime_dir();
        let was_there = setup::exists(&runtime_dir);
        let mut command = setup.command();
        let recipe = Recipe::of(&command);
        let mut master = command.spawn().expect("the program is there");
        let log = Log::read(master.stderr.take().expect("it is a pipe"));
        Cluster {
            master,
            recipe,
            mark: setup.mark,
            runtime_dir,
            was_there,
            log,
            home: Some(setup.home),
        }
    }

    /// Starts another master in the place of one that has ended, with nothing changed; the log is the new one's from here on.
    pub(crate) fn start_master_again(&mut self) {
        self.start_master_with(|_| {});
    }

    /// The same, with a change.
    pub(crate) fn start_master_with(&mut self, change: impl FnOnce(&mut Command)) {
        self.master.wait().expect("it is our child");
        let mut command = self.recipe.command();
        change(&mut command);
        let mut master = command.spawn().expect("the program is there");
        self.log = Log::read(master.stderr.take().expect("it is a pipe"));
        self.master = master;
    }

    /// Asks the master as the command line does.
    #[track_caller]
    pub(crate) fn operate(&self, operation: Operation) -> Result<Value, OperatorError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let mut operator = Operator::connect(&self.runtime_dir).await?;
            operator.operate(operation, |_| {}).await
        })
    }

    /// The cluster as its master sees it, where there is a master.
    pub(crate) fn state(&self) -> Option<Value> {
        self.operate(Operation::Status).ok()
    }

    #[track_caller]
    pub(crate) fn wait_until_ready(&self) {
        self.line("all workers are ready");
    }

    /// The master's pid.
    pub(crate) fn master(&self) -> u32 {
        self.master.id()
    }

    /// A path inside the directory of this cluster.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home
            .as_ref()
            .expect("it has not ended")
            .path()
            .join(name)
    }

    /// The master's line that says this, once it is there.
    #[track_caller]
    pub(crate) fn line(&self, says: &str) -> Line {
        self.line_since(0, says)
    }

    /// The same, from a line on.
    #[track_caller]
    pub(crate) fn line_since(&self, first: usize, says: &str) -> Line {
        let found = self.log.find(first, LONG, |line| line.is("master", says));
        found.unwrap_or_else(|| panic!("the master has not said {says:?}:\n{}", self.log.text()))
    }

    /// Where the application is served.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        let line = self.line(" bound ");
        let all = line.field("addresses").unwrap_or_default().to_owned();
        all.split(' ').map(Address::parse).collect()
    }

    /// The first place where the application is served.
    pub(crate) fn app(&self) -> Address {
        self.addresses().remove(0)
    }

    /// Where the monitor is served.
    pub(crate) fn monitor(&self) -> Address {
        let line = self.line("the monitor serves");
        Address::parse(line.field("addresses").unwrap_or_default())
    }

    /// The monitor by a loopback address, whatever address it is bound to.
    pub(crate) fn monitor_here(&self) -> Address {
        match self.monitor() {
            Address::Tcp(bound) if bound.ip().is_unspecified() => {
                Address::Tcp((std::net::Ipv4Addr::LOCALHOST, bound.port()).into())
            }
            other => other,
        }
    }

    /// Asks the application, on a connection of its own.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        Connection::get(&self.app(), path)
            .unwrap_or_else(|e| panic!("GET {path}: {e:?}\n{}", self.log.text()))
    }

    /// Asks the monitor.
    #[track_caller]
    pub(crate) fn ask(&self, path: &str) -> Answer {
        Connection::get(&self.monitor_here(), path)
            .unwrap_or_else(|e| panic!("GET {path}: {e:?}\n{}", self.log.text()))
    }

    /// The cluster as the monitor shows it.
    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        self.ask("/status").json()
    }

    /// The workers that serve now.
    #[track_caller]
    pub(crate) fn serving(&self) -> Vec<Worker> {
        let status = self.status();
        let workers = status["workers"].as_array().cloned().unwrap_or_default();
        let serving = workers.iter().filter(|worker| worker["state"] == "active");
        let number = |worker: &Value, key| worker[key].as_u64().expect("a number");
        let serving = serving.map(|worker| Worker {
            id: number(worker, "id"),
            pid: u32::try_from(number(worker, "pid")).expect("a pid"),
            generation: number(worker, "generation"),
        });
        serving.collect()
    }

    /// Looks at the monitor until it shows what is wanted.
    #[track_caller]
    pub(crate) fn until(
        &self,
        limit: Duration,
        what: &str,
        shows: impl Fn(&Value) -> bool,
    ) -> Value {
        within(limit, what, || Some(self.status()).filter(&shows))
    }

    pub(crate) fn signal(&self, which: Signal) {
        assert!(signal(self.master(), which), "the master is there");
    }

    /// As ctrl-C in a terminal: to all processes of the group in front.
    pub(crate) fn interrupt_group(&self) {
        let group = i32::try_from(self.master())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a pid");
        rustix::process::kill_process_group(group, Signal::INT).expect("the group is there");
    }

    /// The pids of all processes of this cluster that have not ended.
    pub(crate) fn processes(&self) -> Vec<u32> {
        processes::marked(&self.mark)
    }

    /// Waits for the master's end.
    #[track_caller]
    pub(crate) fn exit(&mut self, limit: Duration) -> ExitStatus {
        let master = &mut self.master;
        within(limit, "the master's end", || {
            master.try_wait().expect("it is our child")
        })
    }

    /// Stops it as an operator would, and makes sure that nothing of it is left.
    #[track_caller]
    pub(crate) fn stop(self) {
        self.stop_and(|| {});
    }

    /// The same, with a look at what is there afterwards.
    #[track_caller]
    pub(crate) fn stop_and(mut self, look: impl FnOnce()) {
        self.signal(Signal::TERM);
        let status = self.exit(LONG);
        assert!(
            status.success(),
            "a stop ended with {status}:\n{}",
            self.log.text()
        );
        self.assert_nothing_left();
        look();
    }

    /// No process, no socket, no lock, no directory of this cluster is left.
    #[track_caller]
    pub(crate) fn assert_nothing_left(&self) {
        let left = self.processes();
        let log = self.log.text();
        assert_eq!(left, Vec::<u32>::new(), "processes are left:\n{log}");
        assert!(
            self.log.has_ended(GONE),
            "somebody still holds the log:\n{log}"
        );
        let entries = fs::read_dir(&self.runtime_dir);
        let entries =
            entries.map(|all| all.flatten().map(|entry| entry.path()).collect::<Vec<_>>());
        match entries {
            Ok(left) if self.was_there => assert!(left.is_empty(), "{left:?} is left:\n{log}"),
            left => assert!(
                left.is_err(),
                "the runtime directory is left: {left:?}\n{log}"
            ),
        }
    }

    /// Its directory, for a look at what is in it.
    pub(crate) fn keep_home(mut self) -> TempDir {
        self.home.take().expect("it is kept once")
    }

    /// Waits until no process of it is left.
    #[track_caller]
    pub(crate) fn all_gone(&self) {
        soon("the end of all processes", || {
            self.processes().is_empty().then_some(())
        });
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let gone = std::time::Instant::now() + GONE;
        // Again and again: one that was just being started has no mark yet.
        while std::time::Instant::now() < gone {
            let _ = self.master.kill();
            let _ = self.master.wait();
            let left = self.processes();
            if left.is_empty() {
                return;
            }
            for pid in left {
                signal(pid, Signal::KILL);
            }
            std::thread::yield_now();
        }
        if !std::thread::panicking() {
            panic!("processes that were killed are still there");
        }
    }
}
