//! Who is who: roles, worker ids, generations, and the address of a process in the cluster.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of a worker: unique for the life of the cluster, never used twice, starting at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub u32);

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many times the cluster has been rolled when a process was started; 1 for the first workers.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u32);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a process of the cluster does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Binds the sockets, supervises the others, serves the monitor.
    Master,
    /// Runs the application.
    Worker,
    /// Owns the shared cache.
    CacheManager,
    /// A person or a tool at the command line; part of no application.
    Operator,
}

impl Role {
    /// Every role in which application code runs.
    pub const ALL: &'static [Role] = &[Role::Master, Role::Worker, Role::CacheManager];
    /// The master alone.
    pub const MASTER: &'static [Role] = &[Role::Master];
    /// The workers alone.
    pub const WORKERS: &'static [Role] = &[Role::Worker];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Master => "master",
            Role::Worker => "worker",
            Role::CacheManager => "cache manager",
            Role::Operator => "operator",
        })
    }
}

/// The address of one process: what a frame says of where it comes from and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessId {
    /// The master.
    Master,
    /// The worker of this number.
    Worker(WorkerId),
    /// The cache manager.
    CacheManager,
    /// An operator; the number is the master's, for the life of one link.
    Operator(u32),
}

impl ProcessId {
    /// The role of the process.
    pub fn role(self) -> Role {
        match self {
            ProcessId::Master => Role::Master,
            ProcessId::Worker(_) => Role::Worker,
            ProcessId::CacheManager => Role::CacheManager,
            ProcessId::Operator(_) => Role::Operator,
        }
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProcessId::Worker(id) => write!(f, "worker {id}"),
            ProcessId::Operator(n) => write!(f, "operator {n}"),
            other => other.role().fmt(f),
        }
    }
}
