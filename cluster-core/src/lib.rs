//! The core of cluster.

#[allow(dead_code)]
mod health;
mod id;
#[allow(dead_code)]
mod master;

pub use id::{Generation, ProcessId, Role, WorkerId};
