//! The operating system: every system call and every `unsafe` block of the project lives below this module.
//!
//! Linux is the platform. Other Unixes take the fallbacks marked with `cfg`.

mod clock;
mod fetch;
pub(crate) mod inherit;
pub(crate) mod page;
pub(crate) mod process;
mod runtime_dir;
pub(crate) mod signal;
pub(crate) mod socket;
pub(crate) mod stacks;
pub(crate) mod stream;
mod text;
pub(crate) mod turns;
mod usage;

#[cfg(test)]
mod rerun;

pub use clock::{TICK_MS, lately};
pub use fetch::{fetch, fetch_value};
pub use process::Exit;
pub use runtime_dir::{
    Discovery, Holder, Lock, Running, RuntimeDir, RuntimeDirError, candidates, discover,
};
pub use socket::{Address, SocketError};
pub(crate) use text::text;
pub use usage::Usage;
pub use usage::memory_bound;
pub(crate) use usage::{Heap, memory_limit, trim_memory};
