//! Processes of the system, as `/proc` shows them: found by a mark in their environment, which every child inherits.

use std::collections::BTreeSet;
use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// The processes that carry `variable=value` in their environment and have not ended.
pub(crate) fn marked(variable: &str, value: &str) -> BTreeSet<u32> {
    let wanted = format!("{variable}={value}").into_bytes();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|all| all.split(|byte| *byte == 0).any(|one| one == wanted))
    })
    .filter(|pid| is_running(*pid))
    .collect()
}

/// Whether a process is there and has not ended; a zombie has.
pub(crate) fn is_running(pid: u32) -> bool {
    stat(&format!("/proc/{pid}/stat")).is_some_and(|stat| !matches!(stat.state, 'Z' | 'X'))
}

/// Whether all threads of a process are stopped by a signal.
pub(crate) fn is_stopped(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let mut threads = threads.into_iter().flatten().flatten().peekable();
    threads.peek().is_some()
        && threads.all(|thread| {
            let path = thread.path().join("stat");
            stat(&path.to_string_lossy()).is_none_or(|stat| stat.state == 'T')
        })
}

/// When a process was started, in clock ticks since the boot: with it a pid names one process for ever.
pub(crate) fn started(pid: u32) -> Option<u64> {
    stat(&format!("/proc/{pid}/stat")).map(|stat| stat.started)
}

/// Sends a signal; whether the process was there to get it.
pub(crate) fn signal(pid: u32, signal: Signal) -> bool {
    i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// What the descriptors of a process lead to: paths, `socket:[INODE]`, `anon_inode:[KIND]`, each as often as it is open.
pub(crate) fn descriptors(pid: u32) -> Vec<String> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd"));
    let links = descriptors
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok());
    links
        .map(|link| link.to_string_lossy().into_owned())
        .collect()
}

/// The inodes of the sockets that a process has open.
pub(crate) fn sockets(pid: u32) -> BTreeSet<u64> {
    let inode = |link: &String| {
        let inside = link.strip_prefix("socket:[")?.strip_suffix(']')?;
        inside.parse().ok()
    };
    descriptors(pid).iter().filter_map(inode).collect()
}

struct Stat {
    state: char,
    started: u64,
}

fn stat(path: &str) -> Option<Stat> {
    let text = fs::read_to_string(path).ok()?;
    // The name stands before it in brackets, and may hold any character.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let started = fields.nth(18)?.parse().ok()?;
    Some(Stat { state, started })
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_is_found_by_its_mark_until_it_has_ended() {
        let (variable, value) = ("XTASK_TEST_MARK", std::process::id().to_string());
        let mut child = Command::new("cat")
            .env(variable, &value)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = child.id();
        // It carries our own environment until it has become `cat`.
        while marked(variable, &value).is_empty() {
            assert!(child.try_wait().unwrap().is_none());
        }
        assert_eq!(marked(variable, &value), BTreeSet::from([pid]));
        assert!(started(pid) >= started(std::process::id()));
        assert!(!is_stopped(pid));
        assert!(signal(pid, Signal::STOP));
        while !is_stopped(pid) {
            assert!(is_running(pid));
        }
        assert!(signal(pid, Signal::KILL));
        child.wait().unwrap();
        assert!(!is_running(pid) && marked(variable, &value).is_empty());
        assert!(!signal(pid, Signal::KILL));
    }

    #[test]
    fn open_descriptors_are_seen_by_what_they_lead_to() {
        use std::os::fd::AsRawFd;
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let link = fs::read_link(format!("/proc/self/fd/{}", one.as_raw_fd())).unwrap();
        let link = link.to_string_lossy().into_owned();
        let me = std::process::id();
        assert!(descriptors(me).contains(&link));
        let inode = link.trim_matches(|c: char| !c.is_ascii_digit());
        assert!(sockets(me).contains(&inode.parse().unwrap()));
    }
}
