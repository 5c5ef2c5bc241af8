//! What one process logs is changed while it runs, and read from outside.

use std::time::Duration;

use cluster_core::operator::OperatorError;
use cluster_core::{DebugError, Debugging, Operation, OperationError, Subject};
use serde_json::{Value, json};

use crate::support::{Cluster, Connection, Kill, Setup, within};

const LONG: Duration = Duration::from_secs(20);

fn set(cluster: &Cluster, of: Subject, filter: Option<&str>) -> Result<Value, OperatorError> {
    let filter = filter.map(str::to_owned);
    cluster.operate(Operation::Debug(Debugging::LogLevel { of, filter }))
}

/// All that a process keeps of its log.
fn lines(cluster: &Cluster, of: Subject) -> Vec<String> {
    let (mut from, mut end, mut all) = (0, None, Vec::new());
    // To what was its end at first: to be asked may be a further line.
    while end.is_none_or(|end| from < end) {
        let asked = Operation::Debug(Debugging::RecentLog { of, from });
        let part = cluster.operate(asked).unwrap();
        let lines = part["lines"].as_array().unwrap().iter();
        all.extend(lines.map(|line| line.as_str().unwrap().to_owned()));
        from = part["next"].as_u64().unwrap();
        end = end.or(part["end"].as_u64());
    }
    all
}

fn says(lines: &[String], level: &str) -> bool {
    lines.iter().any(|line| line.contains(level))
}

#[test]
fn one_worker_says_more_and_the_others_do_not() {
    let mut cluster = Setup::hello().start();
    let [first, second] = [1, 2].map(Subject::Worker);
    assert!(
        says(&lines(&cluster, first), "INFO"),
        "what it said before anybody looked is there"
    );
    let done = set(&cluster, first, Some("trace")).unwrap();
    assert_eq!(
        (&done["before"], &done["now"]),
        (&json!("info"), &json!("trace"))
    );
    within(LONG, "lines of level TRACE or DEBUG", || {
        cluster.get("/");
        let lines = lines(&cluster, first);
        (says(&lines, "TRACE") || says(&lines, "DEBUG")).then_some(())
    });
    assert!(!says(&lines(&cluster, second), "DEBUG"));
    let filters = |status: &Value| {
        let workers = status["workers"].as_array().unwrap();
        workers
            .iter()
            .map(|worker| worker["log_filter"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(filters(&cluster.status()), [json!("trace"), Value::Null]);
    set(&cluster, Subject::Master, Some("info,cluster_core=debug")).unwrap();
    // Both decisions survive the master.
    Kill::of(cluster.master());
    cluster.start_master_again();
    cluster.wait_until_ready();
    let status = cluster.status();
    assert_eq!(filters(&status), [json!("trace"), Value::Null]);
    assert_eq!(status["master"]["log_filter"], "info,cluster_core=debug");
    within(LONG, "the new master's lines of level DEBUG", || {
        says(&lines(&cluster, Subject::Master), "DEBUG").then_some(())
    });
    let done = set(&cluster, first, None).unwrap();
    assert_eq!(
        (&done["before"], &done["now"]),
        (&json!("trace"), &json!("info"))
    );
    assert_eq!(filters(&cluster.status()), [Value::Null, Value::Null]);
    cluster.stop();
}

#[test]
fn a_bad_filter_is_one_clear_error_and_changes_nothing() {
    let cluster = Setup::hello().start();
    let long = "x".repeat(5000);
    for (wrong, named) in [
        ("info,hello=loud", "loud"),
        ("", "empty"),
        (long.as_str(), "4096"),
    ] {
        let error = set(&cluster, Subject::Worker(1), Some(wrong)).unwrap_err();
        match &error {
            OperatorError::Operation(OperationError::Debug(DebugError::BadFilter { .. })) => {}
            other => panic!("{wrong:?}: {other}"),
        }
        let text = error.to_string();
        assert!(text.contains(named) && text.contains("allowed"), "{text}");
    }
    let answer = Connection::put(
        &cluster.monitor(),
        "/debug/log-level/1",
        r#"{"filter":"hello=loud"}"#,
    );
    assert_eq!(answer.unwrap().status, 422);
    assert_eq!(
        set(&cluster, Subject::Worker(1), Some("warn")).unwrap()["before"],
        "info"
    );
    let error = set(&cluster, Subject::Worker(9), Some("warn")).unwrap_err();
    assert!(
        error.to_string().contains("no worker has the id or pid 9"),
        "{error}"
    );
    cluster.stop();
}
