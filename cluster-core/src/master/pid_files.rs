//! Pid files, where a directory for them is named: `master.pid`, `cache-manager.pid`, `worker.N.pid`.

use std::fs;
use std::io;
use std::path::PathBuf;

use tracing::warn;

use crate::id::ProcessId;

/// The pid files of a cluster; those that it wrote are gone with it.
#[derive(Default)]
pub(crate) struct PidFiles {
    directory: Option<PathBuf>,
    written: Vec<(ProcessId, u32)>,
}

impl PidFiles {
    /// Makes the directory where it is missing.
    pub(crate) fn new(directory: Option<PathBuf>) -> io::Result<Self> {
        if let Some(directory) = &directory {
            fs::create_dir_all(directory)?;
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

impl Drop for PidFiles {
    fn drop(&mut self) {
        while let Some((process, _)) = self.written.last().copied() {
            self.remove(process);
        }
    }
}
