//! A board: a ring of shared memory on which one process publishes records, for others to read without being woken.
//!
//! A memfd that its maker maps for writing and then seals: nobody can write to it by another way, and nobody can make it shorter. It is
//! found by its maker's pid and the number of its descriptor, and known by its key. The ring is read like a seqlock: the writer says how far
//! it is about to overwrite, writes, and then says how far it is; who has read says afterwards whether that was overwritten meanwhile.
//!
//! A board is a short-cut, and nothing that stands on it is trusted: who is overtaken, or reads what is no record, has missed something that
//! is to come by another way.

#![allow(unsafe_code)]

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence};

use rustix::fs::{
    MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate,
    memfd_create, open,
};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Words of the ring: 64 KiB on machines of 64 bits.
const WORDS: usize = 8192;
const WORD: usize = size_of::<usize>();

/// A record has no more bytes: a quarter of the ring with its length.
pub const MOST_RECORD_BYTES: usize = (WORDS / 4 - 1) * WORD;

/// The name and the layout version of a board, at its very start.
const MAGIC: [u32; 2] = [0x636c_7573, 0x6264_6301];

/// How a board is sealed, by which it is known too.
const SEALS: SealFlags = SealFlags::SHRINK
    .union(SealFlags::GROW)
    .union(SealFlags::FUTURE_WRITE);

/// What a board is in memory. Words are as long as a pointer: no others can be read atomically where nothing can be written, everywhere.
#[repr(C)]
struct Layout {
    name: Name,
    marks: Marks,
    ring: [AtomicUsize; WORDS],
}

#[repr(C, align(64))]
struct Name {
    magic: [AtomicU32; 2],
    key: [AtomicU32; 2],
}

/// Positions in words, as if the ring had no end; they wrap.
#[repr(C, align(64))]
struct Marks {
    /// Up to here all may be overwritten already.
    begun: AtomicUsize,
    /// Up to here all is written.
    head: AtomicUsize,
}

fn halves(key: u64) -> [u32; 2] {
    [(key >> 32) as u32, key as u32]
}

impl Layout {
    fn word(&self, position: usize) -> &AtomicUsize {
        &self.ring[position % WORDS]
    }

    fn is_named(&self, key: u64) -> bool {
        let holds = |places: &[AtomicU32; 2], words: [u32; 2]| {
            let mut both = places.iter().zip(words);
            both.all(|(place, word)| place.load(Relaxed) == word)
        };
        holds(&self.name.magic, MAGIC) && holds(&self.name.key, halves(key))
    }

    fn name(&self, key: u64) {
        let Name { magic, key: place } = &self.name;
        for (place, word) in magic.iter().zip(MAGIC).chain(place.iter().zip(halves(key))) {
            place.store(word, Relaxed);
        }
    }
}

/// The mapping of a board into this process.
struct Map(NonNull<Layout>);

// SAFETY: the mapping is plain shared memory, valid until drop, and is touched through atomics alone.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    /// Maps a board, which is sealed against shrinking and as long as one is.
    fn new(fd: BorrowedFd<'_>, protection: ProtFlags) -> io::Result<Self> {
        let size = size_of::<Layout>();
        // SAFETY: a new mapping at an address the kernel chooses; the callers have seen to it that the file is as long as this, and sealed
        // against shrinking, so that no access can run past its end.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                size,
                protection,
                MapFlags::SHARED,
                fd,
                0,
            )?
        };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Map(start))
    }

    fn layout(&self) -> &Layout {
        // SAFETY: the mapping is page-aligned, as long as a layout, and lives as long as self; all fields are atomics, for which every
        // pattern of bits is a value. Where it is mapped for reading alone there are only relaxed loads of at most a pointer's size.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped, and nothing borrows from it any more. It cannot fail for such a range.
        let _ = unsafe { munmap(self.0.as_ptr().cast(), size_of::<Layout>()) };
    }
}

/// A board as its maker has it, who alone writes to it.
pub struct Board {
    fd: OwnedFd,
    map: Map,
    key: u64,
    head: usize,
}

