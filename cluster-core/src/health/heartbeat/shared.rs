//! The process's share of the memory that it has in common with others (PSS): looked at beside the event loop, as the kernel counts pages, and seldom.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::sys;

/// The share of time that looking may take: one part in so many.
const SHARE_OF_TIME: u32 = 4000;

/// What was last seen. The larger the process, the longer a look takes, and the more seldom it is taken.
#[derive(Debug, Default)]
pub(super) struct Shared(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    bytes: u64,
    /// When the next look is due; the first at once.
    next: Option<Instant>,
    /// One is being taken.
    looking: bool,
}

impl Seen {
    fn is_due(&self, now: Instant) -> bool {
        !self.looking && self.next.is_none_or(|next| now >= next)
    }

    fn saw(&mut self, bytes: u64, begun: Instant, took: Duration) {
        self.bytes = bytes;
        self.next = begun.checked_add(took.saturating_mul(SHARE_OF_TIME));
        self.looking = false;
    }
}

impl Shared {
    /// The bytes that were seen last, 0 before the first time; has a thread look again where that is due.
    pub(super) fn bytes(&self, now: Instant) -> u64 {
        let mut seen = self.0.lock();
        if seen.is_due(now) {
            let place = Arc::clone(&self.0);
            let look = move || {
                let bytes = sys::proportional_bytes().unwrap_or(0);
                place.lock().saw(bytes, now, now.elapsed());
            };
            let thread = std::thread::Builder::new().name("memory".to_owned());
            // Where no thread can be had, there are other worries.
            seen.looking = thread.spawn(look).is_ok();
        }
        seen.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dear_is_looked_at_seldom() {
        let begun = Instant::now();
        let at = |secs| begun + Duration::from_secs(secs);
        let mut seen = Seen::default();
        assert!(seen.is_due(begun));
        seen.looking = true;
        assert!(!seen.is_due(at(99)), "one look at a time");
        seen.saw(7, begun, Duration::from_millis(5));
        assert_eq!((seen.is_due(at(19)), seen.is_due(at(20))), (false, true));
    }

    #[test]
    fn a_look_is_taken_in_time() {
        let shared = Shared::default();
        let begun = Instant::now();
        while shared.bytes(Instant::now()) == 0 {
            assert!(begun.elapsed() < Duration::from_secs(60));
            std::thread::yield_now();
        }
    }
}
