//! Users: some keep their connection, some take a fresh one each time. Every request that fails is remembered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::http::{Address, Answer, Connection, Failure};
use super::processes::{is_running, signal};
use super::waiting::soon;
use rustix::process::Signal;

/// A user's pause between two requests: the machine is shared with other tests.
const PAUSE: Duration = Duration::from_millis(2);
/// No load goes on for longer, whatever becomes of the test.
const LONGEST: Duration = Duration::from_secs(300);
/// Failures that one user remembers.
const REMEMBERED: usize = 1000;

/// A request that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    /// Which process had the connection, where it had said so before.
    accepted_by: Option<u32>,
    began: Instant,
    ended: Instant,
    failure: Failure,
}

/// A process that was killed, between these two moments.
#[derive(Debug)]
pub(crate) struct Kill {
    pid: u32,
    before: Instant,
    gone: Instant,
}

impl Kill {
    /// Kills a process, and waits until it is gone.
    #[track_caller]
    pub(crate) fn of(pid: u32) -> Self {
        let before = Instant::now();
        assert!(signal(pid, Signal::KILL), "process {pid} is there");
        soon("the end of a killed process", || {
            (!is_running(pid)).then_some(())
        });
        Kill {
            pid,
            before,
            gone: Instant::now(),
        }
    }

    /// Whether the failure is that of a connection which the killed process had accepted.
    fn explains(&self, failed: &Failed) -> bool {
        let died_in_it = failed.began <= self.gone && failed.ended >= self.before;
        let cut = matches!(failed.failure, Failure::Unanswered | Failure::Broken);
        match failed.accepted_by {
            Some(pid) => cut && pid == self.pid && failed.ended >= self.before,
            // Who had accepted a fresh connection is not known: its request was under way while the process died.
            None => cut && died_in_it,
        }
    }
}

/// What the users saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Requests answered as they should be, by users who keep their connection.
    pub(crate) kept: u64,
    /// The same by users of fresh connections.
    pub(crate) fresh: u64,
    /// Requests that failed.
    pub(crate) failed: Vec<Failed>,
}

impl Seen {
    /// No request failed but on connections that these processes had accepted.
    #[track_caller]
    pub(crate) fn assert_lost_only_to(&self, kills: &[Kill]) {
        let unexplained = self
            .failed
            .iter()
            .filter(|failed| !kills.iter().any(|kill| kill.explains(failed)));
        let unexplained: Vec<&Failed> = unexplained.collect();
        assert!(
            unexplained.is_empty(),
            "{} requests failed: {unexplained:#?}\nkilled: {kills:#?}",
            unexplained.len()
        );
        assert!(
            self.kept > 0 && self.fresh > 0,
            "there was load of both kinds: {self:?}"
        );
    }
}

/// Users at work.
pub(crate) struct Load {
    over: Arc<AtomicBool>,
    users: Vec<JoinHandle<Seen>>,
}

impl Load {
    /// So many users who keep their connections, and so many who do not.
    pub(crate) fn on(address: &Address, kept: usize, fresh: usize) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let users = (0..kept + fresh).map(|n| {
            let (over, address) = (Arc::clone(&over), address.clone());
            thread::spawn(move || {
                let mut user = User {
                    address,
                    seen: Seen::default(),
                };
                let until = Instant::now() + LONGEST;
                while !over.load(Ordering::Relaxed) && Instant::now() < until {
                    if n < kept {
                        user.keep_one(&over);
                    } else {
                        user.take_one();
                    }
                }
                user.seen
            })
        });
        Load {
            users: users.collect(),
            over,
        }
    }

    /// Ends it.
    #[track_caller]
    pub(crate) fn end(mut self) -> Seen {
        self.over.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for user in self.users.drain(..) {
            let seen = user.join().expect("a user does not panic");
            all.kept += seen.kept;
            all.fresh += seen.fresh;
            all.failed.extend(seen.failed);
        }
        all
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

struct User {
    address: Address,
    seen: Seen,
}

impl User {
    /// Asks on one connection until it ends.
    fn keep_one(&mut self, over: &AtomicBool) {
        let began = Instant::now();
        let mut connection = match Connection::open(&self.address) {
            Ok(connection) => connection,
            Err(failure) => return self.failed(None, began, failure),
        };
        let mut accepted_by = None;
        while !over.load(Ordering::Relaxed) {
            let began = Instant::now();
            match connection.ask("/pid").and_then(expect_200) {
                Ok(answer) => {
                    self.seen.kept += 1;
                    accepted_by = Some(answer.pid());
                    if answer.closes() {
                        return;
                    }
                }
                Err(failure) => return self.failed(accepted_by, began, failure),
            }
            thread::sleep(PAUSE); // wait: a user's pause between two requests
        }
    }

    /// Asks once, on a fresh connection.
    fn take_one(&mut self) {
        let began = Instant::now();
        match Connection::get(&self.address, "/").and_then(expect_200) {
            Ok(_) => self.seen.fresh += 1,
            Err(failure) => self.failed(None, began, failure),
        }
        thread::sleep(PAUSE); // wait: a user's pause between two requests
    }

    fn failed(&mut self, accepted_by: Option<u32>, began: Instant, failure: Failure) {
        if self.seen.failed.len() < REMEMBERED {
            self.seen.failed.push(Failed {
                accepted_by,
                began,
                ended: Instant::now(),
                failure,
            });
        }
        thread::sleep(PAUSE); // wait: a user's pause between two requests
    }
}

fn expect_200(answer: Answer) -> Result<Answer, Failure> {
    match answer.status {
        200 => Ok(answer),
        _ => Err(Failure::Other(std::io::Error::other(format!("{answer:?}")))),
    }
}
