//! What can go wrong at the command line, and the codes that it exits with.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use cluster_cache::CacheError;
use cluster_core::operator::{FindError, OperatorError};
use cluster_core::parent::ParentError;

use crate::command::run::package::BuildError;
use crate::command::systemd::UnitError;

/// The exit codes, as `--help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    Failure = 1,
    Usage = 2,
    NoneRunning = 3,
    Several = 4,
    NoPermission = 5,
    NoAnswer = 6,
    Busy = 7,
    Refused = 8,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        ExitCode::from(code as u8)
    }
}

/// Why a verb was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Find(#[from] FindError),
    #[error(transparent)]
    Operator(#[from] OperatorError),
    #[error(transparent)]
    Parent(#[from] ParentError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error("the upgrade failed: {cause}")]
    UpgradeFailed { cause: String },
    #[error("the new master has not finished the upgrade within {} s; the workers serve on, and the log says why", waited.as_secs())]
    NotBack { waited: Duration },
    #[error(transparent)]
    Unit(#[from] UnitError),
    #[error("it has not ended within {} ms; it goes on", waited.as_millis())]
    TooSlow { waited: Duration },
    #[error("the master's answer cannot be read")]
    Answer(#[source] serde_json::Error),
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error("{namespace} has no {key:?}")]
    NoValue { namespace: String, key: String },
    #[error("this cluster has no cache (--cache.enable is false)")]
    NoCache,
    #[error(
        "{cluster} logs to standard error, and has no log files (started with --log files, it has)"
    )]
    LogsToStderr { cluster: String },
    #[error("there are no log files in {}", directory.display())]
    NoLogs { directory: PathBuf },
    #[error("{none}, and there are no log files in ./{}", directory.display())]
    NoLogsEither {
        none: Box<CliError>,
        directory: PathBuf,
    },
    #[error("{} has log files of several clusters ({clusters}): say which, by --name", directory.display())]
    SeveralLogs {
        directory: PathBuf,
        clusters: String,
    },
    #[error(
        "no worker has the id or pid {number}, and none of this id has left log files in {}",
        directory.display()
    )]
    NoSuchLog { number: u32, directory: PathBuf },
    #[error("the log files in {} cannot be read", directory.display())]
    Logs {
        directory: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} cannot be written", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the output cannot be written")]
    Output(#[source] io::Error),
    #[error(
        "{stream} is no terminal (`cluster top --once` prints one frame as text, `cluster --json status` the figures)"
    )]
    NoTerminal { stream: &'static str },
    #[error("the terminal cannot be used")]
    Terminal(#[source] io::Error),
    #[error("this process cannot be set up")]
    Runtime(#[source] io::Error),
}

/// An error and its causes in one line. A cause that the error above it has quoted is not said twice.
pub(crate) fn line(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_the_causes_once() {
        let cause = io::Error::other("disk full");
        let error = CliError::Output(cause);
        assert_eq!(line(&error), "the output cannot be written: disk full");
        let silent = OperatorError::NoAnswer {
            waited: Duration::from_millis(5000),
        };
        assert_eq!(
            line(&CliError::from(silent)),
            "the master has not answered within 5000 ms"
        );
    }
}
