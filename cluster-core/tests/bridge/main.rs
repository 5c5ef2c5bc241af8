//! The bridge between real processes: this program, run once more as a master and its workers.

#![allow(
    clippy::unwrap_used,
    reason = "a test says by its panic what was not so"
)]

mod bad_input;
mod cluster;
mod dying;
