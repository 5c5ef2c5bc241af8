//! The client's side: handles, the connection of each thread, loads, watches.
//!
//! ```text
//! Cache (any thread) ─▶ Link (one a thread and socket) ═ connection ═ cache manager
//!                         └─ Flights: callers of one key share one question
//! ```

mod answer;
pub(crate) mod cache;
mod flight;
mod lease;
mod link;
mod operation;
mod questions;
mod space;
mod watch;

pub use cache::{Cache, CacheExt};
pub use operation::{FindOrLoad, Get, GetOrLoad, Inspected, Set, Value};
pub use watch::{Change, Watch};
