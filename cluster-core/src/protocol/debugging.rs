//! What operators ask of one process to see into it, and what they are told.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{ProcessId, WorkerId};

/// One process, as an operator names it. Append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Subject {
    /// The master.
    Master,
    /// The worker of this id or, where no such id is known, of this pid.
    Worker(u32),
    /// The cache manager.
    CacheManager,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Master => f.write_str("the master"),
            Subject::Worker(number) => write!(f, "worker {number}"),
            Subject::CacheManager => f.write_str("the cache manager"),
        }
    }
}

/// What is to be done with one process, or seen of it, while the others serve on. Append-only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Debugging {
    /// Change what it logs.
    LogLevel {
        /// Which process.
        of: Subject,
        /// Levels per target, as in `RUST_LOG`; those that it was started with where there are none.
        filter: Option<String>,
    },
    /// The lines that it has logged lately.
    RecentLog {
        /// Which process.
        of: Subject,
        /// The number of the first one wanted: 0, or what an earlier answer calls `next`.
        from: u64,
    },
    /// What each of its threads is doing, seen from outside: one that is blocked or stopped answers too.
    Stacks {
        /// Which process.
        of: Subject,
    },
    /// Where its time goes, as a flame graph.
    Profile {
        /// Which process.
        of: Subject,
        /// For how long it is looked at (1 to 300).
        seconds: u32,
    },
    /// Have a worker serve nobody but whoever comes to an address of its own. Another one takes its place first.
    Isolate {
        /// Its id or pid.
        worker: u32,
    },
    /// Have a worker that is isolated serve with the others again, or end.
    Release {
        /// Its id or pid.
        worker: u32,
        /// It is to end.
        retire: bool,
    },
    /// Attach a debug server, gdbserver or lldb-server, to a worker that is isolated, or else is isolated for this. A note on the progress whose `done` is 1 is the
    /// command that connects a debugger to it; the answer comes when that has left. Without the operator it ends.
    Attach {
        /// Its id or pid; a worker that is started for this, and waits for the debugger before its first step, where there is none.
        worker: Option<u32>,
    },
}

impl Debugging {
    /// Whether the answer comes only after something has been done that has no time of its own.
    pub(crate) fn takes_its_time(&self) -> bool {
        !matches!(
            self,
            Debugging::LogLevel { .. } | Debugging::RecentLog { .. } | Debugging::Release { .. }
        )
    }
}

/// Why a process could not be seen into. Append-only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum DebugError {
    /// There is no such process.
    #[error("there is no {0}")]
    NoSuchProcess(String),
    /// It does not answer.
    #[error("{process} does not answer: {cause}")]
    NoAnswer {
        /// Which process.
        process: ProcessId,
        /// Why not.
        cause: String,
    },
    /// The filter is none.
    #[error(
        "{filter:?} is no filter of the log: {cause} (allowed: levels per target, such as info,my_app::orders=debug)"
    )]
    BadFilter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The process writes its log by a subscriber of the application's own.
    #[error("the log of {process} has no filter that can be changed: {cause}")]
    NoFilter {
        /// Which process.
        process: ProcessId,
        /// Why.
        cause: String,
    },
    /// It could not be looked into from outside.
    #[error("{process}: {cause}")]
    NotSeen {
        /// Which process.
        process: ProcessId,
        /// Why not, and the way out where there is one.
        cause: String,
    },
    /// A worker was not isolated, and serves on where it can.
    #[error("worker {worker} was not isolated: {cause}")]
    NotIsolated {
        /// Which worker.
        worker: WorkerId,
        /// Why.
        cause: String,
    },
    /// There is no debug server on this machine.
    #[error(
        "there is neither gdbserver nor lldb-server in the master's PATH (on Debian: apt-get install gdbserver, and gdb where you debug from; or apt-get install lldb)"
    )]
    NoDebugServer,
    /// The worker is in a state in which this cannot be done.
    #[error("worker {worker} is {state}")]
    WrongState {
        /// Which worker.
        worker: WorkerId,
        /// Its state.
        state: String,
    },
    /// There is not that debug server on this machine which the options ask for.
    #[error(
        "debug.server is {server}, and there is none in the master's PATH (on Debian: apt-get install {package})"
    )]
    NoSuchDebugServer {
        /// Which.
        server: String,
        /// The package it comes in.
        package: String,
    },
}

#[cfg(test)]
mod tests {
    use super::super::tests::golden;
    use super::super::{Operate, Operation, OperationError, Outcome};
    use super::*;

    #[test]
    fn golden_bytes() {
        let operate = |debugging| Operate {
            number: 1,
            operation: Operation::Debug(debugging),
        };
        let of = Subject::Worker(3);
        golden(10, operate(Debugging::Stacks { of }), &[1, 14, 2, 1, 3]);
        let attach = Debugging::Attach { worker: None };
        golden(10, operate(attach), &[1, 14, 6, 0]);
        let refused = DebugError::NoSuchProcess("c".into());
        let outcome = Outcome {
            number: 1,
            result: Err(OperationError::Debug(refused)),
        };
        golden(11, outcome, &[1, 1, 12, 0, 1, b'c']);
    }
}
