use super::*;
use crate::health::vitals::History;
use crate::protocol::Beat;

const MIB: u64 = 1024 * 1024;

fn limits() -> Limits {
    Limits {
        max_age: Duration::from_secs(1000),
        max_requests: None,
        max_memory: Some(100 * MIB),
        max_lag: Some(Duration::from_millis(200)),
        threads: 1,
    }
}

/// A worker whose beats come every 5 s, where it is not said otherwise.
struct Worker {
    id: WorkerId,
    beat: Beat,
    history: History,
    tally: Tally,
    limits: Limits,
    interval_ms: u64,
}

impl Worker {
    fn born(id: u32) -> Self {
        let mut worker = Worker {
            id: WorkerId(id),
            beat: Beat {
                private_bytes: 10 * MIB,
                ..Beat::default()
            },
            history: History::default(),
            tally: Tally::default(),
            limits: limits(),
            interval_ms: 5000,
        };
        assert_eq!(worker.beats(), Judgement::Keep);
        worker
    }

    fn beats(&mut self) -> Judgement {
        self.beats_and(|said| said)
    }

    fn beats_and(&mut self, decide: impl FnOnce(Option<Decay>) -> Option<Decay>) -> Judgement {
        let vitals = self.history.note(self.id, &self.beat);
        let verdict = self.tally.judge(&vitals, &self.limits, decide);
        self.beat.uptime_ms += self.interval_ms;
        verdict
    }

    /// Uses so many cores until the next beat, and answers so many requests a second.
    fn works(&mut self, cores: f64, tps: f64) {
        self.beat.cpu_ms += (cores * 5000.0) as u64;
        self.beat.requests += (tps * 5.0) as u64;
    }
}

#[test]
fn each_is_old_at_an_age_of_its_own_within_a_tenth() {
    let is_old = |id: u32, age_s: u64| {
        let mut worker = Worker::born(id);
        worker.beat.uptime_ms = age_s * 1000;
        worker.beats() == Judgement::Replace(Decay::MaxAge { age_s })
    };
    for id in 1..100 {
        assert!(!is_old(id, 999), "worker {id}");
        assert!(is_old(id, 1100), "worker {id}");
    }
    let old_at_half = (1..101).filter(|id| is_old(*id, 1050)).count();
    assert!((40..=60).contains(&old_at_half), "{old_at_half} of 100");
}

#[test]
fn each_answers_as_many_requests_as_it_may() {
    let mut worker = Worker::born(3);
    worker.limits.max_requests = Some(1000);
    worker.beat.requests = 999;
    assert_eq!(worker.beats(), Judgement::Keep);
    worker.beat.requests = 1100;
    let enough = Decay::MaxRequests { requests: 1100 };
    assert_eq!(worker.beats(), Judgement::Replace(enough));
    worker.limits.max_requests = None;
    assert_eq!(worker.beats(), Judgement::Keep);
}

#[test]
fn memory_and_lag_have_to_be_too_much_for_three_beats_in_a_row() {
    let mut worker = Worker::born(1);
    for _ in 0..2 {
        for bytes in [101, 101, 99] {
            worker.beat.private_bytes = bytes * MIB;
            assert_eq!(worker.beats(), Judgement::Keep);
        }
    }
    worker.beat.private_bytes = 150 * MIB;
    assert_eq!(worker.beats(), Judgement::Keep);
    assert_eq!(worker.beats(), Judgement::Keep);
    let too_much = Decay::MaxMemory {
        bytes: 150 * MIB,
        allowed: 100 * MIB,
    };
    assert_eq!(worker.beats(), Judgement::Replace(too_much));

    let mut worker = Worker::born(1);
    worker.beat.lag_us = 300_000;
    assert_eq!(worker.beats(), Judgement::Keep);
    assert_eq!(worker.beats(), Judgement::Keep);
    let late = Decay::MaxLag {
        lag_ms: 300,
        allowed_ms: 200,
    };
    assert_eq!(worker.beats(), Judgement::Replace(late));
}

