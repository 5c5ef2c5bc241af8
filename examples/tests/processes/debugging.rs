//! Seeing into one process while the others serve on.

mod debugger;
mod isolation;
mod log_level;
mod stacks;
