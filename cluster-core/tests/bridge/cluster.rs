//! A small cluster of this test program: no HTTP, no cache, workers that hear and answer.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cluster_core::operator::Operator;
use cluster_core::{
    Addressee, Application, Beat, Cluster, Event, Launch, Means, Operation, Options, Request, Role,
    Serving, StartFailure, Target,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// In the environment of a process that is part of a cluster: the runtime directory and the number of workers.
const PART: &str = "CLUSTER_TEST_BRIDGE";
/// What must happen happens long before this.
const SOON: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

type Ready<T> = std::pin::Pin<Box<dyn Future<Output = T>>>;

/// Says its number in the log.
#[derive(Clone, Debug, Serialize, Deserialize, Event)]
struct Say(u64);

/// Has the process that hears it ask a worker what it never answers.
#[derive(Clone, Debug, Serialize, Deserialize, Event)]
struct AskInVain {
    worker: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize, Request)]
#[reply(u64)]
struct Vain;

struct Idle;

impl Application for Idle {
    fn start(
        self: Box<Self>,
        _: Cluster,
        _: Means,
    ) -> Ready<Result<Box<dyn Serving>, StartFailure>> {
        Box::pin(async { Ok(Box::new(Idle) as Box<dyn Serving>) })
    }
}

impl Serving for Idle {
    fn accept(&mut self) -> Ready<Result<Vec<String>, StartFailure>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    fn pause(&mut self) -> Ready<()> {
        Box::pin(async {})
    }
    fn drain(&mut self, _: Duration) -> Ready<()> {
        Box::pin(async {})
    }
    fn sample(&mut self, _: &mut Beat) {}
}

fn take_part(cluster: &Cluster) {
    let emitter = cluster.emitter().clone();
    cluster
        .emitter()
        .on(|Say(number): Say, from| eprintln!("heard {number} from {from}"))
        .forever();
    cluster.emitter().answer(|_: Vain, from| {
        eprintln!("asked in vain by {from}");
        std::future::pending()
    });
    let ask = move |AskInVain { worker }: AskInVain, _| {
        let asking = emitter
            .to([Target::Worker(worker)])
            .wait(Duration::from_secs(600));
        actix_rt::spawn(async move {
            for answer in asking.ask(Vain).await {
                eprintln!("of worker {worker} came {:?}", answer.result);
            }
        });
    };
    cluster.emitter().on(ask).forever();
}

/// No test, but what a process of a cluster runs.
#[test]
fn a_process_of_the_cluster() {
    let Ok(part) = std::env::var(PART) else {
        return;
    };
    let (workers, directory) = part.split_once(' ').unwrap();
    let mut options = Options::default();
    options.name = "bridge".into();
    options.workers = workers.parse().unwrap();
    options.runtime_dir = Some(directory.into());
    let launch = Launch::new(options, Box::new(Idle)).in_roles(Role::ALL, take_part);
    let ended = actix_rt::System::new().block_on(async { launch.listen().await?.wait().await });
    if let Err(e) = ended {
        eprintln!("ended badly: {e}");
        std::process::exit(1);
    }
    std::process::exit(0);
}

/// A running cluster; it is gone with this.
pub(crate) struct Live {
    folder: tempfile::TempDir,
    master: Child,
}

impl Live {
    /// Starts a cluster, and waits until all its workers serve.
    pub(crate) fn start(workers: u32) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("bridge")
            .tempdir_in("/tmp")
            .unwrap();
        let directory = folder.path().join("run");
        let log = File::create(folder.path().join("log")).unwrap();
        let master = Command::new(std::env::current_exe().unwrap())
            .args([
                "cluster::a_process_of_the_cluster",
                "--exact",
                "--nocapture",
            ])
            .env(PART, format!("{workers} {}", directory.display()))
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let live = Live { folder, master };
        live.wait_for("all workers to serve", || {
            let state = live.try_operate(Operation::Status)?;
            (state["serving"] == workers).then_some(())
        });
        live
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("run").join("master.sock")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Waits until a look gives something.
    pub(crate) fn wait_for<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(
                begun.elapsed() < SOON,
                "waited for {what} in vain; the log:\n{}",
                self.log()
            );
            std::thread::sleep(LOOK); // wait: another process changes it, and tells nobody here
        }
    }

    /// Waits until a line of the log holds all the words.
    pub(crate) fn wait_for_line(&self, words: &[&str]) -> String {
        self.wait_for(&format!("a line with {words:?}"), || {
            let log = self.log();
            let found = log
                .lines()
                .find(|line| words.iter().all(|word| line.contains(word)));
            found.map(str::to_owned)
        })
    }

    fn try_operate(&self, operation: Operation) -> Option<Value> {
        actix_rt::System::new().block_on(async {
            let mut operator = Operator::connect(&self.folder.path().join("run"))
                .await
                .ok()?;
            operator.operate(operation, |_| {}).await.ok()
        })
    }

    pub(crate) fn operate(&self, operation: Operation) -> Value {
        self.try_operate(operation)
            .expect("the operation is carried out")
    }

    /// The pid of each worker that serves.
    pub(crate) fn workers(&self) -> Vec<u64> {
        let state = self.operate(Operation::Status);
        let workers = state["workers"].as_array().unwrap().iter();
        workers
            .filter(|w| w["state"] == "active")
            .map(|w| w["pid"].as_u64().unwrap())
            .collect()
    }

    /// Emits an event by its name.
    pub(crate) fn emit(&self, name: &str, json: &str, to: Addressee) {
        let (name, json) = (name.to_owned(), json.to_owned());
        self.operate(Operation::Emit {
            name,
            json,
            to: vec![to],
        });
    }

    /// A figure of the master's from `/proc`, in KiB.
    pub(crate) fn memory(&self, key: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.master.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap();
        line.trim_matches(|c: char| !c.is_ascii_digit())
            .parse()
            .unwrap()
    }

    /// Stops it as an operator would.
    pub(crate) fn stop(mut self) {
        self.operate(Operation::Stop {
            timeout_ms: Some(5000),
        });
        let status = self.wait_for_end();
        assert!(status.success(), "{status}; the log:\n{}", self.log());
    }

    fn wait_for_end(&mut self) -> std::process::ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.master.try_wait().unwrap() {
                return status;
            }
            assert!(
                begun.elapsed() < SOON,
                "it does not end; the log:\n{}",
                self.log()
            );
            std::thread::sleep(LOOK); // wait: another process changes it, and tells nobody here
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Ok(None) = self.master.try_wait() {
            // A test has failed. Workers end by themselves when they are killed before their master.
            let children = format!("/proc/{0}/task/{0}/children", self.master.id());
            let children = fs::read_to_string(children).unwrap_or_default();
            let _ = self.master.kill();
            for pid in children
                .split_whitespace()
                .filter_map(|pid| pid.parse().ok())
            {
                if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                }
            }
            let _ = self.master.wait();
        }
    }
}