#[test]
fn a_worker_that_does_less_at_a_higher_cost_is_degraded() {
    let mut worker = Worker::born(1);
    worker.works(0.5, 1000.0);
    assert_eq!(worker.beats(), Judgement::Keep);
    // Fewer requests come: that costs less.
    for _ in 0..5 {
        worker.works(0.2, 300.0);
        worker.beat.private_bytes = 20 * MIB;
        worker.beat.lag_us = 500;
        assert_eq!(worker.beats(), Judgement::Keep);
    }
    let degraded = |percent_of_peak| Judgement::Replace(Decay::Degraded { percent_of_peak });
    for n in 0..3 {
        worker.works(0.8, 700.0);
        let expected = if n < 2 { Judgement::Keep } else { degraded(70) };
        assert_eq!(worker.beats(), expected);
    }
    // Under 2 requests a second nothing is said.
    for _ in 0..5 {
        worker.works(0.9, 1.0);
        assert_eq!(worker.beats(), Judgement::Keep);
    }
    // A core that was full at the best has nothing to spare later.
    let mut worker = Worker::born(1);
    worker.works(0.99, 1000.0);
    assert_eq!(worker.beats(), Judgement::Keep);
    worker.beat.private_bytes = 20 * MIB;
    worker.beat.retained_bytes = MIB;
    for n in 0..3 {
        worker.works(0.97, 500.0);
        let expected = if n < 2 { Judgement::Keep } else { degraded(50) };
        assert_eq!(worker.beats(), expected);
    }
}

#[test]
fn what_holds_for_a_newborn_worker_is_not_heeded_for_it() {
    let mut worker = Worker {
        tally: Tally::default(),
        history: History::default(),
        ..Worker::born(1)
    };
    worker.limits.max_memory = Some(MIB);
    let too_much = Decay::MaxMemory {
        bytes: 10 * MIB,
        allowed: MIB,
    };
    assert_eq!(worker.beats(), Judgement::Unheeded(vec![too_much]));
    for _ in 0..5 {
        assert_eq!(worker.beats(), Judgement::Keep);
    }
    // All others are heeded.
    worker.limits.max_requests = Some(1000);
    worker.beat.requests = 5000;
    let enough = Decay::MaxRequests { requests: 5000 };
    assert_eq!(worker.beats(), Judgement::Replace(enough));
}

#[test]
fn the_application_has_the_last_word() {
    let mut worker = Worker::born(1);
    worker.limits.max_requests = Some(1000);
    worker.beat.requests = 5000;
    assert_eq!(worker.beats_and(|_| None), Judgement::Keep);
    let because = || Some(Decay::because("it is Friday"));
    let replaced = Judgement::Replace(Decay::because("it is Friday"));
    assert_eq!(worker.beats_and(|_| because()), replaced);
    let mut worker = Worker {
        tally: Tally::default(),
        ..Worker::born(1)
    };
    let unheeded = Judgement::Unheeded(vec![Decay::because("it is Friday")]);
    assert_eq!(worker.beats_and(|_| because()), unheeded);
    assert_eq!(worker.beats_and(|_| because()), Judgement::Keep);
}

#[test]
fn reasons_read_well() {
    let said = |decay: Decay| decay.to_string();
    assert_eq!(said(Decay::MaxAge { age_s: 9 }), "too old at 9 s");
    let memory = Decay::MaxMemory {
        bytes: 300 * MIB,
        allowed: 256 * MIB,
    };
    assert_eq!(said(memory), "takes 300 MiB of memory (allowed: 256)");
}

#[test]
fn beats_that_come_fast_are_taken_together() {
    let mut worker = Worker::born(1);
    worker.works(0.5, 1000.0);
    assert_eq!(worker.beats(), Judgement::Keep);
    worker.beat.private_bytes = 150 * MIB;
    worker.interval_ms = 100;
    let born = worker.beat.uptime_ms;
    let replaced = (0..100).find_map(|_| {
        let now = worker.beat.uptime_ms;
        (worker.beats() != Judgement::Keep).then_some(now - born)
    });
    assert!((2000..=4000).contains(&replaced.unwrap()), "{replaced:?}");
}
