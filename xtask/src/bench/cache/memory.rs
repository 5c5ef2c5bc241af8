//! What a cache takes.

use std::fs;

use super::peer::Peer;
use crate::bench::BenchError;

/// The memory of a cache's process in MiB, its share where pages are not its own.
///
/// # Errors
/// Where the system does not tell.
pub(super) fn of(peer: &Peer) -> Result<f64, BenchError> {
    proportional(peer.pid()).ok_or(BenchError::NoMemory(peer.name()))
}

fn proportional(pid: u32) -> Option<f64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory() {
        assert!(proportional(std::process::id()).is_some_and(|mib| mib > 0.5));
        assert_eq!(proportional(0), None);
    }
}
