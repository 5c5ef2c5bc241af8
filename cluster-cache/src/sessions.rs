//! Stores of sessions, and of other JSON values by key: one owner, many processes.
//!
//! ```text
//! Sessions (any process) ─ link of the thread ─▶ cache.sock ─▶ CacheManager ─▶ its own table: memory, embedded
//!                                                                   └─▶ Keeper: a thread and a queue ─▶ SessionBackend: SQLite, files
//! Sessions (alone)       ──────────────────────────────────────────▶ Memory, or a Keeper of this process's own
//! ```
//!
//! What a store is to be is said once, by a [`SessionStore`], to whoever owns it; everybody reaches it by its name, as [`Sessions`].

mod backend;
mod error;
mod files;
mod handle;
mod keeper;
mod memory;
mod perform;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;
mod value;

pub use backend::{BackendError, Operation, Operations, Record, RecordPage, SessionBackend};
pub use error::SessionError;
pub use handle::{Sessions, SessionsExt};
pub(crate) use keeper::Keeper;
pub(crate) use perform::{Bounds, Outcome, PAGE};
pub use store::SessionStore;
pub(crate) use store::{Declared, Kind, Opened};
