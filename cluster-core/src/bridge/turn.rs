//! Turns: how much of one peer a service hears before the other links of its thread have theirs.
//!
//! Messages that come together are heard together, which is cheapest. While another peer asks one thing at a time, and so waits for
//! each answer, turns are short: it waits for little of what others ask meanwhile, however much that is.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// What is heard of one peer in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Frames at most.
    pub(super) frames: usize,
    /// Bytes at most, and as many as one read brings.
    pub(super) bytes: usize,
    /// Answers wait for others and set out together: to wake who gets them may take longer than all else in a turn.
    pub(super) corks: bool,
}

impl Turn {
    /// Takes a frame of so many bytes from what is left of the turn; false, and nothing taken, where it is over.
    pub(super) fn spend(&mut self, bytes: usize) -> bool {
        if self.frames == 0 || self.bytes == 0 {
            return false;
        }
        self.frames -= 1;
        self.bytes = self.bytes.saturating_sub(bytes);
        true
    }
}

/// A turn that nobody waits for the end of.
const LONG: Turn = Turn {
    frames: 64,
    bytes: usize::MAX,
    corks: false,
};
/// A turn while somebody waits: a few microseconds of work.
const SHORT: Turn = Turn {
    frames: 4,
    bytes: 16 * 1024,
    corks: true,
};
/// So long after a peer has asked one thing it is likely to ask the next.
const RECENT: Duration = Duration::from_millis(1);
/// What is asked by itself is no longer than this.
const LITTLE: usize = 4096;
/// So often in a row a peer asks by itself that asks one thing at a time; what is left of many things is often one.
const IN_A_ROW: u32 = 4;
/// No time at all.
const NEVER: u64 = u64::MAX;

/// The turns of all links of a service.
#[derive(Debug)]
pub(crate) struct Turns {
    begun: Instant,
    /// When a peer last asked that asks one thing at a time, in µs since then.
    single_us: AtomicU64,
}

impl Default for Turns {
    fn default() -> Self {
        Turns {
            begun: Instant::now(),
            single_us: AtomicU64::new(NEVER),
        }
    }
}

impl Turns {
    fn now_us(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(NEVER)
    }

    /// A peer has been read: so many bytes, in which so many frames were.
    pub(super) fn heard(&self, singles: &mut Singles, bytes: usize, frames: usize) {
        if frames != 1 || bytes > LITTLE {
            singles.0 = 0;
            return;
        }
        singles.0 = singles.0.saturating_add(1);
        if singles.0 >= IN_A_ROW {
            self.single_us.store(self.now_us(), Ordering::Relaxed);
        }
    }

    /// What is heard of one peer in a turn now. The clock is looked at only where somebody has lately asked one thing at a time.
    pub(super) fn now(&self) -> Turn {
        let single_us = self.single_us.load(Ordering::Relaxed);
        if single_us == NEVER {
            return LONG;
        }
        let since = self.now_us().saturating_sub(single_us);
        if Duration::from_micros(since) < RECENT {
            return SHORT;
        }
        self.single_us.store(NEVER, Ordering::Relaxed);
        LONG
    }
}

/// How often in a row a peer has asked one thing by itself.
#[derive(Debug, Default)]
pub(super) struct Singles(u32);

/// Lets all others have their turn: resolves once the thread has looked at its sockets. That the task is woken for another reason
/// before, as when an answer is to be written, does not shorten it.
///
/// # Cancel safety
///
/// It only waits: dropping it changes nothing.
pub(super) async fn others() {
    struct Looked {
        done: AtomicBool,
        task: Waker,
    }
    impl Wake for Looked {
        fn wake(self: Arc<Self>) {
            self.done.store(true, Ordering::Relaxed);
            self.task.wake_by_ref();
        }
    }
    let mut waits: Option<Arc<Looked>> = None;
    poll_fn(|cx| match &waits {
        Some(looked) if looked.done.load(Ordering::Relaxed) => Poll::Ready(()),
        Some(_) => Poll::Pending,
        None => {
            let looked = Arc::new(Looked {
                done: AtomicBool::new(false),
                task: cx.waker().clone(),
            });
            let waker = Waker::from(Arc::clone(&looked));
            waits = Some(looked);
            // Pending at first; its waker is woken after the thread has looked.
            pin!(tokio::task::yield_now()).poll(&mut Context::from_waker(&waker))
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use tokio::io::AsyncReadExt;
    use tokio::net::UnixStream;
    use tokio::sync::Notify;

    use super::*;

    #[test]
    fn turns_are_short_while_somebody_asks_one_thing_at_a_time() {
        let turns = Turns::default();
        let mut singles = Singles::default();
        assert_eq!(turns.now(), LONG);
        for (bytes, frames) in [(100, 2), (LITTLE + 1, 1), (100, 0)] {
            (1..IN_A_ROW).for_each(|_| turns.heard(&mut singles, 100, 1));
            turns.heard(&mut singles, bytes, frames);
        }
        assert_eq!(turns.now(), LONG);
        (0..IN_A_ROW).for_each(|_| turns.heard(&mut singles, 100, 1));
        assert_eq!(turns.now(), SHORT);
    }

    /// A task that something else wakes again and again, as answers do that are to be written.
    #[actix_rt::test]
    async fn a_socket_is_looked_at_in_every_turn() {
        let (mut here, there) = UnixStream::pair().unwrap();
        let turns = Rc::new(Cell::new(0));
        let wakes = Rc::new(Notify::new());
        let hears = actix_rt::spawn({
            let (turns, wakes) = (Rc::clone(&turns), Rc::clone(&wakes));
            async move {
                let takes_turns = async {
                    loop {
                        wakes.notify_one();
                        others().await;
                        turns.set(turns.get() + 1);
                    }
                };
                let is_woken = async {
                    loop {
                        wakes.notified().await;
                        // Its own wake-up again, in the same turn.
                        let again = Rc::clone(&wakes);
                        actix_rt::spawn(async move { again.notify_one() });
                    }
                };
                tokio::join!(takes_turns, is_woken)
            }
        });
        let reads = actix_rt::spawn({
            let turns = Rc::clone(&turns);
            async move {
                here.read_u8().await.unwrap();
                turns.get()
            }
        });
        // Both are waiting by then.
        while turns.get() < 3 {
            tokio::task::yield_now().await;
        }
        let before = turns.get();
        assert_eq!(there.try_write(&[1]).unwrap(), 1);
        let at = reads.await.unwrap();
        assert!(at <= before + 4, "{at} turns, {before} before");
        hears.abort();
    }
}
