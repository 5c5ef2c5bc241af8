//! What can be done from the live view: what the master is asked, and the words for it.

use std::path::PathBuf;

use cluster_core::{Debugging, Operation, Subject};
use serde_json::Value;

use crate::output::{human, plain};

/// For how long a worker is profiled.
const SECONDS: u32 = 10;

/// Something that an operator does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Pause { worker: u32, force: bool },
    Resume { worker: u32 },
    PauseAll,
    ResumeAll,
    Recycle { worker: u32 },
    Isolate { worker: u32 },
    Release { worker: u32, retire: bool },
    Scale { from: u32, to: u32 },
    Roll,
    MarkUp,
    MarkDown,
    LogLevel { worker: u32, filter: Option<String> },
    Log { of: Subject },
    Stacks { worker: u32 },
    Profile { worker: u32, file: PathBuf },
}

impl Deed {
    /// What the master is asked.
    pub(super) fn operation(&self) -> Operation {
        let of = |worker: u32| Subject::Worker(worker);
        match self.clone() {
            Deed::Pause { worker, force } => Operation::Pause {
                worker: Some(worker),
                force,
            },
            Deed::Resume { worker } => Operation::Resume {
                worker: Some(worker),
            },
            Deed::PauseAll => Operation::Pause {
                worker: None,
                force: false,
            },
            Deed::ResumeAll => Operation::Resume { worker: None },
            Deed::Recycle { worker } => Operation::Recycle { worker },
            Deed::Isolate { worker } => Operation::Debug(Debugging::Isolate { worker }),
            Deed::Release { worker, retire } => {
                Operation::Debug(Debugging::Release { worker, retire })
            }
            Deed::Scale { to, .. } => Operation::Scale { workers: to },
            Deed::Roll => Operation::Restart { wait: false },
            Deed::MarkUp => Operation::MarkUp,
            Deed::MarkDown => Operation::MarkDown,
            Deed::LogLevel { worker, filter } => Operation::Debug(Debugging::LogLevel {
                of: of(worker),
                filter,
            }),
            Deed::Log { of } => Operation::Debug(Debugging::RecentLog { of, from: 0 }),
            Deed::Stacks { worker } => Operation::Debug(Debugging::Stacks { of: of(worker) }),
            Deed::Profile { worker, .. } => Operation::Debug(Debugging::Profile {
                of: of(worker),
                seconds: SECONDS,
            }),
        }
    }

    /// What is asked before it is done, where it hurts.
    pub(super) fn question(&self) -> Option<String> {
        Some(match self {
            Deed::Pause {
                worker,
                force: false,
            } => format!(
                "Pause worker {worker}? It stops accepting and finishes what it has, but stays."
            ),
            Deed::Pause {
                worker,
                force: true,
            } => format!(
                "Worker {worker} is the last one that serves. Pause it all the same? Connections wait then, and health probes are told \"down\"."
            ),
            Deed::PauseAll => "Pause all workers? Connections wait until they are resumed, and health probes are told \"down\".".to_owned(),
            Deed::Recycle { worker } => format!(
                "Replace worker {worker}? When its successor serves, it finishes what it has and ends."
            ),
            Deed::Isolate { worker } => format!(
                "Isolate worker {worker}? A successor takes its place, and it serves at an address of its own until it is released."
            ),
            Deed::Release {
                worker,
                retire: true,
            } => format!("End worker {worker}, which is isolated?"),
            Deed::Scale { from, to } if to < from => format!(
                "Scale down from {from} to {}? The youngest finishes what it has and ends.",
                human::count(u64::from(*to), "worker")
            ),
            Deed::Roll => {
                "Replace all workers, one at a time? Each successor serves first.".to_owned()
            }
            Deed::MarkDown => {
                "Mark the node down? Load balancers send no more requests here.".to_owned()
            }
            _ => return None,
        })
    }

