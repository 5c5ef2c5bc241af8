//! What was done to the cluster, as it was done: printed, written to a file, and kept for the verdict.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::clock::{Ms, now};

/// What a deed is an excuse for, and whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hit {
    /// This process was stopped or blocked: its own deadlines pass.
    Process(u32),
    /// The link between this process and the master broke.
    Link(u32),
    /// The cache could not be reached, or could not keep anything.
    Cache,
}

/// A deed, from its beginning to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deed {
    pub(crate) from: Ms,
    pub(crate) until: Ms,
    pub(crate) hit: Hit,
}

/// A process that was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Killed {
    pub(crate) pid: u32,
    /// When it did its last.
    pub(crate) at: Ms,
    /// The connections that it had accepted by then, by the ports of the clients.
    pub(crate) connections: BTreeSet<u16>,
}

/// What is known of all deeds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deeds {
    pub(crate) deeds: Vec<Deed>,
    pub(crate) killed: Vec<Killed>,
    /// What the cluster did with an act that it should not have done.
    pub(crate) wrong: Vec<String>,
    /// Acts that were carried out, and those that found nothing to be done to.
    pub(crate) done: u32,
    pub(crate) passed_over: u32,
}

/// The journal.
#[derive(Debug)]
pub(crate) struct Journal {
    begun: Ms,
    file: Mutex<File>,
    deeds: Mutex<Deeds>,
}

impl Journal {
    /// One that is written to a file too; its times are counted from now.
    pub(crate) fn begin(file: File) -> Self {
        Journal {
            begun: now(),
            file: Mutex::new(file),
            deeds: Mutex::default(),
        }
    }

    /// A line for people.
    pub(crate) fn say(&self, what: &str) {
        let seconds = self.seconds(now());
        let line = format!("{seconds:8.3}  {what}");
        println!("{line}");
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // It has been printed: a full disk loses the copy.
        let _ = writeln!(file, "{line}");
    }

    /// A moment, in seconds from the beginning.
    pub(crate) fn seconds(&self, at: Ms) -> f64 {
        at.saturating_sub(self.begun) as f64 / 1000.0
    }

    fn lock(&self) -> MutexGuard<'_, Deeds> {
        self.deeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An excuse.
    pub(crate) fn note(&self, from: Ms, until: Ms, hit: Hit) {
        self.lock().deeds.push(Deed { from, until, hit });
    }

    /// A death that was brought about.
    pub(crate) fn killed(&self, killed: Killed) {
        self.lock().killed.push(killed);
    }

    /// Something that the cluster should not have done.
    pub(crate) fn wrong(&self, what: String) {
        self.say(&format!("WRONG: {what}"));
        self.lock().wrong.push(what);
    }

    /// An act was carried out.
    pub(crate) fn done(&self, what: &str) {
        self.say(what);
        self.lock().done += 1;
    }

    /// An act found nothing that it could be done to.
    pub(crate) fn passed_over(&self, what: &str) {
        self.say(&format!("passed over: {what}"));
        self.lock().passed_over += 1;
    }

    /// All of it.
    pub(crate) fn deeds(&self) -> Deeds {
        self.lock().clone()
    }
}
