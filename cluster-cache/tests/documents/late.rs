//! A process that comes back long after the manager was killed and another one serves.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::process::{Order, PATIENCE, Process, caches, options};

/// Much longer than a new manager waits for what processes know.
const AWAY: Duration = Duration::from_secs(2);

fn signal(process: &Process, signal: Signal) {
    let pid = Pid::from_raw(process.pid().try_into().unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

async fn stop(process: &Process) {
    signal(process, Signal::STOP);
    let stopped = async {
        let status = format!("/proc/{}/stat", process.pid());
        // The state stands after the name, which is in brackets.
        while !std::fs::read_to_string(&status).unwrap().contains(") T ") {
            tokio::time::sleep(Duration::from_millis(1)).await; // wait: a process stops, and tells nobody here
        }
    };
    tokio::time::timeout(PATIENCE, stopped).await.unwrap();
}

/// What a process has changed and no manager has confirmed is made when it comes back, after what the others have changed meanwhile; what was
/// flushed is there; and all hold the same, to the byte.
async fn comes_back_late(home: &Path, other_is_there: bool) {
    let server = Process::start(home, "serves").await;
    let mut late = Process::start(home, "").await;
    let mut other = Process::start(home, "").await;
    late.sets("flushed.late", json!({"n": [1, 2.5, "x"]})).await;
    other.sets("flushed.other", json!(1)).await;
    for process in [&mut late, &mut other] {
        process.does(&Order::Flush).await;
    }
    // What is changed from here on nobody confirms.
    stop(&server).await;
    late.sets("both", json!("late")).await;
    late.sets("list[2]", json!({"of": "late"})).await;
    other.sets("both", json!("other")).await;
    other.sets("list", json!([0])).await;
    for n in 0..100 {
        late.sets(&format!("late.n{n}"), json!(n)).await;
    }
    stop(&late).await;
    if !other_is_there {
        stop(&other).await;
    }
    drop(server);
    let _server = Process::start(home, "serves").await;
    let mut fresh = Process::start(home, "").await;
    fresh.sets("fresh", json!(true)).await;
    if other_is_there {
        other.sets("after", json!(1)).await;
        other.does(&Order::Flush).await;
    }
    tokio::time::sleep(AWAY).await; // wait: the time passes in which a new manager asks what processes know
    let before: Value = serde_json::from_str(&fresh.shows().await).unwrap();
    assert_eq!(
        (&before["late"], &before["flushed"]["other"]),
        (&Value::Null, &json!(1))
    );
    assert_eq!(before["both"] == json!("other"), other_is_there);
    signal(&late, Signal::CONT);
    signal(&other, Signal::CONT);
    // Each has sent its own before it is told what there is.
    let own: Value = serde_json::from_str(&late.shows().await).unwrap();
    assert_eq!(own["late"]["n99"], json!(99));
    other.shows().await;
    late.does(&Order::Flush).await;
    let text = late.shows().await;
    let document = caches(home).document("shared", options(home)).unwrap();
    assert_eq!(std::fs::read_to_string(document.filename()).unwrap(), text);
    let mut newcomer = Process::start(home, "").await;
    for process in [&mut other, &mut fresh, &mut newcomer] {
        assert_eq!(process.shows().await, text);
    }
    let shown: Value = serde_json::from_str(&text).unwrap();
    let flushed = json!({"late": {"n": [1, 2.5, "x"]}, "other": 1});
    assert_eq!(
        (&shown["flushed"], &shown["fresh"]),
        (&flushed, &json!(true))
    );
    for n in 0..100 {
        assert_eq!(shown["late"][format!("n{n}")], json!(n));
    }
    // Which of them is last where both come back at once, nobody has said.
    match shown["both"] == json!("other") && !other_is_there {
        true => assert_eq!(shown["list"], json!([0])),
        false => {
            assert_eq!(shown["both"], json!("late"));
            assert_eq!(shown["list"], json!([0, null, {"of": "late"}]));
        }
    }
}

#[actix_rt::test]
async fn while_others_have_gone_on() {
    let home = tempfile::tempdir().unwrap();
    comes_back_late(home.path(), true).await;
}

#[actix_rt::test]
async fn and_nobody_was_there_meanwhile() {
    let home = tempfile::tempdir().unwrap();
    comes_back_late(home.path(), false).await;
}

/// Whatever becomes of the file, processes have the document.
#[actix_rt::test]
async fn a_damaged_file_is_set_aside_and_written_anew() {
    let home = tempfile::tempdir().unwrap();
    let server = Process::start(home.path(), "serves").await;
    let mut process = Process::start(home.path(), "").await;
    process.sets("a", json!({"b": [1, 2]})).await;
    process.does(&Order::Flush).await;
    let text = process.shows().await;
    drop(server);
    let file = home.path().join("shared.json");
    std::fs::write(&file, "{\"a\":").unwrap();
    let _server = Process::start(home.path(), "serves").await;
    assert_eq!(process.shows().await, text);
    process.does(&Order::Flush).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    let names = std::fs::read_dir(home.path()).unwrap().flatten();
    let aside = names.filter(|entry| {
        let name = entry.file_name();
        name.to_str().unwrap().starts_with("shared.json.damaged-")
    });
    let aside: Vec<_> = aside
        .map(|entry| std::fs::read_to_string(entry.path()).unwrap())
        .collect();
    assert_eq!(aside, ["{\"a\":"]);
    let mut newcomer = Process::start(home.path(), "").await;
    assert_eq!(newcomer.shows().await, text);
}
