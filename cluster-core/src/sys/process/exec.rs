//! Exchanging the program of this process for another, in place: the same pid, parent and children.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::io::FdFlags;

use super::descriptors;
use crate::sys::inherit::BOOT_VARIABLE;
use crate::sys::listen_fds::{LISTEN_FDNAMES, LISTEN_FDS, LISTEN_PID};
use crate::sys::signal;

/// Runs another program in this process. Of its descriptors it gets those named, under the same numbers, and the first three.
///
/// Gives back only why it failed; then all is as before, but that descriptors which a library had opened to be inherited no longer are.
pub(crate) fn exec(
    program: &Path,
    args: &[OsString],
    env: Vec<(OsString, OsString)>,
    fds: &[BorrowedFd<'_>],
) -> io::Error {
    #[cfg(target_os = "linux")]
    descriptors::close_range(3, u32::MAX);
    let mark = |flags| {
        fds.iter()
            .try_for_each(|fd| rustix::io::fcntl_setfd(fd, flags))
    };
    if fds.iter().any(|fd| fd.as_raw_fd() < 3) {
        return io::ErrorKind::InvalidInput.into();
    }
    let failed = match mark(FdFlags::empty()) {
        Ok(()) => {
            // Handlers end with the program that set them: a stop that comes before the next one has its own waits for it.
            signal::hold_back();
            let mut command = Command::new(program);
            // Sockets that a service manager gave were given once; whom to notify stays true, as the pid stays.
            for name in [BOOT_VARIABLE, LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES] {
                command.env_remove(name);
            }
            let failed = command.args(args).envs(env).exec();
            signal::let_through();
            failed
        }
        Err(e) => e.into(),
    };
    // Closed on exec again, as every descriptor is that no child is meant to have.
    let _ = mark(FdFlags::CLOEXEC);
    failed
}
