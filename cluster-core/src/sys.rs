//! The operating system: the only module that calls it, and the only one with `unsafe` blocks.

pub(crate) mod page;
pub(crate) mod turns;
