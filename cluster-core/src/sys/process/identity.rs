//! Who this process is.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The user that this process acts as, by number.
pub(crate) fn user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The path of this program as it was configured: what to start for another process like this one.
///
/// Found at the first call, which is to come early, and the same ever after. The path is the one the program was
/// started by, symbolic links unresolved: a deployment that swaps a link is followed, a program replaced on disk is
/// found in its place.
///
/// # Errors
/// If the program's path cannot be told.
pub(crate) fn exe() -> io::Result<&'static Path> {
    static EXE: OnceLock<PathBuf> = OnceLock::new();
    if EXE.get().is_none() {
        let current = std::env::current_exe()?;
        let started_as = std::env::args_os().next();
        let path = started_as
            .and_then(|name| configured(&name, &current))
            .unwrap_or(current);
        let _ = EXE.set(path);
    }
    EXE.get()
        .map(PathBuf::as_path)
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// The path that `name` stands for, if it leads to the file that is running.
fn configured(name: &OsStr, running: &Path) -> Option<PathBuf> {
    let running = std::fs::metadata(running).ok()?;
    let is_running = |path: &PathBuf| {
        std::fs::metadata(path)
            .is_ok_and(|found| found.dev() == running.dev() && found.ino() == running.ino())
    };
    let path = Path::new(name);
    if path.components().nth(1).is_some() || path.is_absolute() {
        return std::path::absolute(path).ok().filter(is_running);
    }
    let directories = std::env::var_os("PATH")?;
    std::env::split_paths(&directories)
        .filter_map(|dir| std::path::absolute(dir.join(path)).ok())
        .find(is_running)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stays_a_link_and_a_stranger_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new, link) = (
            dir.path().join("v1"),
            dir.path().join("v2"),
            dir.path().join("current"),
        );
        std::fs::write(&old, "1").unwrap();
        std::fs::write(&new, "2").unwrap();
        std::os::unix::fs::symlink(&old, &link).unwrap();
        assert_eq!(configured(link.as_os_str(), &old), Some(link.clone()));
        assert_eq!(configured(link.as_os_str(), &new), None);
    }

    #[test]
    fn this_program_is_found() {
        let exe = exe().unwrap();
        assert!(exe.is_absolute());
        assert_eq!(
            std::fs::canonicalize(exe).unwrap(),
            std::env::current_exe().unwrap()
        );
    }
}
