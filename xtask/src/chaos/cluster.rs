//! The cluster that is tormented: started by its command line, operated by it, and gone at the end in every case.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::ChaosError;
use crate::processes::{marked, signal};

/// Workers at the beginning, and at the end.
pub(crate) const WORKERS: u32 = 3;
/// In the environment of all processes of the cluster, so that none is left behind.
const MARK: &str = "XTASK_CHAOS";
/// Between two looks at a process.
const LOOK: Duration = Duration::from_millis(20);
/// How long the cluster may take to stop.
const STOP: Duration = Duration::from_secs(30);
/// How long what was killed may take to be gone.
const GONE: Duration = Duration::from_secs(10);
/// What makes the cluster's times short enough for a test; all else is as it comes.
const TIMES: &[(&str, &str)] = &[
    ("--heartbeat-interval", "200ms"),
    ("--nanny.tolerance", "2s"),
    ("--stop-timeout", "5s"),
    ("--start-timeout", "10s"),
    ("--warm-up-timeout", "10s"),
];

/// What came of a verb of the command line.
#[derive(Debug)]
pub(crate) struct Operated {
    /// None where it was ended by a signal, or did not start.
    pub(crate) code: Option<i32>,
    /// What it said, in one line.
    pub(crate) said: String,
}

/// A running cluster; dropping it kills what is left of it.
#[derive(Debug)]
pub(crate) struct Cluster {
    parent: Child,
    command: PathBuf,
    folder: PathBuf,
    mark: String,
    pub(crate) port: u16,
    pub(crate) monitor: u16,
}

/// What a cluster is started with.
#[derive(Debug)]
pub(crate) struct Setup {
    /// The command line of the project.
    pub(crate) command: PathBuf,
    /// What it runs.
    pub(crate) program: PathBuf,
    /// Where runtime directory, pid files and store are.
    pub(crate) folder: PathBuf,
    /// What all processes say goes there.
    pub(crate) log: PathBuf,
}

/// The directory of the sockets inside the cluster's folder, that of the pid files, and that of what the cache keeps.
pub(crate) fn sockets(folder: &Path) -> PathBuf {
    folder.join("run")
}
pub(crate) fn pids(folder: &Path) -> PathBuf {
    folder.join("pids")
}
pub(crate) fn store(folder: &Path) -> PathBuf {
    folder.join("store")
}

impl Cluster {
    /// Starts it; it is not ready then.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub(crate) fn start(setup: Setup) -> Result<Self, ChaosError> {
        let log = File::create(&setup.log).map_err(ChaosError::writing(&setup.log))?;
        let copy = log.try_clone().map_err(ChaosError::writing(&setup.log))?;
        let (port, monitor) = free_ports().map_err(ChaosError::Ports)?;
        let folder = &setup.folder;
        let mark = format!("{}-{port}", std::process::id());
        let mut command = Command::new(&setup.command);
        command
            .arg("--runtime-dir")
            .arg(sockets(folder))
            .arg("run")
            .arg(&setup.program)
            .args(["--", "--name", "chaos", "--host", "127.0.0.1"])
            .args(["--port", &port.to_string()])
            .args(["--mon-port", &monitor.to_string()])
            .args(["--workers", &WORKERS.to_string()])
            .arg("--pids")
            .arg(pids(folder))
            .arg("--cache.persist-path")
            .arg(store(folder).join("kept"))
            .args(TIMES.iter().flat_map(|(flag, value)| [flag, value]));
        unburden(&mut command)
            .env(MARK, &mark)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(copy)
            .stderr(log)
            .process_group(0);
        let parent = command
            .spawn()
            .map_err(ChaosError::starting(&setup.command))?;
        Ok(Cluster {
            parent,
            command: setup.command,
            folder: setup.folder,
            mark,
            port,
            monitor,
        })
    }

    /// The process that starts the master anew when it dies.
    pub(crate) fn parent(&self) -> u32 {
        self.parent.id()
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// All its processes that have not ended.
    pub(crate) fn processes(&self) -> BTreeSet<u32> {
        marked(MARK, &self.mark)
    }

    /// How it has ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.parent.try_wait().ok().flatten()
    }

    /// What carries out verbs, from any thread.
    pub(crate) fn operator(&self) -> Operator {
        Operator {
            command: self.command.clone(),
            directory: sockets(&self.folder),
        }
    }

    /// Stops it as an operator does; how it ended, if it did.
    pub(crate) fn stop(&mut self) -> Option<ExitStatus> {
        signal(self.parent(), Signal::TERM);
        let until = Instant::now() + STOP;
        loop {
            match self.ended() {
                None if Instant::now() < until => thread::sleep(LOOK),
                ended => return ended,
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let until = Instant::now() + GONE;
        // Again and again: one that was just being started has no mark yet.
        while Instant::now() < until {
            let _ = self.parent.kill();
            let _ = self.parent.wait();
            let left = self.processes();
            if left.is_empty() {
                return;
            }
            for pid in left {
                signal(pid, Signal::KILL);
            }
            thread::sleep(LOOK);
        }
        eprintln!(
            "processes that were killed are still there: {:?}",
            self.processes()
        );
    }
}

/// What carries out verbs of the command line.
#[derive(Clone, Debug)]
pub(crate) struct Operator {
    command: PathBuf,
    directory: PathBuf,
}

impl Operator {
    /// Carries out a verb, and waits for its end.
    pub(crate) fn operate(&self, arguments: &[&str]) -> Operated {
        let mut command = Command::new(&self.command);
        command.arg("--runtime-dir").arg(&self.directory);
        match unburden(command.args(arguments).stdin(Stdio::null())).output() {
            Err(e) => Operated {
                code: None,
                said: e.to_string(),
            },
            Ok(output) => {
                let said = [output.stdout, output.stderr].concat();
                let said = String::from_utf8_lossy(&said);
                let lines: Vec<&str> = said.lines().map(str::trim).collect();
                Operated {
                    code: output.status.code(),
                    said: lines.join(" "),
                }
            }
        }
    }
}

/// Without what the environment would tell the cluster besides.
fn unburden(command: &mut Command) -> &mut Command {
    let ours =
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CLUSTER_"));
    for (name, _) in ours {
        command.env_remove(name);
    }
    command.env_remove("RUST_LOG").env("RUST_BACKTRACE", "0")
}

/// Two ports of the loopback that were free a moment ago. They are below those that the kernel takes for connections, so that no client has
/// one of them when a new master binds it.
fn free_ports() -> io::Result<(u16, u16)> {
    let first = 10_000 + u16::try_from(std::process::id() % 10_000).unwrap_or_default();
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let mut free = (first..first + 10_000).filter(free);
    free.next()
        .zip(free.next())
        .ok_or_else(|| io::ErrorKind::AddrInUse.into())
}

/// Makes the directories that the cluster is given.
///
/// # Errors
/// Where one cannot be made.
pub(crate) fn make_folders(folder: &Path) -> Result<(), ChaosError> {
    for path in [pids(folder), store(folder)] {
        fs::create_dir(&path).map_err(ChaosError::writing(&path))?;
    }
    Ok(())
}
