//! sys
pub(crate) mod process;
