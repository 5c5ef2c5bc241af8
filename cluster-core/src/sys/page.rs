//! The shared page: how many connections each acceptor of the cluster holds, for all of them to see.
//!
//! A memfd made by the master and inherited by every worker. Each acceptor thread owns one slot, on a cache line of its
//! own, and is the only writer of it; the others read it to learn whether they hold more than their share. Nothing
//! that stands in the page is trusted: a wrong figure makes an acceptor hesitate for a moment and does nothing else.

#![allow(unsafe_code)]

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create},
    mm::{MapFlags, ProtFlags, mmap, munmap},
};

/// The most slots a page can have: the most acceptor threads one cluster can run.
pub const MAX_SLOTS: usize = 4096;

/// The name and the layout version of the page, at its very start.
const MAGIC: [u32; 2] = [0x636c_7573, 0x7061_6701];

/// A slot counts only while it holds exactly this.
const JOINED: u32 = 0x4a4f_494e;

/// No believable acceptor holds more connections than this (the kernel's own limit on open files).
const MOST_CONNECTIONS: u32 = 1 << 20;

/// The first line of the page.
#[repr(C, align(64))]
struct Header {
    magic: [AtomicU32; 2],
    slots: AtomicU32,
    /// One more than the highest slot ever joined: how far a reader has to look.
    high_water: AtomicU32,
}

/// One acceptor's line.
#[repr(C, align(64))]
struct Line {
    joined: AtomicU32,
    live: AtomicU32,
}

/// The mapping of a page into this process; unmapped with its last user.
struct Map {
    start: NonNull<Header>,
    slots: usize,
}

// SAFETY: the mapping is plain shared memory, valid until drop, and is touched through atomics alone.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    fn new(fd: BorrowedFd<'_>, slots: usize) -> io::Result<Self> {
        // SAFETY: a new mapping at an address the kernel chooses; the file is sealed against shrinking before any
        // page is mapped, so that no access can run past its end.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                size_of_page(slots),
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                fd,
                0,
            )?
        };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Map { start, slots })
    }

    fn header(&self) -> &Header {
        // SAFETY: the mapping is page-aligned, longer than a header, lives as long as self; all fields are atomics.
        unsafe { self.start.as_ref() }
    }

    fn lines(&self) -> &[Line] {
        // SAFETY: `slots` lines follow the header within the mapping, aligned as it is; all fields are atomics.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(1).cast::<Line>(), self.slots) }
    }

    /// The lines that may be in use.
    fn used(&self) -> &[Line] {
        let lines = self.lines();
        let reach = self.header().high_water.load(Relaxed) as usize;
        &lines[..reach.min(lines.len())]
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped, and nothing borrows from it any more. It cannot fail for such a range.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), size_of_page(self.slots)) };
    }
}

fn size_of_page(slots: usize) -> usize {
    size_of::<Header>() + slots * size_of::<Line>()
}

/// The shared page of a cluster.
pub struct Page {
    fd: OwnedFd,
    map: Arc<Map>,
}

impl Page {
    /// Makes a new page with room for `slots` acceptors (1 to [`MAX_SLOTS`]).
    ///
    /// # Errors
    ///
    /// `InvalidInput` where `slots` is out of range; else what the operating system says.
    pub fn create(slots: usize) -> io::Result<Self> {
        if !(1..=MAX_SLOTS).contains(&slots) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let fd = memfd_create(
            "cluster-page",
            MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
        )?;
        ftruncate(&fd, size_of_page(slots) as u64)?;
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        let map = Map::new(fd.as_fd(), slots)?;
        let header = map.header();
        header.slots.store(slots as u32, Relaxed);
        for (place, word) in header.magic.iter().zip(MAGIC) {
            place.store(word, Relaxed);
        }
        Ok(Page {
            fd,
            map: Arc::new(map),
        })
    }

    /// Takes up a page that another process of the cluster made.
    ///
    /// # Errors
    ///
    /// `InvalidData` where the descriptor is no page: not a sealed memfd, of the wrong size, or without the mark at its
    /// start; else what the operating system says.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let seals = fcntl_get_seals(&fd).map_err(|_| io::ErrorKind::InvalidData)?;
        if !seals.contains(SealFlags::SHRINK | SealFlags::GROW) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let size = usize::try_from(fstat(&fd)?.st_size).unwrap_or(0);
        let slots = size.saturating_sub(size_of::<Header>()) / size_of::<Line>();
        if !(1..=MAX_SLOTS).contains(&slots) || size != size_of_page(slots) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let map = Map::new(fd.as_fd(), slots)?;
        let header = map.header();
        let marked = header
            .magic
            .iter()
            .zip(MAGIC)
            .all(|(place, word)| place.load(Relaxed) == word);
        if !marked || header.slots.load(Relaxed) as usize != slots {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Page {
            fd,
            map: Arc::new(map),
        })
    }

    /// The descriptor to hand to another process.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// How many slots there are.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.map.slots
    }

    /// The slot with this number, counted from 0; `None` past the last.
    #[must_use]
    pub fn slot(&self, number: usize) -> Option<Slot> {
        (number < self.map.slots).then(|| Slot {
            map: Arc::clone(&self.map),
            number,
        })
    }

    /// Wipes the slot of an acceptor that died without leaving. A number past the last slot is ignored.
    pub fn clear(&self, number: usize) {
        if let Some(slot) = self.slot(number) {
            slot.leave();
            slot.set_live(0);
        }
    }

    /// The connections of all who have joined, for the status.
    #[must_use]
    pub fn live(&self) -> u64 {
        self.map.tally().0
    }
}

