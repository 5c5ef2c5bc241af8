//! What an exec leaves open.

/// Marks a range of descriptors, both ends included, as close-on-exec; false where the system cannot (Linux before 5.11). Async-signal-safe.
#[cfg(target_os = "linux")]
pub(super) fn close_range(from: u32, to: u32) -> bool {
    // SAFETY: with this flag the call closes nothing; it only sets the close-on-exec mark of what is open in the range.
    unsafe { libc::syscall(libc::SYS_close_range, from, to, libc::CLOSE_RANGE_CLOEXEC) == 0 }
}
