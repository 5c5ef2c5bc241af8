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

use crate::PROCESSES;

/// What is asked of the cache. Within one history no two operations write the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Op {
    Get,
    /// Asked of the manager in any case.
    Inspect,
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

/// What a register that holds `state` answers, and holds afterwards.
fn ask(op: Op, state: Option<u64>) -> (Outcome, Option<u64>) {
    match op {
        Op::Get | Op::Inspect => (Outcome::Value(state), state),
        Op::Set(value) => (Outcome::Accepted(true), Some(value)),
        Op::SetIfAbsent(value) => (Outcome::Accepted(state.is_none()), state.or(Some(value))),
        Op::Del => (Outcome::Value(state), None),
    }
}

/// One register, which everybody asks.
pub(crate) struct Register;

impl Specification for Register {
    type State = Option<u64>;
    type Operation = Seen;

    fn init() -> Self::State {
        None
    }

    fn apply(seen: &Seen, state: &Self::State) -> (bool, Self::State) {
        let (answer, next) = ask(seen.op, *state);
        (
            matches!(seen.outcome, Outcome::Unknown) || seen.outcome == answer,
            next,
        )
    }
}

/// A register of which each process keeps a copy: what it reads there may be of an earlier time, but never of one before what it has
/// read, written or been told already.
pub(crate) struct Copied;

/// All that the register has held, and how much of that each process knows to be over.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Copies {
    held: Vec<Option<u64>>,
    known: [usize; PROCESSES],
}

impl Specification for Copied {
    type State = Copies;
    type Operation = Seen;

    fn init() -> Copies {
        Copies {
            held: vec![None],
            known: [0; PROCESSES],
        }
    }

    fn apply(seen: &Seen, copies: &Copies) -> (bool, Copies) {
        let (mut next, last) = (copies.clone(), copies.held.len() - 1);
        let known = &mut next.known[seen.process];
        if let (Op::Get, Outcome::Value(found)) = (seen.op, seen.outcome) {
            let from = *known;
            let place = copies.held[from..].iter().position(|held| *held == found);
            *known = from + place.unwrap_or_default();
            return (place.is_some(), next);
        }
        let (answer, holds) = ask(seen.op, copies.held[last]);
        let changes = holds != copies.held[last];
        let answered = seen.outcome == answer;
        if answered {
            *known = last + usize::from(changes);
        }
        if changes {
            next.held.push(holds);
        }
        (answered || seen.outcome == Outcome::Unknown, next)
    }
}

/// Whether what was seen of a key can have been so.
pub(crate) fn is_linearizable<S: Specification<Operation = Seen>>(history: &[Seen]) -> bool {
    let mut events = Vec::new();
    for (number, seen) in history.iter().enumerate() {
        let returned = match seen.outcome {
            Outcome::Unknown => u64::MAX,
            _ => seen.returned,
        };
        // At the same moment calls come first: nobody can say more than that the two overlap.
        events.push((seen.called, false, number, Action::Call(*seen)));
        events.push((returned, true, number, Action::Response(*seen)));
    }
    events.sort_by_key(|(at, returned, ..)| (*at, *returned));
    let actions: Vec<_> = events
        .into_iter()
        .map(|(_, _, number, action)| (number, action))
        .collect();
    actions.is_empty() || WGLChecker::<S>::is_linearizable(History::from_actions(actions))
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
    use super::Op::{Del, Get, Inspect, Set, SetIfAbsent};
    use super::Outcome::{Accepted, Unknown, Value};
    use super::*;

    fn seen(process: usize, step: &(u64, Op, u64, Outcome)) -> Seen {
        let (called, op, returned, outcome) = *step;
        Seen {
            process,
            called,
            op,
            returned,
            outcome,
        }
    }

    fn check(history: &[(u64, Op, u64, Outcome)]) -> bool {
        let seen: Vec<_> = history.iter().map(|step| seen(0, step)).collect();
        is_linearizable::<Register>(&seen)
    }

    /// What each of some processes sees, one step after the other.
    fn check_copies(history: &[(usize, Op, Outcome)]) -> bool {
        let steps = history.iter().zip(0..);
        let seen: Vec<_> = steps
            .map(|((process, op, outcome), n)| seen(*process, &(2 * n, *op, 2 * n + 1, *outcome)))
            .collect();
        is_linearizable::<Copied>(&seen)
    }

    #[test]
    fn copies_may_be_late_but_never_go_back() {
        let one = (0, Set(1), Accepted(true));
        let two = (0, Set(2), Accepted(true));
        let reads = |process, value| (process, Get, Value(value));
        // Another process may be late, for as long as it knows no better.
        assert!(check_copies(&[
            one,
            reads(1, None),
            two,
            reads(1, None),
            reads(1, Some(1))
        ]));
        assert!(check_copies(&[
            one,
            two,
            reads(1, Some(1)),
            reads(2, None),
            reads(1, Some(2))
        ]));
        assert!(check_copies(&[
            one,
            (0, Del, Value(Some(1))),
            reads(1, Some(1)),
            reads(1, None)
        ]));
        // What was not answered may have been done.
        assert!(check_copies(&[
            (0, Set(1), Unknown),
            reads(0, None),
            reads(0, Some(1))
        ]));
        let rejected: [(&str, &[_]); 6] = [
            ("its own write", &[one, reads(0, None)]),
            (
                "its own delete",
                &[one, (0, Del, Value(Some(1))), reads(0, Some(1))],
            ),
            (
                "it goes back",
                &[one, two, reads(1, Some(2)), reads(1, Some(1))],
            ),
            (
                "it was told",
                &[one, two, (1, Inspect, Value(Some(2))), reads(1, Some(1))],
            ),
            (
                "it was told no",
                &[one, (1, SetIfAbsent(3), Accepted(false)), reads(1, None)],
            ),
            ("nobody set it yet", &[reads(1, Some(1)), one]),
        ];
        for (what, history) in rejected {
            assert!(!check_copies(history), "{what}");
        }
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
