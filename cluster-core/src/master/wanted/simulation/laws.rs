//! What holds under all interleavings of commands, successes, failures, deaths and time.

use std::time::Duration;

use proptest::prelude::*;

use super::super::super::proxy_state::{Event, State};
use super::super::RollKind;
use super::super::command::Command;
use super::super::reconcile::Step;
use super::{Act, Simulation};
use crate::id::WorkerId;

fn any_command() -> impl Strategy<Value = Command> {
    let worker = prop::option::of((1_u32..12).prop_map(WorkerId));
    prop_oneof![
        4 => (0_u32..7).prop_map(Command::Scale),
        4 => prop_oneof![Just(RollKind::Restart), Just(RollKind::Upgrade)].prop_map(Command::Roll),
        2 => (worker.clone(), any::<bool>())
            .prop_map(|(worker, force)| Command::Pause { worker, force }),
        3 => worker.prop_map(|worker| Command::Resume { worker }),
    ]
}

fn harmless() -> impl Strategy<Value = Act> {
    let stale = prop_oneof![
        Just(Event::StopTimeout),
        Just(Event::GraceOver),
        Just(Event::LinkLost),
        Just(Event::LinkBack)
    ];
    prop_oneof![
        2 => any_command().prop_map(Act::Command),
        8 => any::<usize>().prop_map(Act::Advance),
        1 => any::<usize>().prop_map(Act::Condemn),
        1 => any::<usize>().prop_map(Act::Isolate),
        1 => any::<usize>().prop_map(Act::Release),
        1 => (any::<usize>(), stale).prop_map(|(n, event)| Act::Timer(n, event)),
        1 => (0_u64..20_000).prop_map(Act::Time),
    ]
}

fn anything() -> impl Strategy<Value = Act> {
    let fail = prop_oneof![Just(Event::StartFailed), Just(Event::StartTimeout)];
    let die = prop_oneof![3 => Just(Event::Exited), 1 => Just(Event::Leaving)];
    prop_oneof![
        10 => harmless(),
        2 => (any::<usize>(), fail).prop_map(|(n, event)| Act::FailStart(n, event)),
        2 => (any::<usize>(), die).prop_map(|(n, event)| Act::Accident(n, event)),
    ]
}

fn stop(force: bool) -> Act {
    Act::Command(Command::Stop {
        deadline: None,
        force,
    })
}

proptest! {
    #[test]
    fn whatever_happens_it_converges_and_then_stops(
        count in 1_u32..6,
        acts in prop::collection::vec(anything(), 0..120),
    ) {
        let mut simulation = Simulation::new(count);
        for act in &acts {
            if simulation.act(act) == Step::Hopeless {
                prop_assert!(!simulation.has_listened);
                prop_assert_eq!(simulation.count(State::is_living), 0);
                prop_assert!(simulation.born >= 3);
                return Ok(());
            }
        }
        prop_assert_eq!(simulation.calm(), Step::Settled);
        prop_assert_eq!(simulation.count(State::is_up), simulation.wanted.count);
        let isolated = simulation.wanted.isolated.clone();
        let others = simulation.workers.len() - isolated.len();
        prop_assert_eq!(others as u32, simulation.wanted.count);
        prop_assert!(simulation.queue.is_empty());
        prop_assert_eq!(simulation.wanted.roll, None);
        for worker in simulation.workers.values() {
            if isolated.contains(&worker.view.id) {
                prop_assert_eq!(worker.view.state, State::Isolated);
                continue;
            }
            prop_assert!(worker.view.generation >= simulation.rolled_to);
            let paused = simulation.wanted.pauses(worker.view.id);
            prop_assert_eq!(worker.view.state == State::Paused, paused);
        }
        simulation.act(&stop(false));
        prop_assert_eq!(simulation.calm(), Step::Stopped);
        prop_assert!(simulation.workers.is_empty());
    }

    #[test]
    fn where_nothing_dies_by_itself_never_more_than_one_is_missing(
        count in 1_u32..6,
        acts in prop::collection::vec(harmless(), 0..150),
    ) {
        let mut simulation = Simulation::new(count);
        prop_assert_eq!(simulation.calm(), Step::Settled);
        for act in &acts {
            simulation.act(act);
        }
        prop_assert!(simulation.unharmed);
        prop_assert_eq!(simulation.calm(), Step::Settled);
    }

    #[test]
    fn a_stop_ends_all_even_where_no_worker_answers(
        acts in prop::collection::vec(anything(), 0..60),
        force in any::<bool>(),
        after in prop::collection::vec(anything(), 0..10),
    ) {
        let mut simulation = Simulation::new(3);
        for act in &acts {
            if simulation.act(act) == Step::Hopeless {
                return Ok(());
            }
        }
        simulation.act(&stop(force));
        for act in &after {
            simulation.act(act);
        }
        if force {
            prop_assert!(simulation.workers.values().all(|worker| worker.view.killed));
        }
        simulation.deaf();
        prop_assert_eq!(simulation.settle(), Step::Stopped);
    }
}

