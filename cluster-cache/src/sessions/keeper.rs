//! A real store, the thread that it is run on, and the queue before it.
//!
//! The queue's bound: so many questions, and so many bytes of them; who asks more is told that the store is busy. What is asked together is
//! done together: between a `begin` and a `commit`, and answered after it. Nobody ever waits for the thread but who is told by it.
//!
//! While the owner hands over to a successor the thread is held, and does nothing more once the successor serves: what it has not
//! answered it has not done.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;
use tracing::{error, warn};

use super::backend::{BackendError, SessionBackend};
use super::error::chain;
use super::perform::{Bounds, Outcome, now_ms, perform};
use crate::protocol::{SessionOp, SessionRefusal, When};

/// Questions that wait at most.
const QUEUE: usize = 1024;
/// Their bytes at most.
const QUEUE_BYTES: usize = 64 * 1024 * 1024;
/// Questions that are done together at most.
const TOGETHER: usize = 128;
/// For how long one more question is begun together with others: who is to wait for the thread to rest waits for them.
const TOGETHER_FOR: Duration = Duration::from_millis(20);
/// How often records whose time is over are removed.
const SWEEP: Duration = Duration::from_secs(1);
/// How many are looked at in one pass: some milliseconds' worth.
const PASS: usize = 500;

/// Told what a question came to, on the thread of the store.
pub(crate) type Answered = Box<dyn FnOnce(Result<Outcome, SessionRefusal>) + Send>;

/// A question with all that it refers to.
enum Asked {
    Operations,
    Get(String),
    Set(String, Vec<u8>, Option<u64>, When),
    Touch(String, Option<u64>),
    Destroy(String),
    All(u64),
    Clear,
    Length,
    /// Of no concern to the store itself.
    OfWorkers,
}

impl Asked {
    fn of(op: &SessionOp<'_>) -> Self {
        match *op {
            SessionOp::Operations => Asked::Operations,
            SessionOp::Get { key } => Asked::Get(key.to_owned()),
            SessionOp::Set {
                key,
                value,
                ttl_ms,
                when,
            } => Asked::Set(key.to_owned(), value.to_vec(), ttl_ms, when),
            SessionOp::Touch { key, ttl_ms } => Asked::Touch(key.to_owned(), ttl_ms),
            SessionOp::Destroy { key } => Asked::Destroy(key.to_owned()),
            SessionOp::All { from } => Asked::All(from),
            SessionOp::Clear => Asked::Clear,
            SessionOp::Length => Asked::Length,
            SessionOp::AddWorker { .. } | SessionOp::RemoveWorker { .. } => Asked::OfWorkers,
        }
    }

    fn op(&self) -> SessionOp<'_> {
        match self {
            Asked::Operations => SessionOp::Operations,
            Asked::Get(key) => SessionOp::Get { key },
            Asked::Set(key, value, ttl_ms, when) => SessionOp::Set {
                key,
                value,
                ttl_ms: *ttl_ms,
                when: *when,
            },
            Asked::Touch(key, ttl_ms) => SessionOp::Touch {
                key,
                ttl_ms: *ttl_ms,
            },
            Asked::Destroy(key) => SessionOp::Destroy { key },
            Asked::All(from) => SessionOp::All { from: *from },
            Asked::Clear => SessionOp::Clear,
            Asked::Length => SessionOp::Length,
            Asked::OfWorkers => SessionOp::AddWorker { worker: 0 },
        }
    }

    fn changes(&self) -> bool {
        matches!(
            self,
            Asked::Set(..) | Asked::Touch(..) | Asked::Destroy(_) | Asked::Clear
        )
    }

    fn bytes(&self) -> usize {
        128 + match self {
            Asked::Get(key) | Asked::Touch(key, _) | Asked::Destroy(key) => key.len(),
            Asked::Set(key, value, ..) => key.len() + value.len(),
            _ => 0,
        }
    }
}

struct Job {
    asked: Asked,
    answered: Answered,
}

/// Whether the thread may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    Held,
    /// Another process has the store.
    Left,
}

#[derive(Debug)]
struct Entrance {
    gate: Gate,
    /// The thread is doing something.
    busy: bool,
    /// Told when it rests.
    resting: Vec<oneshot::Sender<()>>,
}

