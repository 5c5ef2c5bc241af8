//! The operating system: every system call and every `unsafe` block of the project lives below this module.
//!
//! Linux is the platform. Other Unixes take the fallbacks marked with `cfg`.

mod board;
mod clock;
pub(crate) mod fd_passing;
mod fetch;
mod heap;
mod host_name;
pub(crate) mod inherit;
pub(crate) mod listen_fds;
pub(crate) mod notify;
pub(crate) mod output;
pub(crate) mod page;
pub(crate) mod presence;
pub(crate) mod process;
pub(crate) mod ptrace;
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

pub use board::{Board, BoardReader, MOST_RECORD_BYTES, Records};
pub use clock::{TICK_MS, lately};
pub use fetch::{fetch, fetch_value};
pub(crate) use heap::{ALLOCATOR, Heap, trim_memory};
pub use host_name::host_name;
pub use listen_fds::ListenFdsError;
pub use process::Exit;
pub use runtime_dir::{
    Discovery, Holder, Lock, Running, RuntimeDir, RuntimeDirError, candidates, discover,
};
pub use socket::{Address, SocketError};
pub(crate) use text::text;
pub use usage::Usage;
pub use usage::memory_bound;
pub(crate) use usage::{memory_limit, peak_rss_bytes, proportional_bytes};