#[test]
fn a_roll_replaces_one_after_the_other_and_says_when_it_is_done() {
    let mut simulation = Simulation::new(3);
    assert_eq!(simulation.calm(), Step::Settled);
    let roll = Act::Command(Command::Roll(RollKind::Restart));
    simulation.act(&roll);
    assert_eq!(simulation.workers.len(), 4);
    simulation.act(&roll);
    assert_eq!((simulation.workers.len(), simulation.rolls_done), (4, 0));
    assert_eq!(simulation.calm(), Step::Settled);
    assert_eq!((simulation.born, simulation.rolls_done), (6, 1));
    assert_eq!(simulation.pushed, [1, 2, 3].map(WorkerId));
}

#[test]
fn a_roll_that_cannot_start_a_worker_leaves_the_old_ones_serving() {
    let mut simulation = Simulation::new(3);
    assert_eq!(simulation.calm(), Step::Settled);
    simulation.act(&Act::Command(Command::Roll(RollKind::Upgrade)));
    for id in 4..=6 {
        simulation.feed(WorkerId(id), Event::StartFailed);
        simulation.feed(WorkerId(id), Event::Exited);
        simulation.act(&Act::Time(200));
    }
    assert_eq!(simulation.settle(), Step::Settled);
    assert_eq!((simulation.born, simulation.rolls_done), (6, 0));
    assert_eq!(
        simulation.workers.keys().copied().collect::<Vec<_>>(),
        [1, 2, 3].map(WorkerId)
    );
    assert_eq!(simulation.wanted.roll, None);
}

#[test]
fn one_that_goes_by_itself_while_its_successor_starts_is_not_kept() {
    let mut simulation = Simulation::new(2);
    assert_eq!(simulation.calm(), Step::Settled);
    simulation.act(&Act::Condemn(0));
    simulation.act(&Act::Accident(0, Event::Leaving));
    // Its successor is now what replaces it, and no failure of that one can bring it back.
    assert_eq!((simulation.workers.len(), simulation.queue.len()), (3, 1));
    for _ in 0..4 {
        let latest = WorkerId(simulation.born);
        simulation.feed(latest, Event::StartFailed);
        simulation.act(&Act::Time(10_000));
        assert_eq!(simulation.queue.len(), 1);
    }
    assert_eq!(simulation.calm(), Step::Settled);
    assert_eq!(simulation.state(WorkerId(1)), None);
}

#[test]
fn first_workers_that_all_fail_are_hopeless() {
    for (count, births) in [(1, 3), (2, 3), (4, 4)] {
        let mut simulation = Simulation::new(count);
        let mut end = simulation.settle();
        while let Step::Wait { until } = end {
            simulation.now = until.unwrap_or(simulation.now);
            simulation.settle();
            let ids: Vec<_> = simulation.workers.keys().copied().collect();
            for id in ids {
                simulation.feed(id, Event::Exited);
                end = simulation.settle();
            }
        }
        assert_eq!((end, simulation.born), (Step::Hopeless, births), "{count}");
    }
}

#[test]
fn a_stop_past_its_deadline_kills() {
    let mut simulation = Simulation::new(2);
    simulation.calm();
    let deadline = Some(simulation.now + Duration::from_secs(3));
    let stop = Command::Stop {
        deadline,
        force: false,
    };
    let end = simulation.act(&Act::Command(stop));
    assert_eq!(end, Step::Wait { until: deadline });
    let killed = |simulation: &Simulation| simulation.workers.values().all(|w| w.view.killed);
    simulation.act(&Act::Time(2999));
    assert!(!killed(&simulation));
    simulation.act(&Act::Time(1));
    assert!(killed(&simulation));
}
