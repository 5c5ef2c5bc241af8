use std::collections::BTreeMap;

use super::super::census::tests::sample;
use super::super::http::Failure;
use super::super::journal::{Deed, Hit};
use super::*;

/// A run in which nothing was wrong: two looks in each second from 100 s to 120 s.
fn calm() -> Records {
    let looks = (100_000..120_000).step_by(500);
    Records {
        samples: looks.map(|at| sample(at, &["active"; 3])).collect(),
        calm: Calm {
            after: Some(Duration::from_secs(2)),
            unlike: None,
        },
        ..Records::default()
    }
}

fn failed(port: u16, opened: Ms, ended: Ms) -> Failed {
    Failed {
        port: Some(port),
        opened,
        began: opened,
        ended,
        asked: "GET /".into(),
        how: Failure::Unanswered,
    }
}

fn found(records: &Records) -> Vec<String> {
    let findings = judge(records);
    findings.iter().map(Finding::to_string).collect()
}

#[test]
fn where_nothing_was_wrong_nothing_is_found() {
    assert_eq!(found(&calm()), [""; 0]);
}

#[test]
fn a_request_fails_with_the_process_that_had_accepted_it_and_else_never() {
    let mut records = calm();
    records.deeds.killed = vec![Killed {
        pid: 101,
        at: 110_000,
        connections: [7, 8].into(),
    }];
    records.failed = vec![failed(7, 109_000, 110_002), failed(8, 100_000, 110_000)];
    assert_eq!(found(&records), [""; 0]);
    records.failed = vec![
        failed(9, 109_000, 110_002),
        // These ports belonged to other connections at these times.
        failed(7, 110_001, 110_500),
        failed(8, 100_000, 109_999),
    ];
    assert_eq!(found(&records).len(), 3);
    records.failed = vec![Failed {
        port: None,
        how: Failure::Refused,
        ..failed(7, 109_999, 110_001)
    }];
    assert_eq!(found(&records), ["GET / failed: nobody listens"]);
}

#[test]
fn the_cache_may_refuse_while_it_is_away_and_may_not_lose_anything() {
    let refused = |began: Ms| Unavailable {
        began,
        ended: began + 100,
        served_by: Some(101),
        why: "late".into(),
    };
    let mut records = calm();
    records.kept.unavailable = vec![refused(105_000)];
    assert_eq!(found(&records), ["the cache was not to be asked: late"]);
    records.deeds.deeds = vec![Deed {
        from: 104_000,
        until: 104_500,
        hit: Hit::Cache,
    }];
    assert_eq!(found(&records), [""; 0]);
    records.kept.astray = vec![Astray {
        at: 105_000,
        key: "k".into(),
        value: 3,
        floor: 4,
        ceiling: 5,
    }];
    records.unread = 2;
    let expected = [
        "k was 3, and must have been 4 to 5",
        "2 keys could not be read in the end",
    ];
    assert_eq!(found(&records), expected);
}

/// Worker 101 has missed event 5 of worker 102 at 110 s.
fn with_a_gap() -> Records {
    let shown = serde_json::json!({
        "by": { "pid": 102, "since_ms": 1 }, "last": 9, "disorder": [],
        "gaps": [{ "after": 4, "before": 6, "since_ms": 110_000, "until_ms": 110_100 }],
    });
    let [listener, speaker] =
        [101, 102].map(|pid| super::super::events::Speaker { pid, since_ms: 1 });
    let mut records = calm();
    records.told.heard =
        BTreeMap::from([((listener, speaker), serde_json::from_value(shown).unwrap())]);
    records
}

#[test]
fn an_event_may_be_lost_where_its_way_broke() {
    let lost = "process 101 did not hear the events between 4 and 6 of process 102";
    assert_eq!(found(&with_a_gap()), [lost]);
    let mut refused = with_a_gap();
    let speaker = refused.told.heard.keys().next().unwrap().1;
    refused.told.refused.insert((speaker, 5));
    assert_eq!(found(&refused), [""; 0], "its speaker was told");
    let mut cut = with_a_gap();
    let hit = Hit::Link(102);
    let (from, until) = (109_000, 109_100);
    cut.deeds.deeds = vec![Deed { from, until, hit }];
    assert_eq!(found(&cut), [""; 0]);
    let mut paused = with_a_gap();
    paused.samples[20].workers[0].state = "paused".into();
    assert_eq!(found(&paused), [""; 0]);
    let mut renewed = with_a_gap();
    renewed.samples[20..]
        .iter_mut()
        .for_each(|sample| sample.master.pid = 11);
    assert_eq!(found(&renewed), [""; 0]);
}

#[test]
fn nothing_excuses_disorder_deafness_leaks_or_workers_too_many() {
    let mut records = with_a_gap();
    for heard in records.told.heard.values_mut() {
        heard.gaps.clear();
        heard.disorder.push((7, 7));
    }
    records.deaf = vec![(103, 101)];
    records.leaks = vec!["the file x is left".into()];
    records.deeds.wrong = vec!["a broken program was accepted".into()];
    records.calm.unlike = Some("4 workers".into());
    let expected = [
        "a broken program was accepted",
        "not as wanted in time, but after 2.0 s: 4 workers",
        "the file x is left",
        "process 101 heard event 7 of process 102 after its event 7",
        "process 103 has not heard the last event of process 101",
    ];
    assert_eq!(found(&records), expected);
    records.calm.after = None;
    assert!(found(&records)[1].starts_with("never as wanted again"));
}