impl Board {
    /// Makes a board with nothing on it.
    ///
    /// # Errors
    ///
    /// What the operating system says; not all can seal memory against later writers.
    pub fn create() -> io::Result<Self> {
        // Each of these hashers has a seed of its own.
        let key = RandomState::new().hash_one(std::process::id());
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = memfd_create("cluster-board", flags)?;
        ftruncate(&fd, size_of::<Layout>() as u64)?;
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW)?;
        let map = Map::new(fd.as_fd(), ProtFlags::READ | ProtFlags::WRITE)?;
        map.layout().name(key);
        // The mapping that there is stays writable.
        fcntl_add_seals(&fd, SEALS | SealFlags::SEAL)?;
        Ok(Board {
            fd,
            map,
            key,
            head: 0,
        })
    }

    /// The number of its descriptor in this process, by which others of its user find it.
    #[must_use]
    pub fn descriptor(&self) -> u32 {
        self.fd.as_raw_fd().unsigned_abs()
    }

    /// What tells it from all other boards.
    #[must_use]
    pub fn key(&self) -> u64 {
        self.key
    }

    /// Publishes a record, for all to see as soon as they look. One of more than [`MOST_RECORD_BYTES`] is left out, and that is said.
    pub fn publish(&mut self, record: &[u8]) -> bool {
        if record.len() > MOST_RECORD_BYTES {
            return false;
        }
        let layout = self.map.layout();
        let end = self.head.wrapping_add(1 + record.len().div_ceil(WORD));
        layout.marks.begun.store(end, Relaxed);
        // Who sees a word of what follows sees in `begun`, too, that it may.
        fence(Release);
        layout.word(self.head).store(record.len(), Relaxed);
        for (n, piece) in record.chunks(WORD).enumerate() {
            let mut word = [0; WORD];
            word[..piece.len()].copy_from_slice(piece);
            let position = self.head.wrapping_add(1 + n);
            layout
                .word(position)
                .store(usize::from_ne_bytes(word), Relaxed);
        }
        self.head = end;
        layout.marks.head.store(end, Release);
        true
    }
}

impl std::fmt::Debug for Board {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Board").field(&self.descriptor()).finish()
    }
}

/// A board as another process reads it, from the moment on at which it was opened.
pub struct BoardReader {
    map: Map,
    /// Up to here it was read.
    at: AtomicUsize,
}

impl BoardReader {
    /// Opens the board of a process of this user by the number of its descriptor there.
    ///
    /// # Errors
    ///
    /// `InvalidData` where there is something else, or a board with another key; else what the operating system says.
    pub fn open(pid: u32, descriptor: u32, key: u64) -> io::Result<Self> {
        let path = format!("/proc/{pid}/fd/{descriptor}");
        // Whatever it is, it is not waited for.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        BoardReader::of(open(path, flags, Mode::empty())?.as_fd(), key)
    }

    fn of(fd: BorrowedFd<'_>, key: u64) -> io::Result<Self> {
        let seals = fcntl_get_seals(fd).map_err(|_| io::ErrorKind::InvalidData)?;
        let size = usize::try_from(fstat(fd)?.st_size).unwrap_or(0);
        if !seals.contains(SEALS) || size != size_of::<Layout>() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let map = Map::new(fd, ProtFlags::READ)?;
        if !map.layout().is_named(key) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let at = AtomicUsize::new(map.layout().marks.head.load(Relaxed));
        Ok(BoardReader { map, at })
    }

    /// Whether something was published since it was last read.
    #[inline]
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.map.layout().marks.head.load(Relaxed) != self.at.load(Relaxed)
    }

    /// What was published since it was last read, in its order; nothing of it where it is more than the board holds, or is being
    /// overwritten.
    pub fn take(&self) -> Records {
        let layout = self.map.layout();
        let head = layout.marks.head.load(Relaxed);
        fence(Ordering::Acquire);
        let at = self.at.swap(head, Relaxed);
        let words = head.wrapping_sub(at);
        if words > WORDS {
            return Records::default();
        }
        let mut bytes = Vec::with_capacity(words * WORD);
        for n in 0..words {
            let word = layout.word(at.wrapping_add(n)).load(Relaxed);
            bytes.extend_from_slice(&word.to_ne_bytes());
        }
        fence(Ordering::Acquire);
        let begun = layout.marks.begun.load(Relaxed);
        match begun.wrapping_sub(at) > WORDS {
            true => Records::default(),
            false => Records(bytes),
        }
    }
}

impl std::fmt::Debug for BoardReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BoardReader")
    }
}

/// Records as they were read.
#[derive(Debug, Default)]
pub struct Records(Vec<u8>);

impl Records {
    /// The records, up to the first that cannot be one.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut left = &self.0[..];
        std::iter::from_fn(move || {
            let (length, rest) = left.split_first_chunk()?;
            let length = usize::from_ne_bytes(*length);
            let record = rest.get(..length)?;
            left = rest.get(length.next_multiple_of(WORD)..)?;
            Some(record)
        })
    }
}

#[cfg(test)]
mod tests;
