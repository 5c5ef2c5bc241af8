//! A process below the master: a worker, or the cache manager.
//!
//! ```text
//! boot record ─▶ link to the master ─▶ application starts and warms up ─▶ serves ─▶ drains ─▶ ends
//! ```

pub(crate) mod application;
pub(crate) mod boot;
mod debugger;
pub(crate) mod keepsake;
pub(crate) mod run;
pub(crate) mod start;
