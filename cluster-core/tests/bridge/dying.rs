//! Processes that end while others wait for them.

use cluster_core::{Addressee, Operation};
use rustix::process::{Pid, Signal, kill_process};

use crate::cluster::Live;

#[test]
fn a_question_to_a_process_that_is_killed_ends_with_it() {
    let live = Live::start(2);
    let state = live.operate(Operation::Status);
    let first = &state["workers"][0];
    let (id, pid) = (
        first["id"].as_u64().unwrap(),
        first["pid"].as_i64().unwrap(),
    );
    let other = state["workers"][1]["id"].as_u64().unwrap();
    let question = format!("{{\"worker\": {id}}}");
    live.emit("AskInVain", &question, Addressee::Master);
    live.emit(
        "AskInVain",
        &question,
        Addressee::Worker(u32::try_from(other).unwrap()),
    );
    live.wait_for_line(&["asked in vain by master"]);
    live.wait_for_line(&[&format!("asked in vain by worker {other}")]);
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    let came = format!("of worker {id} came");
    let ends = live.wait_for("both ends of the question", || {
        let log = live.log();
        let ends: Vec<String> = log
            .lines()
            .filter(|line| line.contains(&came))
            .map(str::to_owned)
            .collect();
        (ends.len() == 2).then_some(ends)
    });
    // The master sees the link break, the other worker hears that the process is gone.
    assert!(
        ends.iter()
            .any(|end| end.contains("LinkLost") || end.contains("Dead")),
        "{ends:?}"
    );
    assert!(
        ends.iter()
            .all(|end| !end.contains("Deadline") && !end.contains("Ok")),
        "{ends:?}"
    );
    live.wait_for("a successor", || (live.workers().len() == 2).then_some(()));
    live.stop();
}
