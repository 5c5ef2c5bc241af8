//! Seeing into one process while the others serve on.

mod log_level;
mod stacks;
