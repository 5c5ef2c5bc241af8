//! Where standard output and standard error of this process lead, and the files that they may lead to.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

/// Where what is written goes nowhere.
const NOWHERE: &str = "/dev/null";

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inode(u64, u64);

/// Has both lead to the file from now on. A line that another thread prints to standard error by the standard library's means goes
/// whole to one place or the other.
///
/// # Errors
/// What the system said.
pub(crate) fn lead_to(file: &File) -> io::Result<()> {
    // The lock of standard output is not waited for: whoever holds it may be waiting for that of standard error. A line of up to
    // 1 KiB is one write there.
    let _whole = io::stderr().lock();
    rustix::stdio::dup2_stdout(file)?;
    rustix::stdio::dup2_stderr(file)?;
    Ok(())
}

/// Has both lead nowhere, where nothing that is printed can fail.
///
/// # Errors
/// What the system said.
pub(crate) fn lead_nowhere() -> io::Result<()> {
    lead_to(&OpenOptions::new().write(true).open(NOWHERE)?)
}

/// Whether standard error is closed, or leads nowhere.
pub(crate) fn stderr_leads_nowhere() -> bool {
    let nowhere = std::fs::metadata(NOWHERE).ok();
    match keep_stderr().and_then(|stderr| stderr.metadata()) {
        Ok(here) => {
            here.file_type().is_char_device() && nowhere.is_some_and(|n| n.rdev() == here.rdev())
        }
        Err(_) => true,
    }
}

/// Standard error as it is now, for when it leads elsewhere. No other process inherits it.
///
/// # Errors
/// If standard error is closed, or there are too many descriptors.
pub(crate) fn keep_stderr() -> io::Result<File> {
    Ok(rustix::io::fcntl_dupfd_cloexec(io::stderr(), 3)?.into())
}

/// Makes a directory, and those above it, for this user and its group alone.
///
/// # Errors
/// What the system said.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o750)
        .create(path)
}

/// Opens a file to append to, for this user and its group alone where it has to be made.
///
/// # Errors
/// `InvalidInput` if there is something that is no plain file, else what the system said.
pub(crate) fn open_to_append(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(flags.cast_signed())
        .open(path)
        .map_err(|e| match Errno::from_io_error(&e) {
            Some(Errno::LOOP | Errno::NXIO) => no_file(),
            _ => e,
        })?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(no_file())
    }
}

fn no_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file")
}

/// Which file is open.
///
/// # Errors
/// What the system said.
pub(crate) fn inode(file: &File) -> io::Result<Inode> {
    let found = file.metadata()?;
    Ok(Inode(found.dev(), found.ino()))
}

/// Which file is at the path, if any can be seen there.
pub(crate) fn inode_at(path: &Path) -> Option<Inode> {
    let found = std::fs::symlink_metadata(path).ok()?;
    Some(Inode(found.dev(), found.ino()))
}

/// Has the file system set aside the room for `length` bytes from `from` on, without making the file longer.
///
/// # Errors
/// If there is not the room. A file system that can set nothing aside is none.
pub(crate) fn set_aside(file: &File, from: u64, length: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let kept = rustix::fs::FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(file, kept, from, length) {
            Err(e @ (Errno::NOSPC | Errno::DQUOT)) => Err(e.into()),
            _ => Ok(()),
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, from, length);
        Ok(())
    }
}

/// One process at a time has the turn to rename a file; it is over when this is dropped.
pub(crate) struct Turn<'a>(&'a File);

impl<'a> Turn<'a> {
    /// Takes the turn, unless another process has it.
    pub(crate) fn take(file: &'a File) -> Option<Self> {
        flock(file, FlockOperation::NonBlockingLockExclusive).ok()?;
        Some(Turn(file))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // Given up by hand: standard output and error may refer to the same open file, and keep it open.
        let _ = flock(self.0, FlockOperation::Unlock);
    }
}
