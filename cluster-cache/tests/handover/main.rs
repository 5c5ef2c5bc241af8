//! One cache manager's process hands over to another, as in an upgrade: under load, in the midst of loads, with watches and copies, and
//! where either of the two fails on the way.
//!
//! `HANDOVERS=20 cargo test -p cluster-cache --test handover` hands over more often than the usual.
#![allow(clippy::unwrap_used, missing_docs)]

mod by_hand;
mod failures;
mod file;
mod leases;
mod load;
mod master;
mod pause;
mod seams;
mod stores;

use std::time::Duration;

pub(crate) fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}
