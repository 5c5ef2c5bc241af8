//! `cluster logs`, and what it takes.

use std::path::PathBuf;

use clap::Args;

use super::Answer;

/// Show the last lines of the log files, and with -f those to come
#[derive(Debug, Args)]
#[command(after_help = "\
Lines of several processes are put in the order of their times; one that has no time (a print, a panic) follows the line before it, \
and is shown with its process. Where no cluster runs, the files in ./log are shown, or those in --log-dir.

A cluster has log files if it was started with --log files, or if nobody could have read its standard error.

Examples:
  cluster logs
  cluster logs -f
  cluster logs -n 200 3          (worker 3, or the worker whose pid is 3)
  cluster logs --json -f master
  cluster logs --log-dir /var/log/shop")]
pub(crate) struct Logs {
    /// The id or pid of a worker, `master` or `cache-manager`; all of them without it
    #[arg(value_name = "WORKER", value_parser = read)]
    pub(crate) process: Option<Named>,
    /// Show lines as they are written, also of workers that start meanwhile, until ctrl-C
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many of the lines that are there (0 to 1000000)
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(crate) lines: u32,
    /// The directory of the files; no cluster is asked for it then
    #[arg(long, value_name = "DIR")]
    pub(crate) log_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

/// A process, as people name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Master,
    CacheManager,
    /// The id or pid of a worker.
    Number(u32),
}

fn read(text: &str) -> Result<Named, &'static str> {
    match text {
        "master" => Ok(Named::Master),
        "cache-manager" => Ok(Named::CacheManager),
        number => number
            .parse()
            .map(Named::Number)
            .map_err(|_| "allowed: the id or pid of a worker, master, cache-manager"),
    }
}
