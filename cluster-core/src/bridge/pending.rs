//! Questions that wait for their answer.
//!
//! At most [`BOUND`] wait at once; a further one is refused as overloaded, and never sent. One task ends those whose time is over: a timer
//! for each would cost more than all the rest of a question.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use slab::Slab;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::durations;
use crate::id::ProcessId;
use crate::wire::message::{Format, Verdict};

/// Questions that may wait at once, in one process.
const BOUND: u64 = 65_536;

/// Whether the question of this number is one that is timed.
pub(crate) fn is_timed(number: u64) -> bool {
    durations::is_timed(number / BOUND - 1)
}

/// How a question ended: a reply as it came, or why there is none.
pub(crate) enum Settled<'a> {
    Reply(Format, &'a [u8]),
    Refused(Verdict),
    /// The link over which the answer would come is gone.
    LinkLost,
    /// Its time is over.
    TooLate,
}

type Waiter = Box<dyn FnOnce(Settled<'_>) + Send>;

struct Question {
    number: u64,
    to: ProcessId,
    deadline: Instant,
    waiter: Waiter,
}

#[derive(Default)]
struct Waiting {
    asked: u64,
    /// When the sweeper looks next: no later than the first deadline.
    look: Option<Instant>,
    /// Whether there is a sweeper yet.
    swept: bool,
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

/// Ends the questions whose time is over, for as long as there is anybody to file them.
async fn sweep(waiting: Weak<Mutex<Waiting>>, earlier: Arc<Notify>) {
    while let Some(questions) = waiting.upgrade() {
        let next = expire(&questions, Instant::now());
        drop(questions);
        tokio::select! {
            () = earlier.notified() => {}
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
        }
    }
}

/// Ends the questions whose deadline has come; gives back the next one.
fn expire(waiting: &Mutex<Waiting>, now: Instant) -> Option<Instant> {
    let (expired, next) = {
        let mut waiting = waiting.lock();
        let over =
            |(_, question): (_, &Question)| (question.deadline <= now).then_some(question.number);
        let numbers: Vec<u64> = waiting.questions.iter().filter_map(over).collect();
        let expired: Vec<_> = numbers
            .iter()
            .filter_map(|n| waiting.take(*n, None))
            .collect();
        waiting.look = waiting
            .questions
            .iter()
            .map(|(_, question)| question.deadline)
            .min();
        (expired, waiting.look)
    };
    for waiter in expired {
        waiter(Settled::TooLate);
    }
    next
}

/// The questions of one process.
pub(crate) struct Pending {
    waiting: Arc<Mutex<Waiting>>,
    /// A deadline has come to stand before all others.
    earlier: Arc<Notify>,
    /// Where the sweeper runs: the runtime that the process began with, which outlives those of its threads.
    home: Option<Handle>,
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.earlier.notify_one();
    }
}

impl Pending {
    /// To be made in the runtime that lives the longest.
    pub(crate) fn new() -> Self {
        Pending {
            waiting: Arc::default(),
            earlier: Arc::default(),
            home: Handle::try_current().ok(),
        }
    }

    /// Files a question to a process; gives back its number, or nothing at the bound. No number is given twice.
    ///
    /// # Panics
    ///
    /// Outside of any runtime, where it was made outside of one too.
    pub(crate) fn file(&self, to: ProcessId, deadline: Instant, waiter: Waiter) -> Option<u64> {
        let mut waiting = self.waiting.lock();
        let place = waiting.questions.vacant_key() as u64;
        if place >= BOUND {
            return None;
        }
        waiting.asked += 1;
        let number = waiting.asked * BOUND + place;
        waiting.questions.insert(Question {
            number,
            to,
            deadline,
            waiter,
        });
        let first = !std::mem::replace(&mut waiting.swept, true);
        let earlier = waiting.look.is_none_or(|look| deadline < look);
        if earlier {
            waiting.look = Some(deadline);
        }
        drop(waiting);
        if first {
            let sweeper = sweep(Arc::downgrade(&self.waiting), Arc::clone(&self.earlier));
            self.home
                .clone()
                .unwrap_or_else(Handle::current)
                .spawn(sweeper);
        } else if earlier {
            self.earlier.notify_one();
        }
        Some(number)
    }

    /// Ends a question by its answer. False when nobody waits for it: it came too late, twice, or from another than was asked.
    pub(crate) fn settle(&self, number: u64, from: ProcessId, outcome: Settled<'_>) -> bool {
        let waiter = self.waiting.lock().take(number, Some(from));
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
        let forgotten = self.waiting.lock().take(number, None);
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
            let mut waiting = self.waiting.lock();
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
    use std::time::Duration;
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn an_answer_counts_once_and_only_from_whom_was_asked() {
        let pending = Pending::new();
        let (heard, mut hears) = mpsc::unbounded_channel();
        let waiter = Box::new(move |_: Settled<'_>| heard.send(()).unwrap());
        let n = pending
            .file(ProcessId::Master, Instant::now() + LONG, waiter)
            .unwrap();
        let reply = || Settled::Reply(Format::Json, b"1");
        assert!(!pending.settle(n, ProcessId::CacheManager, reply()));
        assert!(pending.settle(n, ProcessId::Master, reply()));
        assert!(!pending.settle(n, ProcessId::Master, reply()));
        assert!(hears.try_recv().is_ok());
        assert!(hears.try_recv().is_err());
        let next = pending.file(ProcessId::Master, Instant::now() + LONG, Box::new(|_| {}));
        assert_ne!(next, Some(n), "no number is given twice");
    }

    #[tokio::test]
    async fn the_dead_fail_alone() {
        let pending = Pending::new();
        for to in [ProcessId::Master, ProcessId::CacheManager] {
            pending
                .file(to, Instant::now() + LONG, Box::new(|_| {}))
                .unwrap();
        }
        pending.fail(
            |p| p == ProcessId::Master,
            || Settled::Refused(Verdict::Dead),
        );
        let waiting = pending.waiting.lock();
        let left: Vec<_> = waiting
            .questions
            .iter()
            .map(|(_, question)| question.to)
            .collect();
        assert_eq!(left, [ProcessId::CacheManager]);
    }

    #[tokio::test]
    async fn each_ends_at_its_own_deadline_in_whatever_order_they_were_filed() {
        let pending = Pending::new();
        let (ended, mut ends) = mpsc::unbounded_channel();
        let begun = Instant::now();
        let waits = [600_000, 80, 20, 140, 20, 60_000].map(Duration::from_millis);
        for wait in waits {
            let ended = ended.clone();
            let waiter = Box::new(move |settled: Settled<'_>| {
                assert!(matches!(settled, Settled::TooLate));
                ended.send((wait, begun.elapsed())).unwrap();
            });
            pending
                .file(ProcessId::Master, begun + wait, waiter)
                .unwrap();
        }
        for expected in [20, 20, 80, 140].map(Duration::from_millis) {
            let (wait, took) = timeout(LONG, ends.recv()).await.unwrap().unwrap();
            assert_eq!(wait, expected);
            assert!(took >= wait, "{took:?}");
        }
        assert_eq!(pending.waiting.lock().questions.len(), 2);
        // One that comes later than all the others were filed, and before their deadlines.
        let waiter = Box::new(move |_: Settled<'_>| ended.send((LONG, LONG)).unwrap());
        let soon = Instant::now() + Duration::from_millis(5);
        pending.file(ProcessId::Master, soon, waiter).unwrap();
        assert!(timeout(Duration::from_secs(20), ends.recv()).await.is_ok());
    }

    #[test]
    fn the_bound_is_kept() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let _entered = runtime.enter();
        let pending = Pending::new();
        let deadline = Instant::now() + LONG;
        let file = || pending.file(ProcessId::Master, deadline, Box::new(|_| {}));
        let numbers: Vec<u64> = (0..BOUND).map(|_| file().unwrap()).collect();
        assert_eq!(file(), None);
        pending.forget(numbers[7]);
        let again = file().unwrap();
        assert!(!numbers.contains(&again));
        pending.forget(numbers[7]);
        assert_eq!(file(), None, "a number of the past frees no place");
    }
}