struct Shared {
    /// Locked by nobody while something is done.
    entrance: Mutex<Entrance>,
    changed: Condvar,
    waiting_bytes: AtomicUsize,
}

impl Shared {
    /// Waits until the thread may go on; false where it is to end.
    fn enter(&self) -> bool {
        let mut entrance = self.entrance.lock();
        self.changed
            .wait_while(&mut entrance, |entrance| entrance.gate == Gate::Held);
        entrance.busy = entrance.gate == Gate::Open;
        entrance.busy
    }

    fn rest(&self) {
        let mut entrance = self.entrance.lock();
        entrance.busy = false;
        for resting in entrance.resting.drain(..) {
            // Who has asked may have given up.
            let _ = resting.send(());
        }
    }

    fn is_open(&self) -> bool {
        self.entrance.lock().gate == Gate::Open
    }
}

/// A real store on its thread. Dropped, it does what waits, unless the store is another process's, and ends.
pub(crate) struct Keeper {
    jobs: Option<SyncSender<Job>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Dropped by the thread when it has ended.
    ended: oneshot::Receiver<()>,
}

impl Keeper {
    /// Runs a store.
    ///
    /// # Errors
    ///
    /// That there is no thread to be had.
    pub(crate) fn start(
        name: &str,
        bounds: Bounds,
        backend: Box<dyn SessionBackend>,
    ) -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel(QUEUE);
        let shared = Arc::new(Shared {
            entrance: Mutex::new(Entrance {
                gate: Gate::Open,
                busy: false,
                resting: Vec::new(),
            }),
            changed: Condvar::new(),
            waiting_bytes: AtomicUsize::new(0),
        });
        let worker = Worker {
            name: name.to_owned(),
            bounds,
            backend,
            shared: Arc::clone(&shared),
        };
        let (ends, ended) = oneshot::channel();
        let thread = thread::Builder::new()
            .name(format!("sessions {name}"))
            .spawn(move || {
                worker.run(&waiting);
                drop(ends);
            })?;
        Ok(Keeper {
            jobs: Some(jobs),
            shared,
            thread: Some(thread),
            ended,
        })
    }

    /// Has the store asked; `answered` is called on its thread, unless the question is not taken.
    pub(crate) fn ask(&self, op: &SessionOp<'_>, answered: Answered) -> Result<(), SessionRefusal> {
        let asked = Asked::of(op);
        let bytes = asked.bytes();
        let waiting = &self.shared.waiting_bytes;
        let queued = match &self.jobs {
            Some(_) if waiting.fetch_add(bytes, Ordering::Relaxed) + bytes > QUEUE_BYTES => {
                Err(SessionRefusal::Busy)
            }
            Some(jobs) => jobs.try_send(Job { asked, answered }).map_err(|e| match e {
                TrySendError::Full(_) => SessionRefusal::Busy,
                TrySendError::Disconnected(_) => {
                    SessionRefusal::Failed("its thread has ended".to_owned())
                }
            }),
            None => return Err(SessionRefusal::Busy),
        };
        if queued.is_err() {
            waiting.fetch_sub(bytes, Ordering::Relaxed);
        }
        queued
    }

    /// Has it do nothing more until it is said how to go on. What is just being done may take its time: it is told, or dropped, when
    /// that is over.
    pub(crate) fn hold(&self) -> oneshot::Receiver<()> {
        let (rests, resting) = oneshot::channel();
        let mut entrance = self.shared.entrance.lock();
        entrance.gate = Gate::Held;
        if entrance.busy {
            entrance.resting.push(rests);
        }
        resting
    }

    /// Goes on.
    pub(crate) fn resume(&self) {
        self.set(Gate::Open);
    }

    /// Another process has the store: what waits is dropped unanswered.
    pub(crate) fn leave(&self) {
        self.set(Gate::Left);
    }

    fn set(&self, gate: Gate) {
        self.shared.entrance.lock().gate = gate;
        self.shared.changed.notify_all();
    }
}

