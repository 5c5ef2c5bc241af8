//! `bench`: our figure, the reference's figure and the ratio, measured in turn in one run.

mod bridge;
mod bridge_memory;
mod cache;
mod chart;
mod documents;
mod http;
mod paced;
mod process;
mod release;
mod reply;
mod server;
mod sessions;
mod spread;
mod table;
mod wrk;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum};

use self::reply::ReplyError;
use self::table::Table;
use crate::packages::PackageError;
use crate::workspace::{self, WorkspaceError};

/// What `bench` may be told.
#[derive(Args)]
pub(crate) struct BenchArgs {
    /// What to measure
    name: Name,
    /// How often each thing is measured, in turn with the reference; the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// How long one measurement takes, in seconds
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Of bench cache, documents and sessions: only what has this in its name, as "get, 64" or "million"; nothing is written then
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Fail where a required ratio is missed
    #[arg(long)]
    check: bool,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Name {
    /// hello against a bare actix-web server of as many threads
    Http,
    /// Events and asks between a worker and its master against the same frames sent by hand
    Bridge,
    /// The master's memory while workers tell it ten million events
    BridgeMemory,
    /// The shared cache against Redis, memcached and a raw socket
    Cache,
    /// Documents against a plain value behind a lock and a round trip of bare bytes
    Documents,
    /// actix-session's sessions in a session store against its Redis store
    Sessions,
}

/// How long and how often to measure, and whether to go on.
pub(crate) struct Plan {
    rounds: u32,
    length: Duration,
    only: Option<String>,
    target: PathBuf,
    interrupted: Arc<AtomicBool>,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum BenchError {
    /// A command of the system is missing.
    #[error("system packages")]
    Packages(#[from] PackageError),
    /// The workspace could not be read.
    #[error("workspace")]
    Workspace(#[from] WorkspaceError),
    /// The release binaries were not built.
    #[error("the release build failed: {0}")]
    Build(ExitStatus),
    /// A program could not be started.
    #[error("cannot run {}", program.display())]
    Start {
        /// Which.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A server ended by itself.
    #[error("{name} ended by itself ({status}); its log is {}", log.display())]
    Ended {
        /// Which.
        name: &'static str,
        /// How.
        status: ExitStatus,
        /// Where it says why.
        log: PathBuf,
    },
    /// A server does not answer.
    #[error("{name} did not answer at {place} within {waited:?}; its log is {}", log.display())]
    Silent {
        /// Which.
        name: &'static str,
        /// Where it should.
        place: String,
        /// How long it had.
        waited: Duration,
        /// Where it may say why.
        log: PathBuf,
    },
    /// Requests failed: the figures would mean nothing.
    #[error("{name}: {failed} requests failed under {work}")]
    Requests {
        /// Of which server.
        name: &'static str,
        /// Under what load.
        work: &'static str,
        /// How many.
        failed: u64,
    },
    /// A piece of work failed.
    #[error("{name} answers {path} with: {reply}")]
    Work {
        /// In which server.
        name: &'static str,
        /// Which.
        path: String,
        /// What it said.
        reply: String,
    },
    /// Messages were lost: the figures would mean nothing.
    #[error("{name} dropped {dropped} messages")]
    Dropped {
        /// Which server.
        name: &'static str,
        /// How many.
        dropped: u64,
    },
    /// The memory of a process is not known.
    #[error("the system does not tell the memory of {0}")]
    NoMemory(&'static str),
    /// A client of a cache failed.
    #[error("a client of {name} failed under {work} ({})", status.map_or("lost".into(), |status| status.to_string()))]
    Client {
        /// Of which cache.
        name: &'static str,
        /// Under what load.
        work: String,
        /// How it ended, where that is known.
        status: Option<ExitStatus>,
    },
    /// wrk printed something else than a report.
    #[error("cannot find {wanted} in the report of wrk ({status}): {report}")]
    Report {
        /// What was looked for.
        wanted: &'static str,
        /// How wrk ended.
        status: ExitStatus,
        /// What it printed.
        report: String,
    },
    /// A connection to a server failed.
    #[error("cannot talk to port {port}")]
    Talk {
        /// Which.
        port: u16,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A server's answer is no answer.
    #[error("port {port} answers what is no reply")]
    Reply {
        /// Which.
        port: u16,
        /// What is wrong with it.
        #[source]
        source: ReplyError,
    },
    /// A result could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A result could not be put into JSON.
    #[error("cannot write the figures as JSON")]
    Json(#[from] serde_json::Error),
    /// Signals cannot be watched.
    #[error("cannot watch signals")]
    Signals(#[source] io::Error),
    /// Somebody pressed ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// Ratios are not what they must be.
    #[error("{0} required ratios missed")]
    Missed(usize),
}

impl Plan {
    /// Ends the run where somebody asked for that; servers then stop by their guards.
    fn go_on(&self) -> Result<(), BenchError> {
        if self.interrupted.load(Ordering::Relaxed) {
            Err(BenchError::Interrupted)
        } else {
            Ok(())
        }
    }

    /// Whether a piece of work is to be measured.
    fn wants(&self, work: &str) -> bool {
        self.only.as_ref().is_none_or(|only| work.contains(only))
    }

    /// Where logs and figures go.
    fn folder(&self) -> PathBuf {
        self.target.join("bench")
    }
}

/// Measures, prints the table, and writes it as JSON and as a chart where it is whole.
///
/// # Errors
/// Where something could not be measured, and, with `--check`, where a required ratio is missed.
pub(crate) fn run(args: &BenchArgs) -> Result<(), BenchError> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        signal_hook::flag::register(signal.as_raw(), Arc::clone(&interrupted))
            .map_err(BenchError::Signals)?;
    }
    let length = Duration::from_secs(args.seconds);
    let plan = Plan {
        rounds: args.rounds,
        length,
        only: args.only.clone(),
        target: workspace::target_directory()?,
        interrupted,
    };
    create(&plan.folder())?;
    let (name, table) = match args.name {
        Name::Http => ("http", http::run(&plan)?),
        Name::Bridge => ("bridge", bridge::run(&plan)?),
        Name::BridgeMemory => ("bridge-memory", bridge_memory::run(&plan)?),
        Name::Cache => ("cache", cache::run(&plan)?),
        Name::Documents => ("documents", documents::run(&plan)?),
        Name::Sessions => ("sessions", sessions::run(&plan)?),
    };
    report(&plan, name, &table)?;
    match table.missed() {
        missed if missed > 0 && args.check => Err(BenchError::Missed(missed)),
        _ => Ok(()),
    }
}

fn report(plan: &Plan, name: &str, table: &Table) -> Result<(), BenchError> {
    println!("\n{table}");
    if plan.only.is_some() {
        return Ok(());
    }
    let json = plan.folder().join(format!("{name}.json"));
    write(&json, &serde_json::to_string_pretty(table)?)?;
    let docs = workspace::root().join("docs");
    create(&docs)?;
    let drawing = docs.join(format!("bench-{name}.svg"));
    write(&drawing, &chart::svg(table))?;
    println!("written: {}, {}", json.display(), drawing.display());
    Ok(())
}

fn create(folder: &Path) -> Result<(), BenchError> {
    fs::create_dir_all(folder).map_err(|source| BenchError::Write {
        path: folder.to_path_buf(),
        source,
    })
}

fn write(path: &Path, text: &str) -> Result<(), BenchError> {
    fs::write(path, text).map_err(|source| BenchError::Write {
        path: path.to_path_buf(),
        source,
    })
}

/// How many processes wanted to run in the last minute, where the system tells.
fn load_average() -> Option<f64> {
    fs::read_to_string("/proc/loadavg")
        .ok()?
        .split(' ')
        .next()?
        .parse()
        .ok()
}

/// What the reader of the figures must know where others were at work on the machine.
fn busy(load: Option<f64>) -> Option<String> {
    load.filter(|load| *load > 1.0)
        .map(|load| format!("NOT A QUIET MACHINE: load {load:.1} at the start"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_machine_is_said() {
        assert_eq!(busy(None), None);
        assert_eq!(busy(Some(0.3)), None);
        assert_eq!(
            busy(Some(8.9)).as_deref(),
            Some("NOT A QUIET MACHINE: load 8.9 at the start")
        );
    }
}
