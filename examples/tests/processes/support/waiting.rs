//! Waiting for what must come to be, and never longer than is said.

use std::time::{Duration, Instant};

/// Between two looks at what only looking tells.
const LOOK: Duration = Duration::from_millis(10);

/// The longest that anything may take where time is not what is tested: a busy machine with one core is slow.
const LONG: Duration = Duration::from_secs(60);

/// Looks until there is something, and fails the test after `limit`.
#[track_caller]
pub(crate) fn within<T>(limit: Duration, what: &str, look: impl FnMut() -> Option<T>) -> T {
    within_or(limit, || what.to_owned(), look)
}

/// The same, where what is missing is known only then.
#[track_caller]
pub(crate) fn within_or<T>(
    limit: Duration,
    what: impl Fn() -> String,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            begun.elapsed() < limit,
            "not within {} ms: {}",
            limit.as_millis(),
            what()
        );
        std::thread::sleep(LOOK); // wait: other processes' states can only be polled
    }
}

/// The same, where it does not matter how long it takes.
#[track_caller]
pub(crate) fn soon<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(LONG, what, look)
}
