//! Questions that wait for their answer.
//!
//! At most [`BOUND`] wait at once; a further one is refused as overloaded, and never sent.

use parking_lot::Mutex;
use slab::Slab;

use crate::id::ProcessId;
use crate::wire::message::{Format, Verdict};

/// Questions that may wait at once, in one process.
const BOUND: u64 = 65_536;

/// How a question ended: a reply as it came, or why there is none.
pub(crate) enum Settled<'a> {
    Reply(Format, &'a [u8]),
    Refused(Verdict),
    /// The link over which the answer would come is gone.
    LinkLost,
}

type Waiter = Box<dyn FnOnce(Settled<'_>) + Send>;

struct Question {
    number: u64,
    to: ProcessId,
    waiter: Waiter,
}

#[derive(Default)]
struct Waiting {
    asked: u64,
    questions: Slab<Question>,
}

impl Waiting {
    fn take(&mut self, number: u64, from: Option<ProcessId>) -> Option<Waiter> {
        let place = (number % BOUND) as usize;
        let question = self.questions.get(place)?;
        if question.number != number || from.is_some_and(|from| from != question.to) {
            return None;
        }
        Some(self.questions.remove(place).waiter)
    }
}

/// The questions of one process.
#[derive(Default)]
pub(crate) struct Pending(Mutex<Waiting>);

impl Pending {
    /// Files a question to a process; gives back its number, or nothing at the bound. No number is given twice.
    pub(crate) fn file(&self, to: ProcessId, waiter: Waiter) -> Option<u64> {
        let mut waiting = self.0.lock();
        let place = waiting.questions.vacant_key() as u64;
        if place >= BOUND {
            return None;
        }
        waiting.asked += 1;
        let number = waiting.asked * BOUND + place;
        waiting.questions.insert(Question { number, to, waiter });
        Some(number)
    }

    /// Ends a question by its answer. False when nobody waits for it: it came too late, twice, or from another than was asked.
    pub(crate) fn settle(&self, number: u64, from: ProcessId, outcome: Settled<'_>) -> bool {
        let waiter = self.0.lock().take(number, Some(from));
        match waiter {
            Some(waiter) => {
                waiter(outcome);
                true
            }
            None => false,
        }
    }

    /// Forgets a question that nobody waits for any more.
    pub(crate) fn forget(&self, number: u64) {
        let forgotten = self.0.lock().take(number, None);
        // What the waiter owns is none of the lock's business.
        drop(forgotten);
    }

    /// Ends the questions to processes that are gone.
    pub(crate) fn fail(
        &self,
        gone: impl Fn(ProcessId) -> bool,
        outcome: impl Fn() -> Settled<'static>,
    ) {
        let failed: Vec<Waiter> = {
            let mut waiting = self.0.lock();
            let numbers: Vec<u64> = waiting
                .questions
                .iter()
                .filter(|(_, question)| gone(question.to))
                .map(|(_, question)| question.number)
                .collect();
            numbers
                .iter()
                .filter_map(|number| waiting.take(*number, None))
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
    use std::sync::atomic::{AtomicU32, Ordering};

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
        let left: Vec<_> = pending
            .0
            .lock()
            .questions
            .iter()
            .map(|(_, question)| question.to)
            .collect();
        assert_eq!(left, [ProcessId::CacheManager]);
    }
}
