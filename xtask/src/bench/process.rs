//! A program under measurement: started, waited for, and gone at the end in every case.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{BenchError, Plan};
use crate::processes::{marked, signal};

/// How long a program may take to answer first.
const START: Duration = Duration::from_secs(30);

/// How long a program may take to stop by itself.
const STOP: Duration = Duration::from_secs(15);

/// Between two looks at a process.
const LOOK: Duration = Duration::from_millis(20);

/// In the environment of a program and of all it starts, so that nothing of it is left behind.
const MARK: &str = "XTASK_BENCH_SERVER";

/// Numbers the programs of this run, so that each has a mark of its own.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// A running program; dropping it stops it and all that it started.
pub(crate) struct Process {
    name: &'static str,
    log: PathBuf,
    mark: String,
    child: Child,
}

impl Process {
    /// Starts `program`; what it says goes into a log of its name.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub(crate) fn start(
        plan: &Plan,
        name: &'static str,
        program: &Path,
        arguments: &[String],
    ) -> Result<Self, BenchError> {
        plan.go_on()?;
        let log = plan.folder().join(format!("{name}.log"));
        let unwritable = |source| BenchError::Write {
            path: log.clone(),
            source,
        };
        let out = File::create(&log).map_err(unwritable)?;
        let err = out.try_clone().map_err(unwritable)?;
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{}-{name}-{number}", std::process::id());
        let child = Command::new(program)
            .args(arguments)
            .env(MARK, &mark)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|source| BenchError::Start {
                program: program.to_path_buf(),
                source,
            })?;
        Ok(Self {
            name,
            log,
            mark,
            child,
        })
    }

    /// Waits until it answers at its `place`, as `answers` finds out.
    ///
    /// # Errors
    /// Where it ends, or does not answer in time.
    pub(crate) fn ready(
        &mut self,
        plan: &Plan,
        place: &str,
        answers: impl Fn() -> bool,
    ) -> Result<(), BenchError> {
        let begun = Instant::now();
        while begun.elapsed() < START {
            plan.go_on()?;
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(BenchError::Ended {
                    name: self.name,
                    status,
                    log: self.log.clone(),
                });
            }
            if answers() {
                return Ok(());
            }
            // wait: nobody tells when a program is ready, it has to be tried.
            thread::sleep(LOOK);
        }
        Err(BenchError::Silent {
            name: self.name,
            place: place.to_owned(),
            waited: START,
            log: self.log.clone(),
        })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already; then there is nobody to tell.
        signal(self.child.id(), Signal::TERM);
        let begun = Instant::now();
        let ended = loop {
            if !matches!(self.child.try_wait(), Ok(None)) {
                break true;
            }
            if begun.elapsed() > STOP {
                break false;
            }
            // wait: a child is waited for with a deadline only by looking.
            thread::sleep(LOOK);
        };
        let left = marked(MARK, &self.mark);
        if !ended {
            eprintln!("{}: did not stop within {STOP:?} of SIGTERM", self.name);
        } else if !left.is_empty() {
            eprintln!("{}: left {} processes behind", self.name, left.len());
        }
        for pid in left {
            signal(pid, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
