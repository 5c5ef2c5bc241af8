//! Documents: JSON that every process holds in its own memory.
//!
//! ```text
//! Document (any thread) ─▶ visible tree ◀─ replica ◀═ connection, one a process and document ═ cache manager ─▶ file
//! ```
//!
//! A read is a look-up in the process's own tree, after a glance at the board: shared memory on which the manager publishes each change before
//! it tells anybody, so that a read waits for no wake-up. The connection brings the same changes again, and those that the board does not hold.
//! A write is made in the tree at once, and set out to the manager, which puts the changes of all processes in one order and tells all of
//! them.
//!
//! **Conflicts.** What holds is the order of the manager; in it the last change of a path wins. A change of a path is one of all that is
//! below it: what was there is gone, and its time with it. A change below a path leaves what is beside it. One that does not fit any more when
//! its turn comes, as the document would be too large, or a name meets an array, changes nothing, for all. When nothing is on its way
//! any more all processes hold the same.
//!
//! **Breaks.** What a process has changed and has not seen come back it sends again, and what was made already is not made again. A manager that
//! follows one that died has its file, and asks for the document of the process that knows most, among those that come within half a second.
//! What neither knows is lost, unless it is of a process that has not seen it come back: only [`Document::flush`] says that a change is kept.

mod board;
mod deadlines;
mod error;
mod handle;
pub(crate) mod keeper;
mod known;
pub(crate) mod ledger;
pub(crate) mod limits;
mod link;
pub(crate) mod name;
mod options;
mod origins;
pub(crate) mod path;
pub(crate) mod replica;
mod shared;
pub(crate) mod tree;
mod value;
mod watch;

pub use error::DocumentError;
pub use handle::{Document, DocumentExt};
pub use limits::{
    MOST_DOCUMENT_BYTES, MOST_DOCUMENT_NAME_BYTES, MOST_GROWN, MOST_NESTING, MOST_PATH_BYTES,
    MOST_PATH_KEYS, MOST_PENDING, MOST_PENDING_BYTES,
};
pub use options::DocumentOptions;
pub use path::PathFault;
pub use tree::Misfit;
pub use value::ValueFault;
pub use watch::DocumentWatch;
