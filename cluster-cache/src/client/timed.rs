//! How long operations take, as this process sees them: from when they are first polled until their result, whichever it is. What is
//! given up before is not in it, and neither is what copies answer, as a look at the clock would take longer than they do.

use std::collections::BTreeMap;
use std::time::Instant;

use cluster_core::{DurationCounter, Durations, Sampling};

/// What is timed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Timed {
    Get,
    Set,
    Delete,
    Load,
    Session,
}

/// By what operations are, and what they are called.
const NAMES: [&str; 5] = ["get", "set", "delete", "load", "session"];

/// One for each, for all threads of the process: few write to it, as few operations are timed.
static TIMED: [DurationCounter; NAMES.len()] = [const { DurationCounter::new() }; NAMES.len()];

/// An operation that is timed.
#[derive(Debug)]
pub(super) struct Span {
    of: Timed,
    begun: Instant,
}

impl Span {
    pub(super) fn begin(of: Timed) -> Self {
        Span {
            of,
            begun: Instant::now(),
        }
    }

    pub(super) fn end(self) {
        TIMED[self.of as usize].count(self.begun.elapsed());
    }
}

/// Which of the frequent operations of one thread are timed.
#[derive(Default)]
pub(super) struct Samplings {
    gets: Sampling,
    sets: Sampling,
    sessions: Sampling,
}

impl Samplings {
    #[inline]
    pub(super) fn get(&self) -> Option<Span> {
        span(Timed::Get, &self.gets)
    }

    #[inline]
    pub(super) fn set(&self) -> Option<Span> {
        span(Timed::Set, &self.sets)
    }

    #[inline]
    pub(super) fn session(&self) -> Option<Span> {
        span(Timed::Session, &self.sessions)
    }
}

#[inline]
fn span(of: Timed, sampling: &Sampling) -> Option<Span> {
    sampling.begin().map(|begun| Span { of, begun })
}

/// How long operations on the shared cache took in this process, until their result, whichever it was; those that there have been.
///
/// `get` is reading a value from the cache manager, by `get_or_load` too; what copies answer is not in it. `load` is waiting for a load,
/// one's own or another's, where there was no value. `delete` and `load` are timed each, of `get`, `set` and `session` (an operation of
/// a session store that the cache manager owns) one in [`TIMED_ONE_IN`](cluster_core::TIMED_ONE_IN) of each thread.
pub fn durations() -> BTreeMap<String, Durations> {
    let all = NAMES.iter().zip(&TIMED);
    let all = all.map(|(name, counter)| ((*name).to_owned(), counter.durations()));
    all.filter(|(_, durations)| durations.count > 0).collect()
}
