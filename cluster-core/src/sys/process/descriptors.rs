//! What an exec leaves open.

use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use rustix::io::FdFlags;

/// Marks every open descriptor from `first` on as close-on-exec, except those in `keep`, which stay as they are.
///
/// Called at boot, after [`take_boot`](crate::sys::inherit::take_boot), with the descriptors in `keep` that are yet to
/// be claimed by [`take_fd`](crate::sys::inherit::take_fd).
///
/// # Errors
/// If neither `close_range` nor /proc (/dev/fd elsewhere) is available.
pub(crate) fn close_on_exec_all_from(first: RawFd, keep: &[RawFd]) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if gaps(first, keep)
        .into_iter()
        .all(|(from, to)| close_range(from, to))
    {
        return Ok(());
    }
    let listing = if cfg!(target_os = "linux") {
        "/proc/self/fd"
    } else {
        "/dev/fd"
    };
    let open: Vec<RawFd> = std::fs::read_dir(listing)?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    for fd in open
        .into_iter()
        .filter(|fd| *fd >= first && !keep.contains(fd))
    {
        // SAFETY: it is used for one call, which fails without harm if the descriptor was closed meanwhile.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let _ = rustix::io::fcntl_setfd(fd, FdFlags::CLOEXEC);
    }
    Ok(())
}

/// The ranges, both ends included, that are left of `first..` without `keep`.
fn gaps(first: RawFd, keep: &[RawFd]) -> Vec<(u32, u32)> {
    let mut keep: Vec<u32> = keep
        .iter()
        .filter_map(|fd| u32::try_from(*fd).ok())
        .collect();
    keep.sort_unstable();
    let mut gaps = Vec::with_capacity(keep.len() + 1);
    let mut from = first.max(0).unsigned_abs();
    for kept in keep {
        if kept > from {
            gaps.push((from, kept - 1));
        }
        from = from.max(kept + 1);
    }
    gaps.push((from, u32::MAX));
    gaps
}

/// Marks a range, both ends included; false where the system cannot (Linux before 5.11). Async-signal-safe.
#[cfg(target_os = "linux")]
pub(super) fn close_range(from: u32, to: u32) -> bool {
    // SAFETY: with this flag the call closes nothing; it only sets the close-on-exec mark of what is open in the range.
    unsafe { libc::syscall(libc::SYS_close_range, from, to, libc::CLOSE_RANGE_CLOEXEC) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_leave_out_what_is_kept() {
        assert_eq!(gaps(3, &[]), [(3, u32::MAX)]);
        assert_eq!(gaps(3, &[3]), [(4, u32::MAX)]);
        assert_eq!(gaps(3, &[7, 5, 5, 6, 1, -1]), [(3, 4), (8, u32::MAX)]);
    }
}
