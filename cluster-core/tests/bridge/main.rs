//! The bridge between real processes: this program, run once more as a master and its workers.

mod bad_input;
mod cluster;
mod dying;
