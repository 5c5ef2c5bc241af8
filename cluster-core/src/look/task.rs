//! The process that looks: what it is told, and what it says.

use std::fs::File;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::fs::FileExt;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use super::obstacle;
use super::permission;
use super::profile::{self, Profile};
use super::stacks::{self, Stacks};
use crate::sys::inherit;

/// The variable that makes a process one that looks, and tells it at what.
pub(crate) const VARIABLE: &str = "CLUSTER_LOOK";

/// What is to be looked at, and where to say what was seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Errand {
    pub(crate) pid: u32,
    pub(crate) task: Task,
    /// A file without a name.
    pub(crate) answer: RawFd,
}

/// What of it. Append-only.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    /// The stacks of its threads.
    Stacks,
    /// Where its time goes.
    Profile { seconds: u32, title: String },
    /// Nothing: only whether that is allowed.
    Permission,
}

/// Why nothing was seen. Append-only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub(crate) enum LookError {
    /// It has ended.
    #[error("process {pid} has ended")]
    Gone { pid: u32 },
    /// It may not be traced.
    #[error("process {pid} may not be traced ({cause}): {obstacle}")]
    Forbidden {
        pid: u32,
        cause: String,
        /// Why, and the way out.
        obstacle: String,
    },
    /// Something else.
    #[error("process {pid} cannot be looked into: {cause}")]
    Failed { pid: u32, cause: String },
}

impl LookError {
    pub(super) fn forbidden(pid: u32, source: io::Error) -> Self {
        LookError::Forbidden {
            pid,
            cause: source.to_string(),
            obstacle: obstacle::of(pid),
        }
    }

    /// What the system says of a file below `/proc`.
    pub(super) fn closed(pid: u32, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => LookError::Gone { pid },
            io::ErrorKind::PermissionDenied => Self::forbidden(pid, source),
            _ => LookError::Failed {
                pid,
                cause: source.to_string(),
            },
        }
    }
}

/// Does what this process was started for, where that is to look at another; it has to end then with the code given back.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    let errand = std::env::var(VARIABLE).ok()?;
    let errand: Errand = serde_json::from_str(&errand).ok()?;
    let done = answer(&errand);
    Some(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            // The log of the cluster is where standard error leads.
            eprintln!("what process {} is doing cannot be told: {e}", errand.pid);
            ExitCode::FAILURE
        }
    })
}

fn answer(errand: &Errand) -> io::Result<()> {
    let file = File::from(inherit::take_fd(errand.answer)?);
    let text = match &errand.task {
        Task::Stacks => to_json(stacks::of(errand.pid)),
        Task::Permission => to_json(permission::of(errand.pid)),
        Task::Profile { seconds, title } => to_json(profile::of(errand.pid, *seconds, title)),
    };
    file.write_all_at(text?.as_bytes(), 0)
}

fn to_json<T: Serialize>(seen: Result<T, LookError>) -> io::Result<String> {
    Ok(serde_json::to_string(&seen)?)
}

/// What was seen of the stacks.
pub(crate) type StacksSeen = Result<Stacks, LookError>;
/// Whether anything could be seen.
pub(crate) type PermissionSeen = Result<(), LookError>;
/// What was seen of where time goes.
pub(crate) type ProfileSeen = Result<Profile, LookError>;
