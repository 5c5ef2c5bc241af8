//! Questions and how they end.

use tokio::sync::oneshot;

use super::*;
use crate::bridge::pending::Settled;
use crate::emitter::{AskError, Target};

/// Answers no question until it is told to.
fn hold(emitter: &Emitter) -> (mpsc::UnboundedReceiver<()>, oneshot::Sender<()>) {
    let (arrived, arrives) = mpsc::unbounded_channel();
    let (go, gone) = oneshot::channel::<()>();
    let gone = futures_util::FutureExt::shared(gone);
    emitter.answer(move |Double(number): Double, _| {
        let (arrived, gone) = (arrived.clone(), gone.clone());
        async move {
            let _ = arrived.send(());
            let _ = gone.await;
            number * 2
        }
    });
    (arrives, go)
}

#[actix_rt::test]
async fn a_cache_manager_within_the_master_is_asked_there() {
    let master = master(&[1]);
    let worker = link(&master, ONE, &[1]).worker;
    master.answer(|Double(number): Double, _| async move { number * 2 });
    let unknown = soon(worker.ask(Target::CacheManager, Double(4))).await;
    assert!(
        matches!(unknown, Err(AskError::Undelivered { .. })),
        "{unknown:?}"
    );
    worker.hub.set_roster(Roster {
        cache_in_master: true,
        ..roster(&[1])
    });
    let known = soon(worker.ask(Target::CacheManager, Double(4))).await;
    assert_eq!(known.unwrap(), 8);
}

#[actix_rt::test]
async fn each_target_answers_for_itself() {
    let master = master(&[1, 2]);
    let (first, second) = (link(&master, ONE, &[1, 2]), link(&master, TWO, &[1, 2]));
    first
        .worker
        .answer(|Double(number): Double, _| async move { number * 2 });
    let answers = soon(
        master
            .to([Target::Workers, Target::Worker(7)])
            .ask(Double(4)),
    )
    .await;
    let results: Vec<_> = answers
        .iter()
        .map(|answer| (answer.target, &answer.result))
        .collect();
    assert!(
        matches!(results[0], (Target::Worker(1), Ok(8))),
        "{results:?}"
    );
    assert!(
        matches!(
            results[1],
            (Target::Worker(2), Err(AskError::NoHandler(TWO)))
        ),
        "{results:?}"
    );
    assert!(matches!(
        results[2],
        (Target::Worker(7), Err(AskError::Undelivered { .. }))
    ));
    assert_eq!(
        soon(second.worker.ask(Target::Worker(1), Double(5)))
            .await
            .unwrap(),
        10
    );
}

#[actix_rt::test]
async fn a_question_ends_at_its_deadline_and_a_late_answer_is_counted() {
    let master = master(&[1]);
    let linked = link(&master, ONE, &[1]);
    let (mut arrives, go) = hold(&master);
    let patient = linked
        .worker
        .to([Target::Master])
        .wait(Duration::from_millis(20));
    let answers = soon(patient.ask(Double(1))).await;
    let deadline = &answers[0].result;
    assert!(
        matches!(
            deadline,
            Err(AskError::Deadline {
                target: ProcessId::Master,
                waited_ms: 20
            })
        ),
        "{deadline:?}"
    );
    soon(arrives.recv()).await;
    go.send(()).unwrap();
    // A second question is answered behind the first.
    assert_eq!(
        soon(linked.worker.ask(Target::Master, Double(3)))
            .await
            .unwrap(),
        6
    );
    assert_eq!(linked.worker.counters().late_answers, 1);
}

#[actix_rt::test]
async fn a_question_to_a_process_whose_link_breaks_ends_at_once() {
    let master = master(&[1]);
    let linked = link(&master, ONE, &[1]);
    let (mut arrives, _go) = hold(&linked.worker);
    let asking = {
        let master = master.clone();
        actix_rt::spawn(async move { master.ask(Target::Worker(1), Double(1)).await })
    };
    soon(arrives.recv()).await;
    linked.up.close();
    assert!(matches!(soon(linked.lower).await, Ok(Closed::Here)));
    assert!(matches!(soon(linked.upper).await, Ok(Closed::Eof)));
    // What the master does when a link has ended.
    master.hub.unlink(ONE, &linked.down);
    assert!(matches!(
        soon(asking).await.unwrap(),
        Err(AskError::LinkLost(ONE))
    ));
    let next = soon(master.ask(Target::Worker(1), Double(2))).await;
    assert!(
        matches!(next, Err(AskError::Undelivered { .. })),
        "{next:?}"
    );
}

#[actix_rt::test]
async fn a_question_to_a_process_that_leaves_the_roster_ends_at_once() {
    let master = master(&[1, 2]);
    let (first, second) = (link(&master, ONE, &[1, 2]), link(&master, TWO, &[1, 2]));
    let (mut arrives, _go) = hold(&second.worker);
    let asking = {
        let worker = first.worker.clone();
        actix_rt::spawn(async move { worker.ask(Target::Worker(2), Double(1)).await })
    };
    soon(arrives.recv()).await;
    first.worker.hub.set_roster(roster(&[1]));
    assert!(matches!(
        soon(asking).await.unwrap(),
        Err(AskError::Dead(TWO))
    ));
}

#[actix_rt::test]
async fn an_answer_from_another_than_was_asked_is_none() {
    let (worker, _up) = worker(ONE, &[1, 2]);
    let hub = &worker.hub;
    let (heard, mut hears) = mpsc::unbounded_channel();
    let waiter = Box::new(move |_: Settled<'_>| {
        let _ = heard.send(());
    });
    let number = hub
        .pending
        .file(
            TWO,
            tokio::time::Instant::now() + Duration::from_secs(600),
            waiter,
        )
        .unwrap();
    assert!(
        !hub.pending
            .settle(number, ProcessId::Master, Settled::LinkLost)
    );
    assert!(hears.try_recv().is_err());
    assert!(hub.pending.settle(number, TWO, Settled::LinkLost));
    assert!(hears.try_recv().is_ok());
}
