//! Which processes of a cluster live: each below the master holds one byte of a file locked, and the kernel says who.
//!
//! A record lock is gone with its process, whatever ended it, and names it to whoever asks. So a new master knows exactly whom
//! the last one has left behind: no pid in it can be stale, and nobody has to be waited for who is not there.

#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::id::{ProcessId, WorkerId};

/// The file's name in a runtime directory.
pub(crate) const FILE: &str = "present";

/// A process's place, held until it ends or this is dropped.
///
/// The system gives up all such locks of a process when it closes *any* descriptor of the file: a process that holds a place must not
/// open the file again.
#[derive(Debug)]
pub(crate) struct Presence(File);

impl Presence {
    /// Takes the process's place, which nobody else may hold; a cache manager finds a second one where the first is held.
    ///
    /// # Errors
    /// `WouldBlock` if another process holds it, else what the system said.
    pub(crate) fn announce(file: &Path, process: ProcessId) -> io::Result<Self> {
        match Self::take(file, place(process)) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock && place(process) == 0 => {
                Self::take(file, NEXT_CACHE.into())
            }
            taken => taken,
        }
    }

    /// Who holds a place besides this process, and its pid.
    ///
    /// # Errors
    /// What the system said.
    pub(crate) fn others(&self) -> io::Result<Vec<(ProcessId, u32)>> {
        holders(&self.0)
    }

    fn take(file: &Path, place: i64) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(file)?;
        let mut lock = record(libc::F_WRLCK, place, 1);
        // SAFETY: the descriptor is open and the structure valid for the length of the call, which reads it.
        match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw mut lock) } {
            -1 => match io::Error::last_os_error() {
                e if e.raw_os_error() == Some(libc::EACCES) => {
                    Err(io::ErrorKind::WouldBlock.into())
                }
                e => Err(e),
            },
            _ => Ok(Presence(file)),
        }
    }
}

/// The place of a cache manager that is to take over from the one that has the first.
const NEXT_CACHE: u32 = u32::MAX;

/// Workers are numbered from 1.
fn place(process: ProcessId) -> i64 {
    match process {
        ProcessId::Worker(id) => id.0.into(),
        _ => 0,
    }
}

/// Who holds a place in the file, and its pid: the cache manager first, then workers by number. Nobody where there is no such file.
///
/// # Errors
/// What the system said.
pub(crate) fn present(file: &Path) -> io::Result<Vec<(ProcessId, u32)>> {
    let flags = libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags)
        .open(file);
    let file = match opened {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    holders(&file)
}

fn holders(file: &File) -> io::Result<Vec<(ProcessId, u32)>> {
    let mut found = Vec::new();
    // The kernel names any holder in a range: what lies before it and behind it is asked again.
    let mut ranges = vec![(0, i64::from(u32::MAX) + 1)];
    while let Some((from, to)) = ranges.pop() {
        if from >= to {
            continue;
        }
        let mut lock = record(libc::F_WRLCK, from, to - from);
        // SAFETY: as above; the call also writes to the structure.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &raw mut lock) } == -1 {
            return Err(io::Error::last_os_error());
        }
        if i32::from(lock.l_type) == libc::F_UNLCK {
            continue;
        }
        let (start, end) = (lock.l_start, lock.l_start + lock.l_len.max(1));
        if let (Ok(place), Ok(pid)) = (u32::try_from(start), u32::try_from(lock.l_pid)) {
            found.push((place, pid));
        }
        ranges.extend([(from, start), (end, to)]);
    }
    found.sort_unstable();
    let process = |place| match place {
        0 | NEXT_CACHE => ProcessId::CacheManager,
        id => ProcessId::Worker(WorkerId(id)),
    };
    let named = found.into_iter().map(|(place, pid)| (process(place), pid));
    Ok(named.collect())
}

fn record(kind: libc::c_int, start: i64, length: i64) -> libc::flock {
    // SAFETY: plain data, valid when zeroed.
    let mut lock = unsafe { std::mem::zeroed::<libc::flock>() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = start;
    lock.l_len = length;
    lock
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    use super::*;
    use crate::sys::rerun;

    fn process(id: u32) -> ProcessId {
        match id {
            0 => ProcessId::CacheManager,
            id => ProcessId::Worker(WorkerId(id)),
        }
    }

    #[test]
    fn who_is_present_is_named_and_who_has_ended_is_not() {
        if let Some(part) = rerun::part() {
            let (file, id) = part.split_once(' ').unwrap();
            let presence = Presence::announce(file.as_ref(), process(id.parse().unwrap()));
            println!("present: {}", presence.is_ok());
            std::thread::park();
        }
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("present");
        assert_eq!(present(&file).unwrap(), []);
        let start = |place: u32| {
            let part = format!("{} {place}", file.display());
            let test = "who_is_present_is_named_and_who_has_ended_is_not";
            let mut child = rerun::command(module_path!(), test, &part)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let said = lines
                .map_while(Result::ok)
                .find(|line| line.contains("present: "));
            (child, said.unwrap().ends_with("true"))
        };
        let mut all: Vec<_> = [7, 0, 512].into_iter().map(start).collect();
        assert!(all.iter().all(|(_, took)| *took));
        let (second, took) = start(7);
        assert!(!took, "a place is held once");
        let expected =
            [(0, 1), (7, 0), (512, 2)].map(|(id, n): (_, usize)| (process(id), all[n].0.id()));
        assert_eq!(present(&file).unwrap(), expected);
        all[1].0.kill().unwrap();
        all[1].0.wait().unwrap();
        assert_eq!(present(&file).unwrap(), expected[1..]);
        all.push((second, took));
        for (child, _) in &mut all {
            let _ = child.kill();
            child.wait().unwrap();
        }
        assert_eq!(present(&file).unwrap(), []);
    }
}
