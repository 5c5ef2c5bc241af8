//! The core of cluster.

mod id;
mod sys;

pub use id::{Generation, ProcessId, Role, WorkerId};
pub use sys::{
    page::{MAX_SLOTS, Page, Slot},
    turns::Turns,
};