impl Keeper {
    /// Ends it without waiting for it: what comes is dropped when what waits is done, and the store is closed.
    pub(crate) fn end(mut self) -> oneshot::Receiver<()> {
        self.thread = None;
        std::mem::replace(&mut self.ended, oneshot::channel().1)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.jobs = None;
        {
            let mut entrance = self.shared.entrance.lock();
            if entrance.gate == Gate::Held {
                entrance.gate = Gate::Open;
            }
        }
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // It has said why, where it ended badly.
            let _ = thread.join();
        }
    }
}

struct Worker {
    name: String,
    bounds: Bounds,
    backend: Box<dyn SessionBackend>,
    shared: Arc<Shared>,
}

impl Worker {
    fn run(mut self, waiting: &Receiver<Job>) {
        let mut sweep = Instant::now() + SWEEP;
        let mut jobs = VecDeque::new();
        loop {
            if jobs.is_empty() {
                match waiting.recv_timeout(sweep.saturating_duration_since(Instant::now())) {
                    Ok(job) => jobs.push_back(job),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            let more = std::iter::from_fn(|| waiting.try_recv().ok());
            jobs.extend(more.take(TOGETHER.saturating_sub(jobs.len())));
            if !self.shared.enter() {
                return;
            }
            let done = std::panic::catch_unwind(AssertUnwindSafe(|| {
                if !jobs.is_empty() {
                    self.perform(&mut jobs);
                }
                if Instant::now() >= sweep {
                    sweep = Instant::now() + self.sweep();
                }
            }));
            if done.is_err() {
                // What it left half-done nobody knows: its owner ends, and the next one opens it afresh.
                error!(store = %self.name, "a session store panicked: ending the process");
                std::process::abort();
            }
            self.shared.rest();
        }
    }

    /// Does the first of these together: so many as there is time for, and at least one.
    fn perform(&mut self, jobs: &mut VecDeque<Job>) {
        let changes = jobs.iter().any(|job| job.asked.changes());
        let begun = match changes {
            true => self.backend.begin(),
            false => Ok(()),
        };
        let failed = begun.err().map(|e| self.failed(&e));
        let mut outcomes: Vec<_> = match &failed {
            Some(refusal) => jobs.iter().map(|_| Err(refusal.clone())).collect(),
            None => self.outcomes(jobs),
        };
        if changes
            && failed.is_none()
            && let Err(e) = self.backend.commit()
        {
            let refusal = self.failed(&e);
            outcomes.fill_with(|| Err(refusal.clone()));
        }
        let done: Vec<_> = jobs.drain(..outcomes.len()).collect();
        let bytes = done.iter().map(|job| job.asked.bytes()).sum();
        self.shared
            .waiting_bytes
            .fetch_sub(bytes, Ordering::Relaxed);
        for (job, outcome) in done.into_iter().zip(outcomes) {
            (job.answered)(outcome);
        }
    }

    fn outcomes(&mut self, jobs: &VecDeque<Job>) -> Vec<Result<Outcome, SessionRefusal>> {
        let (now, end) = (now_ms(), Instant::now() + TOGETHER_FOR);
        let mut outcomes = Vec::with_capacity(jobs.len());
        for job in jobs {
            if !outcomes.is_empty() && (Instant::now() >= end || !self.shared.is_open()) {
                break;
            }
            let outcome = perform(&mut *self.backend, &self.bounds, &job.asked.op(), now);
            outcomes.push(outcome.map_err(|e| told(&self.name, &e)));
        }
        outcomes
    }

    fn failed(&self, e: &BackendError) -> SessionRefusal {
        told(&self.name, e)
    }

    /// Removes some of what is over; says when to go on.
    fn sweep(&mut self) -> Duration {
        match self.backend.sweep(PASS, now_ms()) {
            // Others have their turn in between.
            Ok(removed) if removed >= PASS => Duration::from_millis(10),
            Ok(_) => SWEEP,
            Err(e) => {
                warn!(store = %self.name, error = %chain(&e), "what is over could not be removed from a session store");
                SWEEP * 10
            }
        }
    }
}

/// What who asked is told; the operator finds the store's own failures in the log.
fn told(store: &str, error: &BackendError) -> SessionRefusal {
    if !matches!(
        error,
        BackendError::Unsupported(_) | BackendError::Full { .. }
    ) {
        warn!(store, error = %chain(error), "a session store failed");
    }
    error.into()
}
