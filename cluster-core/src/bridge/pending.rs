//! Questions that wait for their answer.
//!
//! At most [`BOUND`] wait at once; a further one is refused as overloaded, and never sent.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::id::ProcessId;
use crate::wire::message::{Format, Verdict};

/// Questions that may wait at once, in one process.
const BOUND: usize = 65_536;

/// How a question ended: a reply as it came, or why there is none.
pub(crate) enum Settled<'a> {
    Reply(Format, &'a [u8]),
    Refused(Verdict),
    /// The link over which the answer would come is gone.
    LinkLost,
}

type Waiter = Box<dyn FnOnce(Settled<'_>) + Send>;

/// The questions of one process.
#[derive(Default)]
pub(crate) struct Pending {
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, (ProcessId, Waiter)>>,
}

impl Pending {
    /// Files a question to a process; gives back its number, or nothing at the bound.
    pub(crate) fn file(&self, to: ProcessId, waiter: Waiter) -> Option<u64> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut waiting = self.waiting.lock();
        if waiting.len() >= BOUND {
            return None;
        }
        waiting.insert(number, (to, waiter));
        Some(number)
    }

    /// Ends a question by its answer. False when nobody waits for it: it came too late, twice, or from another than was asked.
    pub(crate) fn settle(&self, number: u64, from: ProcessId, outcome: Settled<'_>) -> bool {
        let waiter = {
            let mut waiting = self.waiting.lock();
            match waiting.entry(number) {
                std::collections::hash_map::Entry::Occupied(e) if e.get().0 == from => e.remove().1,
                _ => return false,
            }
        };
        waiter(outcome);
        true
    }

    /// Forgets a question that nobody waits for any more.
    pub(crate) fn forget(&self, number: u64) {
        self.waiting.lock().remove(&number);
    }

    /// Ends the questions to processes that are gone.
    pub(crate) fn fail(
        &self,
        gone: impl Fn(ProcessId) -> bool,
        outcome: impl Fn() -> Settled<'static>,
    ) {
        let failed: Vec<Waiter> = {
            let mut waiting = self.waiting.lock();
            let numbers: Vec<u64> = waiting
                .iter()
                .filter(|(_, (to, _))| gone(*to))
                .map(|(n, _)| *n)
                .collect();
            numbers
                .iter()
                .filter_map(|n| waiting.remove(n))
                .map(|(_, waiter)| waiter)
                .collect()
        };
        for waiter in failed {
            waiter(outcome());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn an_answer_counts_once_and_only_from_whom_was_asked() {
        let pending = Pending::default();
        let heard = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&heard);
        let waiter = Box::new(move |_: Settled<'_>| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let n = pending.file(ProcessId::Master, waiter).unwrap();
        let reply = || Settled::Reply(Format::Json, b"1");
        assert!(!pending.settle(n, ProcessId::CacheManager, reply()));
        assert!(pending.settle(n, ProcessId::Master, reply()));
        assert!(!pending.settle(n, ProcessId::Master, reply()));
        assert_eq!(heard.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn the_dead_fail_alone() {
        let pending = Pending::default();
        for to in [ProcessId::Master, ProcessId::CacheManager] {
            pending.file(to, Box::new(|_| {})).unwrap();
        }
        pending.fail(
            |p| p == ProcessId::Master,
            || Settled::Refused(Verdict::Dead),
        );
        let left: Vec<_> = pending.waiting.lock().values().map(|(to, _)| *to).collect();
        assert_eq!(left, [ProcessId::CacheManager]);
    }
}
