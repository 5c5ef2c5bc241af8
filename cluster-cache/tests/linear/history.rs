//! Histories of one key, and whether they are linearizable: whether each operation can have happened at one moment between its call
//! and its return, all of them on one register.
//!
//! The search is that of `todc_utils` (Wing and Gong's, with the memory that Lowe gave it). It wants a return for each call: one that
//! never came is put after all others, with an outcome that says nothing. So it may take effect at any later time, or, after
//! everything that anybody saw, not at all.

use serde::{Deserialize, Serialize};
use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action, History};
use todc_utils::specifications::Specification;

/// What is asked of the cache. Within one history no two operations write the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Op {
    Get,
    Set(u64),
    SetIfAbsent(u64),
    Del,
}

/// What it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Value(Option<u64>),
    Accepted(bool),
    /// Nobody knows whether it was done, or is yet to be.
    Unknown,
}

/// An operation as its caller saw it. The times are nanoseconds of the machine's monotonic clock, the same one for all processes:
/// the first taken before the call, the second after its return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) process: usize,
    pub(crate) called: u64,
    pub(crate) op: Op,
    pub(crate) returned: u64,
    pub(crate) outcome: Outcome,
}

struct Register;

impl Specification for Register {
    type State = Option<u64>;
    type Operation = (Op, Outcome);

    fn init() -> Self::State {
        None
    }

    fn apply((op, outcome): &Self::Operation, state: &Self::State) -> (bool, Self::State) {
        let (answer, next) = match *op {
            Op::Get => (Outcome::Value(*state), *state),
            Op::Set(value) => (Outcome::Accepted(true), Some(value)),
            Op::SetIfAbsent(value) => (Outcome::Accepted(state.is_none()), state.or(Some(value))),
            Op::Del => (Outcome::Value(*state), None),
        };
        (*outcome == Outcome::Unknown || *outcome == answer, next)
    }
}

/// Whether what was seen of a key can have been so.
pub(crate) fn is_linearizable(history: &[Seen]) -> bool {
    let mut events = Vec::new();
    for (number, seen) in history.iter().enumerate() {
        let step = (seen.op, seen.outcome);
        let returned = match seen.outcome {
            Outcome::Unknown => u64::MAX,
            _ => seen.returned,
        };
        // At the same moment calls come first: nobody can say more than that the two overlap.
        events.push((seen.called, false, number, Action::Call(step)));
        events.push((returned, true, number, Action::Response(step)));
    }
    events.sort_by_key(|(at, returned, ..)| (*at, *returned));
    let actions: Vec<_> = events
        .into_iter()
        .map(|(_, _, number, action)| (number, action))
        .collect();
    actions.is_empty() || WGLChecker::<Register>::is_linearizable(History::from_actions(actions))
}

/// How many operations went on while one of another process did.
pub(crate) fn overlaps(history: &[Seen]) -> usize {
    let overlap = |a: &Seen, b: &Seen| {
        a.process != b.process && a.called <= b.returned && b.called <= a.returned
    };
    let among_others = |one: &&Seen| history.iter().any(|other| overlap(one, other));
    history.iter().filter(among_others).count()
}

#[cfg(test)]
mod known {
    use super::Op::{Del, Get, Set, SetIfAbsent};
    use super::Outcome::{Accepted, Unknown, Value};
    use super::*;

    fn check(history: &[(u64, Op, u64, Outcome)]) -> bool {
        let seen = |(process, step): (usize, &(u64, Op, u64, Outcome))| {
            let (called, op, returned, outcome) = *step;
            Seen {
                process,
                called,
                op,
                returned,
                outcome,
            }
        };
        is_linearizable(&history.iter().enumerate().map(seen).collect::<Vec<_>>())
    }

    #[test]
    fn what_can_be_is_accepted() {
        assert!(check(&[]));
        assert!(check(&[
            (0, Get, 1, Value(None)),
            (2, SetIfAbsent(1), 3, Accepted(true)),
            (4, SetIfAbsent(2), 5, Accepted(false)),
            (6, Set(3), 7, Accepted(true)),
            (8, Del, 9, Value(Some(3))),
            (10, Get, 11, Value(None)),
        ]));
        // Two sets at a time: either may be the last.
        for last in [1, 2] {
            assert!(check(&[
                (0, Set(1), 5, Accepted(true)),
                (0, Set(2), 5, Accepted(true)),
                (6, Get, 7, Value(Some(last))),
            ]));
        }
        // One at a time with a read: before it or after it.
        for found in [None, Some(1)] {
            assert!(check(&[
                (0, Set(1), 5, Accepted(true)),
                (2, Get, 3, Value(found)),
            ]));
        }
        // A return at the moment of a call says nothing about their order.
        assert!(check(&[
            (0, Set(1), 5, Accepted(true)),
            (5, Get, 6, Value(None)),
        ]));
    }

    #[test]
    fn what_was_never_answered_may_have_been_done_or_not_or_later() {
        let unanswered = (0, Set(1), 1, Unknown);
        assert!(check(&[unanswered, (2, Get, 3, Value(None))]));
        assert!(check(&[unanswered, (2, Get, 3, Value(Some(1)))]));
        assert!(check(&[
            unanswered,
            (2, Get, 3, Value(None)),
            (4, Get, 5, Value(Some(1))),
        ]));
        assert!(!check(&[
            unanswered,
            (2, Get, 3, Value(Some(1))),
            (4, Get, 5, Value(None)),
        ]));
        assert!(!check(&[
            (0, Get, 1, Value(Some(1))),
            (2, Set(1), 3, Unknown),
        ]));
        assert!(check(&[
            (0, Set(1), 1, Accepted(true)),
            (2, Del, 3, Unknown),
            (4, SetIfAbsent(2), 5, Accepted(false)),
            (6, SetIfAbsent(3), 7, Accepted(true)),
        ]));
    }

    #[test]
    fn what_cannot_be_is_rejected() {
        let rejected: [(&str, &[_]); 8] = [
            (
                "an answered set is lost",
                &[(0, Set(1), 1, Accepted(true)), (2, Get, 3, Value(None))],
            ),
            (
                "an old value is back",
                &[
                    (0, Set(1), 1, Accepted(true)),
                    (2, Set(2), 3, Accepted(true)),
                    (4, Get, 5, Value(Some(1))),
                ],
            ),
            (
                "a deleted value is back",
                &[
                    (0, Set(1), 1, Accepted(true)),
                    (2, Del, 3, Value(Some(1))),
                    (4, Get, 5, Value(Some(1))),
                ],
            ),
            (
                "a value that nobody set",
                &[(0, Set(1), 1, Accepted(true)), (2, Get, 3, Value(Some(7)))],
            ),
            (
                "reads go back, under sets at a time",
                &[
                    (0, Set(1), 9, Accepted(true)),
                    (0, Set(2), 9, Accepted(true)),
                    (1, Get, 2, Value(Some(1))),
                    (3, Get, 4, Value(Some(2))),
                    (5, Get, 6, Value(Some(1))),
                ],
            ),
            (
                "two are the first",
                &[
                    (0, SetIfAbsent(1), 5, Accepted(true)),
                    (0, SetIfAbsent(2), 5, Accepted(true)),
                ],
            ),
            (
                "left as not null where it was",
                &[(0, SetIfAbsent(1), 1, Accepted(false))],
            ),
            (
                "two delete the same",
                &[
                    (0, Set(1), 1, Accepted(true)),
                    (2, Del, 5, Value(Some(1))),
                    (2, Del, 5, Value(Some(1))),
                ],
            ),
        ];
        for (what, history) in rejected {
            assert!(!check(history), "{what}");
        }
    }
}
