//! The lock that makes one process the cluster's master: `flock` on a file that is still the one at its path.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;

use super::place::Place;
use super::{Holder, RuntimeDirError};

const NAME: &str = "lock";

/// Attempts to take a lock whose file others remove or look at; each failure means that another process got on.
const ATTEMPTS: usize = 1000;

/// Looks at a locked file whose holder is about to write its id.
const LOOKS: usize = 100;

/// The cluster's lock, held until it is dropped; its file is removed before it is given up.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    pub(super) fn take(place: &Place) -> Result<Self, RuntimeDirError> {
        let path = place.path.join(NAME);
        for _ in 0..ATTEMPTS {
            let directory = place.enter()?.directory;
            let flags = OFlags::RDWR
                | OFlags::CREATE
                | OFlags::CLOEXEC
                | OFlags::NOFOLLOW
                | OFlags::NONBLOCK;
            let file = match rustix::fs::openat(&directory, NAME, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => file,
                // The directory was removed as empty by the process that stopped last.
                Err(Errno::NOENT) => continue,
                Err(source) => return Err(RuntimeDirError::io("open", &path, source)),
            };
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) if is_at_path(&file, &path) => return Self::sign(file, path),
                // Removed or replaced while we took it: what we hold is the lock of nothing.
                Ok(()) => {}
                Err(Errno::AGAIN) if is_shared(&file) => std::thread::yield_now(),
                Err(Errno::AGAIN) => {
                    let holder = Holder {
                        pid: read_pid(&mut File::from(file)),
                    };
                    return Err(RuntimeDirError::Held {
                        path: place.path.clone(),
                        holder,
                    });
                }
                Err(source) => return Err(RuntimeDirError::io("lock", &path, source)),
            }
        }
        Err(RuntimeDirError::Unsteady { path })
    }

    /// The lock that this process held before it was exchanged for another program in place.
    pub(super) fn kept(place: &Place, file: OwnedFd) -> Result<Self, RuntimeDirError> {
        let path = place.path.join(NAME);
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            // It is signed already: the process is the same.
            Ok(()) if is_at_path(&file, &path) => Ok(Lock {
                file: File::from(file),
                path,
            }),
            Ok(()) => Err(RuntimeDirError::Unsteady { path }),
            Err(source) => Err(RuntimeDirError::io("lock", &path, source)),
        }
    }

    fn sign(file: OwnedFd, path: PathBuf) -> Result<Self, RuntimeDirError> {
        let mut lock = Self {
            file: File::from(file),
            path,
        };
        let signed = lock
            .file
            .set_len(0)
            .and_then(|()| writeln!(lock.file, "{}", std::process::id()));
        match signed {
            Ok(()) => Ok(lock),
            Err(source) => Err(RuntimeDirError::Io {
                action: "write",
                path: lock.path.clone(),
                source,
            }),
        }
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if is_at_path(&self.file, &self.path) {
            let _ = rustix::fs::unlink(&self.path);
        }
    }
}

/// Who holds the lock in `directory`.
pub(super) fn holder(directory: &Path) -> Result<Option<u32>, RuntimeDirError> {
    let path = directory.join(NAME);
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match rustix::fs::open(&path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => return Ok(None),
        Err(source) => return Err(RuntimeDirError::io("open", &path, source)),
    };
    let is_file =
        rustix::fs::fstat(&file).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_file());
    if !is_file || is_shared(&file) {
        return Ok(None);
    }
    Ok(read_pid(&mut File::from(file)))
}

/// Whether nobody holds it but such as look whether somebody does. Two that look do not exclude each other, and one that
/// wants the lock knows them by this from one that has it.
fn is_shared(file: &OwnedFd) -> bool {
    let shared = flock(file, FlockOperation::NonBlockingLockShared).is_ok();
    if shared {
        let _ = flock(file, FlockOperation::Unlock);
    }
    shared
}

fn is_at_path(file: impl AsFd, path: &Path) -> bool {
    let held = rustix::fs::fstat(file);
    let found = rustix::fs::statat(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW);
    matches!((held, found), (Ok(held), Ok(found)) if held.st_dev == found.st_dev && held.st_ino == found.st_ino)
}

/// The id in a lock's file, which its holder writes right after it took the lock.
fn read_pid(file: &mut File) -> Option<u32> {
    for _ in 0..LOOKS {
        let mut text = String::new();
        Read::by_ref(file).take(16).read_to_string(&mut text).ok()?;
        if let Some(pid) = text.strip_suffix('\n') {
            return pid.parse().ok();
        }
        std::io::Seek::rewind(file).ok()?;
        std::thread::yield_now();
    }
    None
}
