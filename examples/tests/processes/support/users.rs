//! Users of an application at a bounded pace.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::http::{Address, Connection};

/// Users who come at a steady pace, each on a connection of their own.
pub(crate) struct Users {
    over: Arc<AtomicBool>,
    served: Arc<AtomicU64>,
    users: Option<JoinHandle<()>>,
}

impl Users {
    /// Has one come each `pace`, who asks for the path of that number.
    pub(crate) fn on(
        app: &Address,
        pace: Duration,
        path: impl Fn(u32) -> String + Send + 'static,
    ) -> Self {
        let app = app.clone();
        let (over, served) = (
            Arc::new(AtomicBool::new(false)),
            Arc::<AtomicU64>::default(),
        );
        let (ended, count) = (Arc::clone(&over), Arc::clone(&served));
        let users = thread::spawn(move || {
            let begun = Instant::now();
            for n in 0_u32.. {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let answer = Connection::get(&app, &path(n));
                assert_eq!(answer.unwrap().status, 200);
                count.fetch_add(1, Ordering::Relaxed);
                thread::sleep((pace * n).saturating_sub(begun.elapsed())); // wait: until the next user comes
            }
        });
        Users {
            over,
            served,
            users: Some(users),
        }
    }

    /// Ends them; gives back how many were served.
    pub(crate) fn end(mut self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        if let Some(users) = self.users.take() {
            users.join().expect("all were served");
        }
        self.served.load(Ordering::Relaxed)
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}
