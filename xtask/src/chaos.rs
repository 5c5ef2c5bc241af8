//! `chaos`: torments a cluster under load, one act a second, and judges what its users saw.
//!
//! ```text
//! seed ─ acts ─▶ hands ─ signals, verbs, links, disk, builds ─▶ cluster ◀─ load, cache, events
//!                  └─▶ journal ──▶ verdict ◀── census, inventory ─┴────────────┘
//! ```
//!
//! Which acts there are, and when, is a function of the seed and of the kinds of acts alone: that can be done again. Whom an act meets and
//! what it is just doing is up to the machine: a finding may need several runs of its seed to come back.

mod acts;
mod builds;
mod cache;
mod census;
mod clock;
mod cluster;
mod disk;
mod events;
mod hands;
mod http;
mod inventory;
mod journal;
mod link;
mod load;
mod run;
mod verdict;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::{Args, ValueEnum};
use rustix::process::Signal;

use self::acts::{Kind, Planned};
use self::builds::{Builds, BuildsError};
use self::cluster::{Cluster, Setup};
use self::disk::Disk;
use self::journal::Journal;
use self::verdict::{Finding, Records};
use crate::workspace::{self, WorkspaceError};

/// How many findings are printed; the file has them all.
const PRINTED: usize = 40;

/// What `chaos` may be told.
#[derive(Args)]
pub(crate) struct ChaosArgs {
    /// How long acts go on, in seconds; beginning and end come on top
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// What the acts are drawn by: the same seed, the same acts
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Which kinds of acts there are; all unless named
    #[arg(long, value_delimiter = ',', value_name = "KINDS")]
    acts: Vec<Kind>,
}

