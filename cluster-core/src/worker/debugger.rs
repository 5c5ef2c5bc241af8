//! Waiting for a debugger.

use std::fs;
use std::time::Duration;

/// How often it is looked: the kernel tells a process by no event that it is traced.
const LOOK: Duration = Duration::from_millis(20);

/// Resolves once another process traces this one.
pub(super) async fn attached() {
    while !is_traced(&fs::read_to_string("/proc/self/status").unwrap_or_default()) {
        tokio::time::sleep(LOOK).await;
    }
}

fn is_traced(status: &str) -> bool {
    let tracer = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"));
    tracer.is_some_and(|tracer| tracer.trim() != "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracer_has_a_number() {
        assert!(is_traced("Pid:\t4\nTracerPid:\t77\n"));
        assert!(!is_traced("Pid:\t4\nTracerPid:\t0\n") && !is_traced(""));
    }
}
