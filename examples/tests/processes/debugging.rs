//! Seeing into one process while the others serve on.

mod debugger;
mod isolation;
mod left_behind;
mod lldb;
mod log_level;
mod refused;
mod session;
mod stacks;
