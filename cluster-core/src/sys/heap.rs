//! What the allocator of this process has of the system, and giving back what nobody uses of it.
//!
//! It is asked by its own statistics: jemalloc with the feature `jemalloc`, else glibc's. One that an application has put in the place of these is not
//! asked; the figures are then those of what little still uses glibc's.

#![allow(unsafe_code)]

/// What an allocator has of the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heap {
    /// What it has handed out, in bytes.
    pub(crate) allocated_bytes: u64,
    /// What it holds of the system's memory, handed out or not, in bytes. glibc's counts pages that it has given back from the midst of a
    /// heap, too.
    pub(crate) resident_bytes: u64,
    /// What of that nobody uses, in bytes.
    pub(crate) retained_bytes: u64,
}

/// The name of the allocator that is asked; none where there is none to ask.
pub(crate) const ALLOCATOR: Option<&str> = allocator::NAME;

impl Heap {
    /// Asks the allocator; nothing where it has no answer.
    pub(crate) fn sample() -> Option<Self> {
        allocator::sample()
    }
}

/// Returns memory that the allocator keeps free to the system; false if it had none to return, or cannot.
pub(crate) fn trim_memory() -> bool {
    allocator::trim()
}

#[cfg(feature = "jemalloc")]
mod allocator {
    use std::ffi::{CStr, c_void};
    use std::ptr::{from_mut, null_mut};

    use tikv_jemalloc_sys::mallctl;

    use super::Heap;

    pub(super) const NAME: Option<&str> = Some("jemalloc");

    pub(super) fn sample() -> Option<Heap> {
        refresh()?;
        let allocated = figure(c"stats.allocated")?;
        let resident = figure(c"stats.resident")?;
        Some(Heap {
            allocated_bytes: allocated,
            resident_bytes: resident,
            // What it calls retained itself is address space, which takes no memory.
            retained_bytes: resident.saturating_sub(allocated),
        })
    }

    /// The figures are those of the last time that somebody wrote an epoch.
    fn refresh() -> Option<()> {
        let mut epoch = 1_u64;
        let new = from_mut(&mut epoch).cast::<c_void>();
        // SAFETY: this control takes a number of eight bytes, which are there; nothing is asked back.
        let done = unsafe { mallctl(c"epoch".as_ptr(), null_mut(), null_mut(), new, 8) };
        (done == 0).then_some(())
    }

    fn figure(name: &CStr) -> Option<u64> {
        let (mut value, mut size) = (0_usize, size_of::<usize>());
        let (old, old_size) = (from_mut(&mut value).cast::<c_void>(), from_mut(&mut size));
        // SAFETY: these controls give a `size_t`, for which there is room, as `size` says; nothing is set.
        let done = unsafe { mallctl(name.as_ptr(), old, old_size, null_mut(), 0) };
        (done == 0).then_some(value as u64)
    }

    pub(super) fn trim() -> bool {
        let before = sample().map(|heap| heap.resident_bytes);
        // All arenas are meant by the number 4096 (MALLCTL_ARENAS_ALL).
        let purge = c"arena.4096.purge".as_ptr();
        // SAFETY: this control takes no value and gives none, as the null pointers say.
        let done = unsafe { mallctl(purge, null_mut(), null_mut(), null_mut(), 0) };
        done == 0 && sample().map(|heap| heap.resident_bytes) < before
    }
}

#[cfg(all(not(feature = "jemalloc"), target_os = "linux", target_env = "gnu"))]
mod allocator {
    use super::Heap;

    pub(super) const NAME: Option<&str> = Some("glibc");

    pub(super) fn sample() -> Option<Heap> {
        // SAFETY: the call takes nothing, gives back numbers, and locks the allocator's arenas by itself.
        let info = unsafe { libc::mallinfo2() };
        Some(Heap {
            allocated_bytes: (info.uordblks + info.hblkhd) as u64,
            resident_bytes: (info.arena + info.hblkhd) as u64,
            retained_bytes: info.fordblks as u64,
        })
    }

    pub(super) fn trim() -> bool {
        // SAFETY: the call takes a number, and locks the allocator's arenas by itself.
        unsafe { libc::malloc_trim(0) == 1 }
    }
}

#[cfg(not(any(feature = "jemalloc", all(target_os = "linux", target_env = "gnu"))))]
mod allocator {
    use super::Heap;

    pub(super) const NAME: Option<&str> = None;

    pub(super) fn sample() -> Option<Heap> {
        None
    }

    pub(super) fn trim() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(all(not(feature = "jemalloc"), target_os = "linux", target_env = "gnu"))]
    #[test]
    fn freed_memory_can_be_returned() {
        use crate::sys::Usage;

        // Too small each to be mapped by itself, and the last one keeps the heap from shrinking.
        let mut blocks: Vec<Vec<u8>> = (0..2000).map(|_| vec![1; 32 * 1024]).collect();
        let last = blocks.pop();
        let full = Usage::sample().unwrap().rss_bytes;
        drop(blocks);
        assert!(trim_memory());
        let trimmed = Usage::sample().unwrap().rss_bytes;
        assert!(trimmed + 32 * 1024 * 1024 < full, "{full} → {trimmed}");
        drop(last);
    }

    #[cfg(feature = "jemalloc")]
    #[test]
    fn jemalloc_tells_what_it_has_and_gives_it_back() {
        const SIZE: usize = 32 * 1024;
        const BLOCKS: usize = 2000;
        let before = Heap::sample().unwrap();
        // Whatever this program's own allocator is, these are jemalloc's.
        let blocks: Vec<_> = (0..BLOCKS)
            .map(|_| {
                // SAFETY: the block is as large as is written to, and is freed once, below.
                unsafe {
                    let block = tikv_jemalloc_sys::malloc(SIZE);
                    assert!(!block.is_null());
                    block.cast::<u8>().write_bytes(1, SIZE);
                    block
                }
            })
            .collect();
        let full = Heap::sample().unwrap();
        let held = (SIZE * BLOCKS) as u64;
        assert!(
            full.allocated_bytes >= before.allocated_bytes + held,
            "{before:?} {full:?}"
        );
        assert!(full.resident_bytes >= full.allocated_bytes, "{full:?}");
        for block in blocks {
            // SAFETY: it was given out by the same allocator, and is used no more.
            unsafe { tikv_jemalloc_sys::free(block) };
        }
        let freed = Heap::sample().unwrap();
        assert!(freed.retained_bytes >= held / 2, "{freed:?}");
        assert!(trim_memory());
        let trimmed = Heap::sample().unwrap();
        assert!(
            trimmed.resident_bytes + held / 2 < freed.resident_bytes,
            "{freed:?} {trimmed:?}"
        );
    }
}
