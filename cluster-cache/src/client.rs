//! The client's side: handles, the connection of each thread, loads, watches.
//!
//! ```text
//! Cache (any thread) ─▶ Link (one a thread and socket) ═ connection ═ cache manager
//!       │                 └─ Flights: callers of one key share one question
//!       └─▶ Near (one a namespace, where copies are kept) ◀─ Copies: changes that the link hears of
//! ```

mod answer;
pub(crate) mod cache;
mod copies;
mod flight;
mod grants;
mod lease;
mod link;
mod near;
mod operation;
mod owner;
mod questions;
mod read;
mod space;
mod timed;
mod watch;
mod way;

pub use cache::{Cache, CacheExt};
pub use near::CopyStat;
pub(crate) use owner::Owner;
pub use timed::durations;

pub use operation::{FindOrLoad, Get, GetOrLoad, GetShared, Inspected, Set, Value};
pub use watch::{Change, Watch};
