//! Looking into another process of this program from outside: the stacks of its threads, and where its time goes.
//!
//! ```text
//! master ─ starts ─▶ looker (this program once more) ─ ptrace ─▶ threads: stopped for a moment each, registers and stack copied
//!        ◀─ what it has seen, in a file without a name ─┘ unwinds and names the frames afterwards, while they run on
//! ```
//!
//! A process of its own, as a tracer is told of every stop of the process that it traces, which would get in the way of a parent that
//! waits for its child's end; and as the symbols of a large program take much memory, which is gone with it.

mod flame;
mod maps;
mod obstacle;
mod permission;
mod probes;
mod profile;
mod program;
mod stacks;
mod symbols;
mod task;
mod threads;

pub(crate) use obstacle::{of as obstacle, tracer, tracer_of_this};
pub use stacks::{Frame, Stacks, ThreadStack};

pub(crate) use profile::{HERTZ, MOST_SECONDS};
pub(crate) use task::{
    Errand, LookError, PermissionSeen, ProfileSeen, StacksSeen, Task, VARIABLE, run_if_asked,
};
