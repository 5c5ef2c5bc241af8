//! The verbs that look into one process while the others serve on.

use std::path::PathBuf;

use clap::Args;
use cluster_core::Subject;

use super::Answer;

/// Change what one process logs, while it runs
#[derive(Debug, Args)]
#[command(after_help = "\
FILTER is levels per target, as in RUST_LOG: one for all, and others for parts of the program. It holds until the process ends; \
a successor begins as the cluster was started.

Examples:
  cluster log-level 3 debug
  cluster log-level 3 info,shop::orders=trace --follow
  cluster log-level 3 --reset
  cluster log-level master cluster_core::master=debug")]
pub(crate) struct LogLevel {
    /// The worker's id or pid; or master, or cache-manager
    #[arg(value_name = "WORKER", value_parser = subject)]
    pub(crate) of: Subject,
    /// What it is to log
    #[arg(value_name = "FILTER", required_unless_present = "reset")]
    pub(crate) filter: Option<String>,
    /// Back to what it was started with
    #[arg(long, conflicts_with = "filter")]
    pub(crate) reset: bool,
    /// Print what it logs from now on, until ctrl-C
    #[arg(long, short)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

/// Show what each thread of one process is doing
#[derive(Debug, Args)]
#[command(after_help = "\
The stacks are read from outside, by ptrace: a process that is blocked or stopped is shown too, and each thread of one that runs is \
stopped for some ten microseconds. The names are those of the program's symbols and debug information.

Examples:
  cluster stacks 3
  cluster --json stacks 3 | jq '.threads[].name'")]
pub(crate) struct Stacks {
    /// The worker's id or pid; or master, or cache-manager
    #[arg(value_name = "WORKER", value_parser = subject)]
    pub(crate) of: Subject,
}

/// Draw where the time of one process goes, as a flame graph
#[derive(Debug, Args)]
#[command(after_help = "\
99 times a second each thread that has a processor is looked at, from outside, by ptrace; the process serves on, and nothing is \
installed in it. The SVG has no script: a browser says by itself what lies under the pointer.

Examples:
  cluster profile 3 -o flame.svg
  cluster profile 3 --seconds 30 -o flame.svg")]
pub(crate) struct Profile {
    /// The worker's id or pid; or master, or cache-manager
    #[arg(value_name = "WORKER", value_parser = subject)]
    pub(crate) of: Subject,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// For how long (1 to 300)
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) seconds: u32,
}

/// Take one worker out of service, to serve at an address of its own
#[derive(Debug, Args)]
#[command(after_help = "\
Another worker is started first and takes its place. What the worker has under way it finishes, and then serves nobody but \
whoever comes to the address that is printed, which is on this machine alone. It is not replaced, rolled, watched or judged any \
more, until it is given back by `cluster release`.

Example:
  curl $(cluster --json isolate 3 | jq -r .address)/")]
pub(crate) struct Isolate {
    /// The worker's id or pid
    pub(crate) worker: u32,
}

/// Give back a worker that was isolated: it serves with the others again
#[derive(Debug, Args)]
#[command(after_help = "\
One worker is too many then, and the youngest leaves. A worker that is older than the last restart or upgrade ends in any case.

Examples:
  cluster release 3
  cluster release 3 --retire")]
pub(crate) struct Release {
    /// The worker's id or pid
    pub(crate) worker: u32,
    /// It ends instead
    #[arg(long)]
    pub(crate) retire: bool,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

/// Attach a debug server to one worker, while the others serve
#[derive(Debug, Args)]
#[command(after_help = "\
gdbserver attaches to the worker, which stands still from then on, or lldb-server does where there is no gdbserver, or where \
--debug.server of the cluster asks for it. One debugger may come, from this machine alone, at --debug.port of the cluster or at any \
free port: the command that connects gdb or lldb is printed. This verb stays until the debugger has left, or until ctrl-C, upon \
which the server lets go. A session ends with the master too, and the worker with it.

A worker that is not isolated yet is isolated first: another one takes its place. It ends afterwards, as what was done to it is not \
known, and so does one whose debugger has died; one that had been isolated before stays so, for a further session, until `cluster \
release`. With --fresh a further worker is \
started, which waits for the debugger before its first step.

Examples:
  cluster debug 3
  cluster debug --fresh")]
pub(crate) struct Debug {
    /// The worker's id or pid
    #[arg(required_unless_present = "fresh", conflicts_with = "fresh")]
    pub(crate) worker: Option<u32>,
    /// A worker that is started for this
    #[arg(long)]
    pub(crate) fresh: bool,
}

/// One process, as it is named at the command line.
fn subject(text: &str) -> Result<Subject, String> {
    match text {
        "master" => Ok(Subject::Master),
        "cache-manager" => Ok(Subject::CacheManager),
        number => number.parse().map(Subject::Worker).map_err(|_| {
            "no process is called so (allowed: a worker's id or pid, master, cache-manager)"
                .to_owned()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_have_names() {
        assert_eq!(subject("3"), Ok(Subject::Worker(3)));
        assert_eq!(subject("master"), Ok(Subject::Master));
        assert_eq!(subject("cache-manager"), Ok(Subject::CacheManager));
        for wrong in ["", "-1", "worker", "4294967296"] {
            assert!(subject(wrong).unwrap_err().contains("a worker's id or pid"));
        }
    }
}