impl Map {
    /// The connections of all who have joined, and how many have.
    fn tally(&self) -> (u64, u64) {
        self.used()
            .iter()
            .filter(|line| line.joined.load(Relaxed) == JOINED)
            .fold((0, 0), |(sum, joined), line| {
                let live = line.live.load(Relaxed).min(MOST_CONNECTIONS);
                (sum + u64::from(live), joined + 1)
            })
    }
}

/// One acceptor's place in the page. Cheap to clone; only its owner writes to it, and the master after its death.
#[derive(Clone)]
pub struct Slot {
    map: Arc<Map>,
    number: usize,
}

impl Slot {
    fn line(&self) -> &Line {
        &self.map.lines()[self.number]
    }

    /// The number of the slot in its page.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// From now on this acceptor is one of those who share the connections.
    pub fn join(&self) {
        self.map
            .header()
            .high_water
            .fetch_max(self.number as u32 + 1, Relaxed);
        self.line().joined.store(JOINED, Relaxed);
    }

    /// This acceptor accepts no more: the others share without it.
    pub fn leave(&self) {
        self.line().joined.store(0, Relaxed);
    }

    /// Tells the others how many connections this acceptor holds. A plain store of the owner's own count, so that a
    /// figure spoilt by anyone else heals with the next connection.
    pub fn set_live(&self, live: u32) {
        self.line().live.store(live, Relaxed);
    }

    /// How many connections this slot says it holds.
    #[must_use]
    pub fn live(&self) -> u32 {
        self.line().live.load(Relaxed)
    }

    /// Whether this acceptor holds more than the mean of all plus one, and should let another go first.
    #[must_use]
    pub fn above_mean(&self) -> bool {
        let (sum, joined) = self.map.tally();
        is_above_mean(self.live(), sum, joined)
    }
}

/// More than one above the mean; never so for who is alone.
fn is_above_mean(mine: u32, sum: u64, joined: u64) -> bool {
    joined > 1 && u64::from(mine.min(MOST_CONNECTIONS)) * joined > sum + joined
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write as _};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn who_is_above_the_mean_waits_until_the_others_caught_up() {
        let page = Page::create(4).unwrap();
        let [one, two] = [0, 3].map(|n| page.slot(n).unwrap());
        one.join();
        two.join();
        one.set_live(1);
        assert!(!one.above_mean(), "one more than the mean is still fair");
        one.set_live(3);
        assert!(one.above_mean());
        assert!(!two.above_mean());
        two.set_live(2);
        assert!(!one.above_mean());
        assert_eq!(page.live(), 5);
    }

    #[test]
    fn the_dead_and_the_departed_do_not_count() {
        let page = Page::create(2).unwrap();
        let [one, two] = [0, 1].map(|n| page.slot(n).unwrap());
        one.join();
        one.set_live(50);
        two.join();
        assert!(one.above_mean());
        two.leave();
        assert!(!one.above_mean(), "alone, all is mine");
        two.join();
        page.clear(1);
        assert!(!one.above_mean());
        assert_eq!(page.live(), 50);
    }

    #[test]
    fn another_process_sees_the_same_page() {
        let page = Page::create(8).unwrap();
        let other = Page::from_fd(page.fd().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!(other.slots(), 8);
        let slot = other.slot(7).unwrap();
        slot.join();
        slot.set_live(9);
        assert_eq!(page.live(), 9);
        assert!(page.slot(8).is_none());
    }

    #[test]
    fn what_is_no_page_is_refused() {
        let refused = |fd: OwnedFd| Page::from_fd(fd).err().map(|error| error.kind());
        let file = tempfile::tempfile().unwrap();
        assert_eq!(refused(file.into()), Some(io::ErrorKind::InvalidData));

        let unsealed = memfd_create("x", MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&unsealed, size_of_page(4) as u64).unwrap();
        assert_eq!(refused(unsealed), Some(io::ErrorKind::InvalidData));

        for (size, content) in [(size_of_page(4), [7u8; 16]), (100, [0; 16])] {
            let fd = memfd_create("x", MemfdFlags::ALLOW_SEALING).unwrap();
            ftruncate(&fd, size as u64).unwrap();
            let mut file = File::from(fd);
            file.write_all(&content).unwrap();
            fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW).unwrap();
            assert_eq!(refused(file.into()), Some(io::ErrorKind::InvalidData));
        }
        assert!(Page::create(0).is_err());
        assert!(Page::create(MAX_SLOTS + 1).is_err());
    }

    #[test]
    fn garbage_in_the_page_harms_nobody() {
        let page = Page::create(3).unwrap();
        page.map.header().high_water.store(u32::MAX, Relaxed);
        for line in page.map.lines() {
            line.joined.store(JOINED, Relaxed);
            line.live.store(u32::MAX, Relaxed);
        }
        assert!(!page.slot(0).unwrap().above_mean());
        assert_eq!(page.live(), 3 * u64::from(MOST_CONNECTIONS));
    }

    proptest! {
        /// Whoever accepts only while not above the mean ends within two of everybody else.
        #[test]
        fn sharing_is_even(acceptors in 1usize..40, order in prop::collection::vec(any::<prop::sample::Index>(), 1..400)) {
            let page = Page::create(acceptors).unwrap();
            let slots: Vec<_> = (0..acceptors).map(|n| page.slot(n).unwrap()).collect();
            slots.iter().for_each(Slot::join);
            let mut queued = 4 * acceptors as u32;
            for index in order {
                let slot = index.get(&slots);
                if queued > 0 && !slot.above_mean() {
                    slot.set_live(slot.live() + 1);
                    queued -= 1;
                }
            }
            let mean = page.live() as f64 / acceptors as f64;
            for slot in &slots {
                prop_assert!(f64::from(slot.live()) <= mean + 2.0);
            }
            // Somebody may always accept: the queue can never be left waiting by everyone.
            prop_assert!(slots.iter().any(|slot| !slot.above_mean()));
        }
    }
}
