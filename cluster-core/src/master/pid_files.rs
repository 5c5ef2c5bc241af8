//! Pid files, where a directory for them is named: `master.pid`, `cache-manager.pid`, `worker.N.pid`.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::id::ProcessId;
use crate::sys::process;

/// The pid files of a cluster; those that it wrote are gone with it.
#[derive(Default)]
pub(crate) struct PidFiles {
    directory: Option<PathBuf>,
    written: Vec<(ProcessId, u32)>,
}

impl PidFiles {
    /// Makes the directory where it is missing, and clears it of the files of processes that have ended while there was no master.
    pub(crate) fn new(directory: Option<PathBuf>) -> io::Result<Self> {
        if let Some(directory) = &directory {
            fs::create_dir_all(directory)?;
            for entry in fs::read_dir(directory)?.flatten() {
                if is_ours(&entry.file_name()) && is_stale(&entry.path()) {
                    // Where it cannot be removed it says no less than the truth of another day.
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
        Ok(PidFiles {
            directory,
            written: Vec::new(),
        })
    }

    fn path(&self, process: ProcessId) -> Option<PathBuf> {
        let name = match process {
            ProcessId::Master => "master.pid".to_owned(),
            ProcessId::CacheManager => "cache-manager.pid".to_owned(),
            ProcessId::Worker(id) => format!("worker.{id}.pid"),
            ProcessId::Operator(_) => return None,
        };
        self.directory
            .as_ref()
            .map(|directory| directory.join(name))
    }

    pub(crate) fn write(&mut self, process: ProcessId, pid: u32) {
        let Some(path) = self.path(process) else {
            return;
        };
        match fs::write(&path, format!("{pid}\n")) {
            Ok(()) => self.written.push((process, pid)),
            Err(e) => warn!(path = %path.display(), error = %e, "a pid file was not written"),
        }
    }

    /// Writes a pid file in place of one that another process of the same role has left.
    pub(crate) fn write_over(&mut self, process: ProcessId, pid: u32) {
        self.written.retain(|(written, _)| *written != process);
        self.write(process, pid);
    }

    /// Removes a pid file, unless another cluster has written its own there since.
    pub(crate) fn remove(&mut self, process: ProcessId) {
        let Some(path) = self.path(process) else {
            return;
        };
        let place = self.written.iter().position(|(p, _)| *p == process);
        let Some((_, pid)) = place.map(|place| self.written.swap_remove(place)) else {
            return;
        };
        match fs::read_to_string(&path) {
            Ok(text) if text.trim() == pid.to_string() => {}
            _ => return,
        }
        if let Err(e) = fs::remove_file(&path) {
            warn!(path = %path.display(), error = %e, "a pid file was not removed");
        }
    }
}

/// Whether a file of this name is one of a cluster's.
fn is_ours(name: &OsStr) -> bool {
    let name = name.to_str().and_then(|name| name.strip_suffix(".pid"));
    name.is_some_and(|name| {
        let worker = name.strip_prefix("worker.");
        let is_worker = worker.is_some_and(|id| id.parse::<u32>().is_ok());
        is_worker || matches!(name, "master" | "cache-manager")
    })
}

/// Whether a pid file names nobody who lives.
fn is_stale(path: &Path) -> bool {
    let pid = fs::read_to_string(path)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    pid.is_some_and(|pid| !process::runs(pid))
}

impl Drop for PidFiles {
    fn drop(&mut self) {
        while let Some((process, _)) = self.written.last().copied() {
            self.remove(process);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_dead_are_gone_and_no_others() {
        let directory = tempfile::tempdir().unwrap();
        let mut dead = std::process::Command::new("/bin/true").spawn().unwrap();
        dead.wait().unwrap();
        let (dead, me) = (dead.id().to_string(), std::process::id().to_string());
        let files = [
            ("worker.1.pid", &dead),
            ("worker.2.pid", &me),
            ("cache-manager.pid", &dead),
            ("worker.x.pid", &dead),
            ("nginx.pid", &dead),
        ];
        for (name, pid) in files {
            fs::write(directory.path().join(name), pid).unwrap();
        }
        PidFiles::new(Some(directory.path().to_owned())).unwrap();
        let there = |name: &str| directory.path().join(name).exists();
        let left: Vec<_> = files.iter().filter(|(name, _)| there(name)).collect();
        assert_eq!(left, [&files[1], &files[3], &files[4]]);
    }
}