    /// What is said while it is under way.
    pub(super) fn under_way(&self) -> String {
        match self {
            Deed::Pause { worker, .. } => format!("pausing worker {worker} ..."),
            Deed::Resume { worker } => format!("resuming worker {worker} ..."),
            Deed::PauseAll => "pausing all workers ...".to_owned(),
            Deed::ResumeAll => "resuming all workers ...".to_owned(),
            Deed::Recycle { worker } => format!("recycling worker {worker} ..."),
            Deed::Isolate { worker } => format!("isolating worker {worker} ..."),
            Deed::Release { worker, .. } => format!("releasing worker {worker} ..."),
            Deed::Scale { to, .. } => {
                format!("scaling to {} ...", human::count(u64::from(*to), "worker"))
            }
            Deed::Roll => "replacing all workers ...".to_owned(),
            Deed::MarkUp | Deed::MarkDown => "marking the node ...".to_owned(),
            Deed::LogLevel { worker, .. } => {
                format!("changing what worker {worker} logs ...")
            }
            Deed::Log { of } => format!("reading what {of} has logged ..."),
            Deed::Stacks { worker } => format!("looking at the stacks of worker {worker} ..."),
            Deed::Profile { worker, .. } => {
                format!("profiling worker {worker} for {SECONDS} s ...")
            }
        }
    }

    /// What is said when the master has done it.
    pub(super) fn done(&self, answer: &Value) -> String {
        let text = |key: &str| plain(answer[key].as_str().unwrap_or_default());
        match self {
            Deed::Pause { worker, .. } => format!("worker {worker} is being paused"),
            Deed::Resume { worker } => format!("worker {worker} accepts again"),
            Deed::PauseAll => "all workers are being paused".to_owned(),
            Deed::ResumeAll => "all workers accept again".to_owned(),
            Deed::Recycle { worker } => format!("worker {worker} is to be replaced"),
            Deed::Isolate { worker } => format!(
                "worker {worker} serves at {} alone, until it is released",
                text("address")
            ),
            Deed::Release { worker, .. } => match answer["retires"] == true {
                true => format!("worker {worker} ends"),
                false => format!("worker {worker} serves with the others again"),
            },
            Deed::Scale { to, .. } => {
                let workers = human::count(u64::from(*to), "worker");
                format!("{workers} wanted")
            }
            Deed::Roll => "all workers are being replaced, one at a time".to_owned(),
            Deed::MarkUp => "marked up: health probes are told how it is".to_owned(),
            Deed::MarkDown => "marked down: health probes are told \"down\"".to_owned(),
            Deed::LogLevel { .. } => format!(
                "{} logs {} (before: {})",
                text("process"),
                text("now"),
                text("before")
            ),
            Deed::Log { of } => format!("what {of} has logged lately"),
            Deed::Stacks { worker } => format!("the stacks of worker {worker}"),
            Deed::Profile { .. } => plain(&crate::command::profile::said(answer)).into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_hurts_is_asked_first() {
        let asked = |deed: &Deed| deed.question().is_some();
        for deed in [
            Deed::Pause {
                worker: 1,
                force: false,
            },
            Deed::Recycle { worker: 1 },
            Deed::Isolate { worker: 1 },
            Deed::Release {
                worker: 1,
                retire: true,
            },
            Deed::Scale { from: 2, to: 1 },
            Deed::PauseAll,
            Deed::Roll,
            Deed::MarkDown,
        ] {
            assert!(asked(&deed), "{deed:?}");
        }
        for deed in [
            Deed::Resume { worker: 1 },
            Deed::Scale { from: 1, to: 2 },
            Deed::MarkUp,
            Deed::Stacks { worker: 1 },
        ] {
            assert!(!asked(&deed), "{deed:?}");
        }
    }

    #[test]
    fn what_the_master_says_is_harmless() {
        let deed = Deed::LogLevel {
            worker: 1,
            filter: None,
        };
        let answer = json!({ "process": "worker 1", "now": "a\x1b[2J", "before": "info" });
        let said = "worker 1 logs a\u{fffd}[2J (before: info)";
        assert_eq!(deed.done(&answer), said);
    }
}