/// Why nothing was judged, or how it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ChaosError {
    /// The workspace could not be read.
    #[error("workspace")]
    Workspace(#[from] WorkspaceError),
    /// The programs were not built.
    #[error("the build failed: {0}")]
    Build(ExitStatus),
    /// The builds to upgrade to were not made.
    #[error("builds to upgrade to")]
    Builds(#[from] BuildsError),
    /// A program could not be started.
    #[error("cannot run {}", program.display())]
    Start {
        /// Which.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file or folder could not be made.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No port is free.
    #[error("no port is free")]
    Ports(#[source] io::Error),
    /// Signals cannot be watched.
    #[error("cannot watch signals")]
    Signals(#[source] io::Error),
    /// The cluster did not become ready.
    #[error("the cluster did not become ready; its log is {}", log.display())]
    NotReady {
        /// Where it may say why.
        log: PathBuf,
    },
    /// Somebody pressed ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// The verdict.
    #[error("{0} findings")]
    Findings(usize),
}

impl ChaosError {
    fn writing(path: &Path) -> impl Fn(io::Error) -> Self {
        |source| ChaosError::Write {
            path: path.to_owned(),
            source,
        }
    }

    fn starting(program: &Path) -> impl Fn(io::Error) -> Self {
        |source| ChaosError::Start {
            program: program.to_owned(),
            source,
        }
    }
}

impl ChaosArgs {
    /// What continuous integration runs: a minute of all acts, the same ones each time.
    pub(crate) fn of_every_run() -> Self {
        ChaosArgs {
            seconds: 60,
            seed: 1,
            acts: Vec::new(),
        }
    }

    /// The kinds of acts, each once and in their own order, so that the order in which they were named makes no difference.
    fn kinds(&self) -> Vec<Kind> {
        let mut kinds = match self.acts.as_slice() {
            [] => Kind::value_variants().to_vec(),
            some => some.to_vec(),
        };
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// What does the same once more.
    fn command(&self) -> String {
        let mut command = format!(
            "cargo xtask chaos --seconds {} --seed {}",
            self.seconds, self.seed
        );
        if !self.acts.is_empty() {
            let names = self.kinds().into_iter().filter_map(|kind| {
                kind.to_possible_value()
                    .map(|value| value.get_name().to_owned())
            });
            command.push_str(" --acts ");
            command.push_str(&names.collect::<Vec<_>>().join(","));
        }
        command
    }
}

/// Torments a cluster as the arguments say, and prints the verdict.
///
/// # Errors
/// Where there is a finding, or nothing could be judged.
pub(crate) fn run(args: &ChaosArgs) -> Result<(), ChaosError> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [Signal::INT, Signal::TERM] {
        signal_hook::flag::register(signal.as_raw(), Arc::clone(&interrupted))
            .map_err(ChaosError::Signals)?;
    }
    build()?;
    let target = workspace::target_directory()?;
    let logs = target.join("chaos").join(format!("seed-{}", args.seed));
    make_anew(&logs)?;
    let planned = acts::schedule(args.seed, args.seconds, &args.kinds());
    let schedule = logs.join("schedule.txt");
    fs::write(&schedule, list(&planned)).map_err(ChaosError::writing(&schedule))?;
    println!(
        "{}\n{} acts; logs: {}",
        args.command(),
        planned.len(),
        logs.display()
    );

    let records = torment(args, &target, &logs, &planned, &interrupted)?;
    let findings = verdict::judge(&records.0);
    report(args, &logs, &records.0, &findings, &records.1)?;
    match findings.len() {
        0 => Ok(()),
        found => Err(ChaosError::Findings(found)),
    }
}

fn build() -> Result<(), ChaosError> {
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--package", "examples", "--bin", "chaos"]);
    cargo.args(["--package", "cluster-cli", "--bin", "cluster"]);
    let status = cargo
        .status()
        .map_err(ChaosError::starting(Path::new("cargo")))?;
    if status.success() {
        Ok(())
    } else {
        Err(ChaosError::Build(status))
    }
}

fn make_anew(folder: &Path) -> Result<(), ChaosError> {
    let made = match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => fs::create_dir_all(folder),
    };
    made.map_err(ChaosError::writing(folder))
}

fn list(planned: &[Planned]) -> String {
    let line =
        |planned: &Planned| format!("{:8.3}  {}\n", planned.at_ms as f64 / 1000.0, planned.act);
    planned.iter().map(line).collect()
}

/// Starts the cluster, has everything done to it, and gives back what was done and seen.
fn torment(
    args: &ChaosArgs,
    target: &Path,
    logs: &Path,
    planned: &[Planned],
    interrupted: &AtomicBool,
) -> Result<(Records, Journal), ChaosError> {
    // Short, as a socket's path has to be. Everything goes in the opposite order: the cluster, the disk under it, the folder.
    let folder =
        tempfile::tempdir().map_err(ChaosError::writing(Path::new("a temporary directory")))?;
    cluster::make_folders(folder.path())?;
    let disk = match Disk::over(&cluster::store(folder.path())) {
        Ok(disk) => Some(disk),
        Err(e) => {
            println!("no disk is made full: none can be mounted: {e}");
            None
        }
    };
    let programs = logs.join("programs");
    fs::create_dir(&programs).map_err(ChaosError::writing(&programs))?;
    let builds = Builds::of(&target.join("debug/chaos"), &programs)?;
    // A copy, as for the builds: what is built while this goes on makes no difference.
    let command = programs.join("cluster");
    fs::copy(target.join("debug/cluster"), &command).map_err(ChaosError::writing(&command))?;
    let path = logs.join("acts.log");
    let journal = Journal::begin(File::create(&path).map_err(ChaosError::writing(&path))?);
    let log = logs.join("cluster.log");
    let mut cluster = Cluster::start(Setup {
        command,
        program: builds.program(),
        folder: folder.path().to_owned(),
        log: log.clone(),
    })?;
    let means = run::Means {
        cluster: &mut cluster,
        disk: disk.as_ref(),
        builds: builds.into(),
        journal: &journal,
        log: &log,
        interrupted,
    };
    let records = run::all(means, planned, args.seconds, args.seed)?;
    // They are large, and made again by every run.
    fs::remove_dir_all(&programs).map_err(ChaosError::writing(&programs))?;
    Ok((records, journal))
}

/// Prints the verdict, and writes it beside the logs.
fn report(
    args: &ChaosArgs,
    logs: &Path,
    records: &Records,
    findings: &[Finding],
    journal: &Journal,
) -> Result<(), ChaosError> {
    let described: Vec<String> = findings
        .iter()
        .map(|finding| finding.describe(|at| journal.seconds(at)))
        .collect();
    let summary = format!("{}\n{} findings", records.summary(), findings.len());
    let again = format!("again: {}\nlogs: {}", args.command(), logs.display());
    println!("\n{summary}");
    for line in described.iter().take(PRINTED) {
        println!("  {line}");
    }
    if described.len() > PRINTED {
        println!("  and {} more", described.len() - PRINTED);
    }
    println!("{again}");
    let path = logs.join("verdict.txt");
    let text = format!("{summary}\n{}\n{again}\n", described.join("\n"));
    fs::write(&path, text).map_err(ChaosError::writing(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_run_again() {
        let args = ChaosArgs {
            seconds: 9,
            seed: 4,
            acts: vec![Kind::Stop, Kind::Kill, Kind::Stop],
        };
        let again = "cargo xtask chaos --seconds 9 --seed 4 --acts kill,stop";
        assert_eq!(args.command(), again);
        let all = ChaosArgs::of_every_run();
        assert_eq!(all.command(), "cargo xtask chaos --seconds 60 --seed 1");
        assert_eq!(all.kinds(), Kind::value_variants());
    }
}
