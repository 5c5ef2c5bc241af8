//! Who is to be replaced: first come, first served, one at a time, each worker at most once.
//!
//! The head of the queue goes through its phases: waiting → a successor starts (up to [`ATTEMPTS`] times) → the old one
//! is dismissed → gone. Where no successor would start, the old one is kept and its entry leaves the queue.
//!
//! The queue holds living workers only, each once, and so is as bounded as their number.

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::health::policy::Decay;
use crate::id::WorkerId;

/// How many successors are tried before the old worker is kept.
pub(crate) const ATTEMPTS: u8 = 3;

/// Why a worker is to be replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// All workers are being restarted.
    Roll,
    /// All workers are being moved to another build.
    Upgrade,
    /// Somebody asked for this one.
    Operator,
    /// It has not been heard of.
    Silent {
        /// For how long, in milliseconds.
        silent_ms: u64,
    },
    /// Its heartbeats say so.
    Decay(Decay),
    /// It runs the build of an upgrade that has failed.
    PutBack,
    /// It is to be debugged: it stays, and another serves in its place.
    Isolate,
}

impl Reason {
    /// Its kind: a word of few, for whoever counts.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Reason::Roll => "roll",
            Reason::Upgrade => "upgrade",
            Reason::Operator => "operator",
            Reason::Silent { .. } => "silent",
            Reason::Decay(decay) => decay.rule(),
            Reason::PutBack => "put-back",
            Reason::Isolate => "isolate",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Roll => f.write_str("rolling restart"),
            Reason::Upgrade => f.write_str("upgrade"),
            Reason::Operator => f.write_str("asked for by an operator"),
            Reason::Silent { silent_ms } => write!(f, "silent for {silent_ms} ms"),
            Reason::Decay(decay) => decay.fmt(f),
            Reason::PutBack => f.write_str("the upgrade has failed"),
            Reason::Isolate => f.write_str("to be isolated"),
        }
    }
}

/// A worker to be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Which.
    pub(crate) worker: WorkerId,
    /// Why.
    pub(crate) reason: Reason,
    /// When it was queued.
    pub(crate) since: Instant,
}

/// How far the replacement of the head is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// No successor is on its way.
    Waiting {
        /// How many have failed; less than [`ATTEMPTS`].
        failed: u8,
    },
    /// A successor has been started and does not listen yet, or the master has not looked yet.
    Starting {
        /// Which.
        successor: WorkerId,
        /// The how-manieth, from 1 to [`ATTEMPTS`].
        attempt: u8,
    },
    /// The old worker has been told to go.
    Dismissing,
}

/// A queue as it is written down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    entries: Vec<(WorkerId, Reason)>,
    phase: Phase,
}

/// How an entry left the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The worker has ended.
    Gone,
    /// No successor would start: the worker stays.
    GaveUp,
}

/// The queue; see the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeathQueue {
    entries: VecDeque<Entry>,
    /// The phase of the first entry; means nothing while there is none.
    phase: Phase,
}

impl Default for Phase {
    fn default() -> Self {
        Phase::Waiting { failed: 0 }
    }
}

impl DeathQueue {
    /// Queues a living worker; false where it is queued already, and then its first reason stands.
    pub(crate) fn push(&mut self, worker: WorkerId, reason: Reason, now: Instant) -> bool {
        if self.contains(worker) {
            return false;
        }
        self.entries.push_back(Entry {
            worker,
            reason,
            since: now,
        });
        true
    }

    /// The entry whose turn it is, and how far it is.
    pub(crate) fn head(&self) -> Option<(&Entry, Phase)> {
        self.entries.front().map(|entry| (entry, self.phase))
    }

    /// The worker that a starting successor will replace.
    pub(crate) fn being_replaced(&self) -> Option<WorkerId> {
        match self.head()? {
            (entry, Phase::Starting { .. }) => Some(entry.worker),
            _ => None,
        }
    }

    /// All entries, the head first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Whether the worker is queued.
    pub(crate) fn contains(&self, worker: WorkerId) -> bool {
        self.entries.iter().any(|entry| entry.worker == worker)
    }

    /// How many are queued.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody is queued.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A successor of the head has been started. Without effect unless the head waits for one.
    pub(crate) fn started(&mut self, successor: WorkerId) {
        if let (false, Phase::Waiting { failed }) = (self.entries.is_empty(), self.phase) {
            self.phase = Phase::Starting {
                successor,
                attempt: failed + 1,
            };
        }
    }

