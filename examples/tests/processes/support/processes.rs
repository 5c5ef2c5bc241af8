//! Processes of the system: found by a mark in their environment, which every child inherits.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};

/// The variable that holds the mark.
pub(crate) const VARIABLE: &str = "EXAMPLES_TEST_MARK";

/// A mark that no other cluster of this machine has.
pub(crate) fn new_mark() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!(
        "{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// The living processes that have this mark.
pub(crate) fn marked(mark: &str) -> Vec<u32> {
    let wanted = format!("{VARIABLE}={mark}");
    let has_mark = |pid: &u32| variables(*pid).contains(&wanted);
    all()
        .filter(has_mark)
        .filter(|pid| is_running(*pid))
        .collect()
}

/// The variables that a process was started with, `NAME=VALUE` each.
pub(crate) fn variables(pid: u32) -> Vec<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let entries = environment.split(|byte| *byte == 0);
    entries
        .map(|entry| String::from_utf8_lossy(entry).into_owned())
        .collect()
}

/// The children of a process that nobody has reaped, each with its name.
pub(crate) fn children(parent: u32) -> Vec<(u32, String)> {
    let child = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (name, fields) = stat.rsplit_once(") ")?;
        let (_, name) = name.split_once('(')?;
        let of: u32 = fields.split(' ').nth(1)?.parse().ok()?;
        (of == parent).then(|| (pid, name.to_owned()))
    };
    all().filter_map(child).collect()
}

fn all() -> impl Iterator<Item = u32> {
    let processes = fs::read_dir("/proc").expect("this is Linux");
    processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Whether a process is there and has not ended; a zombie has.
pub(crate) fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state stands after the name, which is in brackets and may hold any character.
    let state = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.trim_start().chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// Sends a signal; whether the process was there to get it.
pub(crate) fn signal(pid: u32, signal: Signal) -> bool {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a pid");
    kill_process(pid, signal).is_ok()
}
