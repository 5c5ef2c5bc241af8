//! What is emitted arrives: in order, once, whole, at whom it was for.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::emitter::{Target, Undelivered};

/// Emits as an application would.
async fn tell(emitter: &Emitter, target: Target, note: Note) {
    while let Err(e) = emitter.emit_to(target, note.clone()) {
        assert!(
            matches!(e.failures[..], [(_, Undelivered::Backlogged)]),
            "{e}"
        );
        soon(emitter.ready()).await;
    }
}

#[actix_rt::test]
async fn order_holds_for_small_and_large_in_both_directions() {
    let master = master(&[1]);
    let linked = link(&master, ONE, &[1]);
    let (mut above, mut below) = (hear(&master), hear(&linked.worker));
    let long = |number: u64| {
        if number.is_multiple_of(50) {
            200_000
        } else {
            10
        }
    };
    let texts = |number| Note {
        number,
        text: "x".repeat(long(number)),
    };
    for number in 0..2000 {
        tell(&linked.worker, Target::Master, texts(number)).await;
        tell(&master, Target::Worker(1), texts(number)).await;
    }
    for number in 0..2000 {
        let (up, from) = soon(above.recv()).await.unwrap();
        assert_eq!(
            (up.number, up.text.len(), from),
            (number, long(number), ONE)
        );
        let (down, from) = soon(below.recv()).await.unwrap();
        assert_eq!(
            (down.number, down.text.len(), from),
            (number, long(number), ProcessId::Master)
        );
    }
}

#[actix_rt::test]
async fn a_message_of_many_chunks_arrives_whole_and_one_beyond_the_bound_is_refused() {
    let master = master(&[1]);
    let linked = link(&master, ONE, &[1]);
    let mut above = hear(&master);
    let text: String = (0..5_000_000u32)
        .map(|n| char::from(b'a' + (n % 23) as u8))
        .collect();
    let big = Note { number: 1, text };
    linked.worker.emit_to(Target::Master, big.clone()).unwrap();
    assert_eq!(soon(above.recv()).await.unwrap(), (big, ONE));

    let beyond = Note {
        number: 2,
        text: "y".repeat(17 * 1024 * 1024),
    };
    let refused = linked.worker.emit_to(Target::Master, beyond).unwrap_err();
    assert!(matches!(
        refused.failures[..],
        [(Target::Master, Undelivered::TooLarge(_))]
    ));
    assert!(!refused.is_retryable());
    linked.worker.emit_to(Target::Master, note(3)).unwrap();
    assert_eq!(
        soon(above.recv()).await.unwrap().0,
        note(3),
        "the link goes on"
    );
}

#[actix_rt::test]
async fn workers_reach_each_other_through_the_master_and_nobody_hears_twice() {
    let master = master(&[1, 2]);
    let (first, second) = (link(&master, ONE, &[1, 2]), link(&master, TWO, &[1, 2]));
    let (mut at_one, mut at_two) = (hear(&first.worker), hear(&second.worker));
    let all = first
        .worker
        .to([Target::Workers, Target::Worker(2), Target::Workers]);
    all.emit(note(1)).unwrap();
    first.worker.emit_to(Target::Worker(1002), note(2)).unwrap();
    assert_eq!(soon(at_two.recv()).await.unwrap(), (note(1), ONE));
    assert_eq!(
        soon(at_two.recv()).await.unwrap(),
        (note(2), ONE),
        "a pid is a name too"
    );
    assert_eq!(soon(at_one.recv()).await.unwrap(), (note(1), ONE));
    assert!(at_one.try_recv().is_err());
    let unknown = first
        .worker
        .emit_to(Target::Worker(9), note(3))
        .unwrap_err();
    assert!(matches!(
        unknown.failures[..],
        [(Target::Worker(9), Undelivered::Unknown)]
    ));
}

#[actix_rt::test]
async fn once_hears_once_and_a_dropped_subscription_nothing() {
    let master = master(&[1]);
    let linked = link(&master, ONE, &[1]);
    let count = || Arc::new(AtomicU32::new(0));
    let (once, dropped, cleared) = (count(), count(), count());
    let counting = |count: &Arc<AtomicU32>| {
        let count = Arc::clone(count);
        move |_: Note, _| {
            count.fetch_add(1, Ordering::Relaxed);
        }
    };
    let _once = master.once(counting(&once));
    let subscription = master.on(counting(&dropped));
    let mut above = hear(&master);
    for number in 0..3 {
        linked.worker.emit_to(Target::Master, note(number)).unwrap();
        soon(above.recv()).await.unwrap();
    }
    drop(subscription);
    master.on(counting(&cleared)).forever();
    linked.worker.emit_to(Target::Master, note(3)).unwrap();
    soon(above.recv()).await.unwrap();
    master.off_all::<Note>();
    let before = master.counters();
    linked.worker.emit_to(Target::Master, note(4)).unwrap();
    assert_eq!(
        linked
            .worker
            .ask(Target::Master, Double(1))
            .await
            .map_err(|e| e.to_string()),
        Err("master has no handler for this request".into())
    );
    assert_eq!(
        master.counters().unheard,
        before.unheard + 1,
        "nobody is left"
    );
    let counted = [&once, &dropped, &cleared].map(|count| count.load(Ordering::Relaxed));
    assert_eq!(counted, [1, 3, 1]);
}

#[test]
fn once_hears_once_however_many_threads_emit() {
    let emitter = Emitter::alone();
    for _ in 0..200 {
        let heard = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&heard);
        let _once = emitter.once(move |_: Note, _| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        std::thread::scope(|scope| {
            for number in 0..4 {
                let emitter = &emitter;
                scope.spawn(move || emitter.emit(note(number)).unwrap());
            }
        });
        assert_eq!(heard.load(Ordering::Relaxed), 1);
    }
}
