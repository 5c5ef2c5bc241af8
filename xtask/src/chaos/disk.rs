//! A small disk of memory for what the cache keeps, so that it can be full.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// Room for the log of a run, and for a second one while it is written afresh.
const BYTES: &str = "64m";
/// What takes up the rest.
const FILLER: &str = "filler";

/// A mounted disk; dropping it takes it away.
#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Mounts one over a directory.
    ///
    /// # Errors
    /// What the system said; only root may.
    pub(crate) fn over(path: &Path) -> io::Result<Self> {
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        let size = format!("size={BYTES},mode=0700");
        let size = std::ffi::CString::new(size)?;
        mount("chaos", path, "tmpfs", flags, Some(size.as_c_str()))?;
        Ok(Disk {
            path: path.to_owned(),
        })
    }

    /// Leaves no room on it.
    ///
    /// # Errors
    /// What the system said, other than that it is full.
    pub(crate) fn fill(&self) -> io::Result<()> {
        let mut filler = File::create(self.path.join(FILLER))?;
        match io::copy(&mut io::repeat(0), &mut filler) {
            Err(e) if e.kind() == io::ErrorKind::StorageFull => Ok(()),
            other => other.map(drop),
        }
    }

    /// Gives the room back.
    ///
    /// # Errors
    /// What the system said.
    pub(crate) fn empty(&self) -> io::Result<()> {
        match fs::remove_file(self.path.join(FILLER)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // At once for everybody who comes after; whoever still has a file open there keeps it.
        if let Err(e) = unmount(&self.path, UnmountFlags::DETACH) {
            eprintln!("{} is still mounted: {e}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_takes_nothing_until_it_is_emptied() {
        let directory = tempfile::tempdir().unwrap();
        // Nobody but root may mount, and not everywhere: then the act is left out.
        let Ok(disk) = Disk::over(directory.path()) else {
            return;
        };
        let file = directory.path().join("kept");
        disk.fill().unwrap();
        let full = fs::write(&file, "x").unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        disk.empty().unwrap();
        fs::write(&file, "x").unwrap();
        drop(disk);
        assert!(!file.exists());
    }
}
