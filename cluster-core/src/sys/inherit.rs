//! What a process of the cluster inherits from the one that started it: a boot record and descriptors.

#![allow(unsafe_code)]

mod carrier;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;

use parking_lot::Mutex;
use rustix::io::FdFlags;

/// The variable that names the boot record's descriptor.
pub(crate) const BOOT_VARIABLE: &str = "CLUSTER_BOOT";

/// The most bytes that a boot record may have.
const BOOT_LIMIT: usize = 1024 * 1024;

/// One claim at a time, so that a descriptor is never claimed twice.
static CLAIM: Mutex<()> = Mutex::new(());

/// A boot record on its way to a child: unchangeable, and gone with the last descriptor that refers to it.
#[derive(Debug)]
pub(crate) struct Handover(OwnedFd);

impl Handover {
    /// Writes the record, at most 1 MiB.
    ///
    /// # Errors
    /// `InvalidInput` if it is longer, else what the system said.
    pub(crate) fn new(bytes: &[u8]) -> io::Result<Self> {
        if bytes.len() > BOOT_LIMIT {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        carrier::write(bytes).map(Self)
    }

    /// The variable that tells the child where the record is; the descriptor must be passed on beside it.
    pub(crate) fn variable(&self) -> (OsString, OsString) {
        (BOOT_VARIABLE.into(), self.0.as_raw_fd().to_string().into())
    }
}

impl AsFd for Handover {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A file without a name for what another process says: of this length, filled with zeros, and (on Linux) it never grows.
///
/// # Errors
/// What the system said.
pub(crate) fn scratch(length: u64) -> io::Result<OwnedFd> {
    carrier::scratch(length)
}

/// Takes the boot record that this process was started with, and closes its descriptor.
///
/// `None` if there is none: the process was started by a person, or by a process of the cluster that meant nothing by
/// it, so that the variable names a descriptor that is not open or not a boot record. A second call finds none either.
///
/// # Errors
/// `InvalidData` if the record is longer than 1 MiB, else what the system said.
pub(crate) fn take_boot() -> io::Result<Option<Vec<u8>>> {
    let number = std::env::var(BOOT_VARIABLE)
        .ok()
        .and_then(|value| value.parse().ok());
    number.map_or(Ok(None), take_record)
}

/// Reads the boot record and leaves it to be taken.
///
/// # Errors
/// As [`take_boot`].
pub(crate) fn peek_boot() -> io::Result<Option<Vec<u8>>> {
    let number = std::env::var(BOOT_VARIABLE)
        .ok()
        .and_then(|value| value.parse().ok());
    let _claim = CLAIM.lock();
    match number.map(inherited) {
        Some(Ok(fd)) if carrier::is_record(fd) => {
            read_record(&File::from(fd.try_clone_to_owned()?)).map(Some)
        }
        _ => Ok(None),
    }
}

fn take_record(number: RawFd) -> io::Result<Option<Vec<u8>>> {
    let _claim = CLAIM.lock();
    let Ok(fd) = inherited(number) else {
        return Ok(None);
    };
    if !carrier::is_record(fd) {
        return Ok(None);
    }
    // SAFETY: the descriptor is open, and it was inherited (`inherited`), so that nothing in this process owns it.
    let record = File::from(unsafe { OwnedFd::from_raw_fd(number) });
    read_record(&record).map(Some)
}

fn read_record(record: &File) -> io::Result<Vec<u8>> {
    let length = usize::try_from(record.metadata()?.len()).unwrap_or(usize::MAX);
    if length > BOOT_LIMIT {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    // At its place, not the descriptor's: that is shared with every process the record was given to.
    record.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Takes an inherited descriptor by its number; from then on it is closed on exec, and its number cannot be taken again.
///
/// # Errors
/// `NotFound` if it is not open, or not inherited (as once it was taken), `InvalidInput` for the first three.
pub(crate) fn take_fd(number: RawFd) -> io::Result<OwnedFd> {
    let _claim = CLAIM.lock();
    rustix::io::fcntl_setfd(inherited(number)?, FdFlags::CLOEXEC)?;
    // SAFETY: the descriptor is open, and it was inherited (`inherited`), so that nothing in this process owns it. The
    // mark just set keeps it from being taken for inherited once more.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The descriptor, if it came through exec: what this process opens by itself is marked close-on-exec from the start.
fn inherited<'a>(number: RawFd) -> io::Result<BorrowedFd<'a>> {
    if number < 3 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the kernel is asked about it before it is used for anything else, and the answer stands as long as
    // `CLAIM` is held: nobody else closes what nobody owns.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    match rustix::io::fcntl_getfd(fd) {
        Ok(flags) if !flags.contains(FdFlags::CLOEXEC) => Ok(fd),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}
