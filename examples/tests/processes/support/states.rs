//! How many workers serve, looked at again and again while a test goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::http::{Address, Connection};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Looks at the monitor in a thread of its own.
pub(crate) struct ServingWatch {
    over: Arc<AtomicBool>,
    looks: Option<JoinHandle<Vec<u64>>>,
}

impl ServingWatch {
    pub(crate) fn of(monitor: Address) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let looks = thread::spawn(move || {
            let mut seen = Vec::new();
            while !ends.load(Ordering::Relaxed) {
                if let Ok(answer) = Connection::get(&monitor, "/status") {
                    seen.extend(answer.json()["serving"].as_u64());
                }
                thread::sleep(LOOK); // wait: the monitor can only be polled
            }
            seen
        });
        ServingWatch {
            over,
            looks: Some(looks),
        }
    }

    /// The fewest that were seen to serve.
    #[track_caller]
    pub(crate) fn fewest(mut self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        let looks = self
            .looks
            .take()
            .expect("it ends once")
            .join()
            .expect("the monitor answers with JSON");
        looks.into_iter().min().expect("the monitor was seen")
    }
}

impl Drop for ServingWatch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}
