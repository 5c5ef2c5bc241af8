//! Memory that is about to be read, asked for before it is needed.

#![allow(unsafe_code)]

/// Bytes of a line of the cache.
const LINE: usize = 64;

/// Has the processor fetch these bytes into its cache while it goes on with something else. A hint: where the platform has none,
/// nothing happens.
#[inline]
pub fn fetch(bytes: &[u8]) {
    for line in bytes.chunks(LINE) {
        fetch_line(line.as_ptr());
    }
    // They need not begin where a line does.
    if let Some(last) = bytes.last() {
        fetch_line(last);
    }
}

/// The same with a value that is no longer than a line, and stands on one.
#[inline]
pub fn fetch_value<T>(value: &T) {
    fetch_line(std::ptr::from_ref(value).cast());
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn fetch_line(line: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: it reads nothing and cannot fail, whatever the address; every x86-64 has it.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn fetch_line(_line: *const u8) {}
