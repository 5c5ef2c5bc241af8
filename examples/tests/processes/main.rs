//! Whole clusters as real processes, driven by real signals and real HTTP.
//!
//! Each test has a cluster of its own, on ports that the kernel picks, in a directory of its own; what it leaves behind fails it.

#![allow(clippy::unwrap_used)]

mod accidents;
mod addresses;
mod adoption;
mod bad_starts;
mod debugging;
mod decay;
mod documents;
mod ecv;
mod endurance;
mod given;
mod jobs;
mod logs;
mod memory;
mod monitor;
mod notify;
mod orphans;
mod process_one;
mod restart;
mod sessions;
mod shop;
mod silence;
mod spread;
mod start;
mod stop;
mod support;
mod tls;
mod upgrade;
mod vault;
