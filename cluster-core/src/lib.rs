//! The core of cluster.

mod id;
pub mod sys;

pub use id::{Generation, ProcessId, Role, WorkerId};
