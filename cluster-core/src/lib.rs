//! The core of cluster.

mod id;

pub use id::{Generation, ProcessId, Role, WorkerId};