    /// A worker will never serve. Says how the head's entry ended, if this was the last successor to be tried for it.
    pub(crate) fn successor_failed(&mut self, worker: WorkerId) -> Option<(Entry, Outcome)> {
        match self.phase {
            Phase::Starting { successor, attempt } if successor == worker => {
                if attempt < ATTEMPTS {
                    self.phase = Phase::Waiting { failed: attempt };
                    return None;
                }
                self.take(0).map(|entry| (entry, Outcome::GaveUp))
            }
            _ => None,
        }
    }

    /// A worker has been told to go, be it as the head, as a successor that is no longer wanted, or as one too many.
    pub(crate) fn dismissed(&mut self, worker: WorkerId) {
        match (self.position(worker), self.phase) {
            (Some(0), _) => self.phase = Phase::Dismissing,
            // It needs no successor, and nobody has to wait for its end.
            (Some(place), _) => {
                self.take(place);
            }
            (None, Phase::Starting { successor, attempt }) if successor == worker => {
                self.phase = Phase::Waiting {
                    failed: attempt - 1,
                };
            }
            (None, _) => {}
        }
    }

    /// A worker has ended, in whatever way. Says which entry left the queue by it.
    pub(crate) fn gone(&mut self, worker: WorkerId) -> Option<(Entry, Outcome)> {
        match self.position(worker) {
            Some(place) => self.take(place).map(|entry| (entry, Outcome::Gone)),
            None => self.successor_failed(worker),
        }
    }

    /// Drops the entries of one reason for which nothing has been begun; says whose.
    pub(crate) fn abandon(&mut self, reason: &Reason) -> Vec<WorkerId> {
        let begun = !matches!(self.phase, Phase::Waiting { failed: 0 });
        let mut place = 0;
        let mut dropped = Vec::new();
        self.entries.retain(|entry| {
            let keep = entry.reason != *reason || (place == 0 && begun);
            place += 1;
            if !keep {
                dropped.push(entry.worker);
            }
            keep
        });
        dropped
    }

    /// The queue, to be written down.
    pub(crate) fn kept(&self) -> Kept {
        let entries = self.entries.iter();
        Kept {
            entries: entries
                .map(|entry| (entry.worker, entry.reason.clone()))
                .collect(),
            phase: self.phase,
        }
    }

    /// The queue as it was kept, as far as its workers still live.
    pub(crate) fn restored(kept: Kept, lives: impl Fn(WorkerId) -> bool, now: Instant) -> Self {
        let mut queue = DeathQueue::default();
        let head = kept.entries.first().map(|(worker, _)| *worker);
        for (worker, reason) in kept.entries {
            if lives(worker) {
                queue.push(worker, reason, now);
            }
        }
        // Of another head nothing has been begun.
        let same_head = head.is_some() && queue.head().map(|(entry, _)| entry.worker) == head;
        if same_head {
            queue.phase = match kept.phase {
                Phase::Starting { successor, attempt } if !lives(successor) => Phase::Waiting {
                    failed: attempt.saturating_sub(1),
                },
                phase => phase,
            };
        }
        queue
    }

    fn position(&self, worker: WorkerId) -> Option<usize> {
        self.entries.iter().position(|entry| entry.worker == worker)
    }

    fn take(&mut self, place: usize) -> Option<Entry> {
        if place == 0 {
            self.phase = Phase::default();
        }
        self.entries.remove(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn w(id: u32) -> WorkerId {
        WorkerId(id)
    }

    fn queue(ids: &[u32]) -> DeathQueue {
        let mut queue = DeathQueue::default();
        for id in ids {
            assert!(queue.push(w(*id), Reason::Roll, Instant::now()));
        }
        queue
    }

    fn order(queue: &DeathQueue) -> Vec<u32> {
        queue.iter().map(|entry| entry.worker.0).collect()
    }

    #[test]
    fn first_come_first_served_and_nobody_twice() {
        let mut queue = queue(&[3, 1, 2]);
        assert!(!queue.push(w(1), Reason::Operator, Instant::now()));
        assert_eq!(order(&queue), [3, 1, 2]);
        assert_eq!(queue.iter().nth(1).unwrap().reason, Reason::Roll);
        assert_eq!(queue.len(), 3);
    }

    #[test]
    fn the_head_goes_through_its_phases() {
        let mut queue = queue(&[1, 2]);
        queue.started(w(3));
        assert_eq!(queue.being_replaced(), Some(w(1)));
        queue.dismissed(w(1));
        assert_eq!(queue.head().unwrap().1, Phase::Dismissing);
        assert_eq!(queue.being_replaced(), None);
        let (entry, outcome) = queue.gone(w(1)).unwrap();
        assert_eq!((entry.worker, outcome), (w(1), Outcome::Gone));
        let (entry, phase) = queue.head().unwrap();
        assert_eq!((entry.worker, phase), (w(2), Phase::Waiting { failed: 0 }));
    }

    #[test]
    fn the_third_failure_keeps_the_old_one() {
        let mut queue = queue(&[1, 2]);
        for attempt in 1..=ATTEMPTS {
            let successor = w(10 + u32::from(attempt));
            queue.started(successor);
            assert_eq!(
                queue.head().unwrap().1,
                Phase::Starting { successor, attempt }
            );
            let ended = queue.successor_failed(successor);
            assert_eq!(ended.is_some(), attempt == ATTEMPTS);
            if let Some((entry, outcome)) = ended {
                assert_eq!((entry.worker, outcome), (w(1), Outcome::GaveUp));
            }
            // Its death, after its failure, is not another failure.
            assert_eq!(queue.gone(successor), None);
        }
        assert_eq!(order(&queue), [2]);
        assert_eq!(queue.head().unwrap().1, Phase::Waiting { failed: 0 });
    }

    #[test]
    fn a_successor_called_off_is_no_failure() {
        let mut queue = queue(&[1]);
        queue.started(w(2));
        queue.successor_failed(w(2));
        queue.started(w(3));
        queue.dismissed(w(3));
        assert_eq!(queue.head().unwrap().1, Phase::Waiting { failed: 1 });
    }

    #[test]
    fn a_death_takes_the_entry_out_wherever_it_stands() {
        let mut queue = queue(&[1, 2, 3]);
        queue.started(w(4));
        assert_eq!(queue.gone(w(2)).unwrap().0.worker, w(2));
        assert_eq!(queue.being_replaced(), Some(w(1)));
        queue.gone(w(1));
        assert_eq!(order(&queue), [3]);
        // The successor of one that died meanwhile is nobody's successor any more.
        assert_eq!(queue.gone(w(4)), None);
        assert_eq!(queue.head().unwrap().1, Phase::Waiting { failed: 0 });
    }

    #[test]
    fn one_too_many_leaves_at_once_unless_it_is_the_head() {
        let mut queue = queue(&[1, 2, 3]);
        queue.dismissed(w(2));
        assert_eq!(order(&queue), [1, 3]);
        queue.dismissed(w(1));
        assert_eq!(order(&queue), [1, 3]);
    }

    #[test]
    fn abandoning_spares_other_reasons_and_what_is_begun() {
        let mut queue = queue(&[1, 2]);
        let old = Reason::Decay(Decay::MaxAge { age_s: 9 });
        queue.push(w(3), old, Instant::now());
        queue.push(w(4), Reason::Roll, Instant::now());
        queue.started(w(5));
        assert_eq!(queue.abandon(&Reason::Roll), [w(2), w(4)]);
        assert_eq!(order(&queue), [1, 3]);
        assert_eq!(queue.being_replaced(), Some(w(1)));
    }

    #[test]
    fn what_was_kept_goes_on_where_it_was() {
        let mut queue = queue(&[1, 2]);
        queue.started(w(3));
        let kept: Kept =
            serde_json::from_str(&serde_json::to_string(&queue.kept()).unwrap()).unwrap();
        let restored = |gone: &[u32]| {
            let lives = |worker: WorkerId| !gone.contains(&worker.0);
            DeathQueue::restored(kept.clone(), lives, Instant::now())
        };
        let successor = w(3);
        let starting = Phase::Starting {
            successor,
            attempt: 1,
        };
        assert_eq!(restored(&[]).head().unwrap().1, starting);
        assert_eq!(order(&restored(&[])), [1, 2]);
        assert_eq!(
            restored(&[3]).head().unwrap().1,
            Phase::Waiting { failed: 0 }
        );
        assert_eq!(order(&restored(&[1])), [2]);
        assert_eq!(
            restored(&[1]).head().unwrap().1,
            Phase::Waiting { failed: 0 }
        );
        assert!(restored(&[1, 2]).is_empty());
    }

    #[test]
    fn a_reason_says_what_and_how_much() {
        let reason = Reason::Silent { silent_ms: 180_000 };
        assert_eq!(reason.to_string(), "silent for 180000 ms");
        assert_eq!(
            serde_json::to_string(&reason).unwrap(),
            r#"{"silent":{"silent_ms":180000}}"#
        );
    }
}
