//! What has happened between two looks at the cluster.

use crate::output::human;
use crate::output::status::upgrade;
use crate::state::{Cluster, Process, Worker};

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Happening {
    pub(super) text: String,
    /// It is no good news.
    pub(super) bad: bool,
}

fn good(text: String) -> Happening {
    Happening { text, bad: false }
}

fn bad(text: String) -> Happening {
    Happening { text, bad: true }
}

/// What is other than it was: the cluster first, then its workers.
pub(super) fn between(before: &Cluster, after: &Cluster) -> Vec<Happening> {
    let mut all = Vec::new();
    cluster(before, after, &mut all);
    for queued in &after.death_queue {
        let known = before.death_queue.iter();
        if !known.into_iter().any(|old| old.worker == queued.worker) {
            let (worker, reason) = (queued.worker, &queued.reason);
            all.push(good(format!("worker {worker} is to be replaced: {reason}")));
        }
    }
    for old in &before.workers {
        if !after.workers.iter().any(|new| same(old, new)) {
            all.push(ended(old, before));
        }
    }
    for new in &after.workers {
        match before.workers.iter().find(|old| same(old, new)) {
            None => all.push(good(format!(
                "worker {} has been started: pid {}, {}",
                new.id, new.pid, new.state
            ))),
            Some(old) => changed(old, new, &mut all),
        }
    }
    all
}

fn same(one: &Worker, other: &Worker) -> bool {
    (one.id, one.pid) == (other.id, other.pid)
}

fn cluster(before: &Cluster, after: &Cluster, all: &mut Vec<Happening>) {
    let (old, new) = (before.master.pid, after.master.pid);
    if old != new {
        all.push(good(format!(
            "master {new} has taken over from master {old}"
        )));
    }
    if before.build != after.build {
        all.push(good(format!("the master runs build {}", after.build)));
    }
    if before.state != after.state || before.crash_loop != after.crash_loop {
        all.push(match &after.crash_loop {
            Some(cause) => bad(format!("the cluster is {}: {cause}", after.state)),
            None => good(format!("the cluster is {}", after.state)),
        });
    }
    if before.mark != after.mark {
        all.push(good(format!("the node is marked {}", after.mark)));
    }
    if before.wanted != after.wanted {
        let wanted = human::count(after.wanted, "worker");
        all.push(good(format!("{wanted} wanted, {} before", before.wanted)));
    }
    if before.rolling != after.rolling {
        let text = match after.rolling {
            true => "all workers are being replaced",
            false => "the rolling restart is over",
        };
        all.push(good(text.to_owned()));
    }
    if before.upgrade != after.upgrade
        && let Some(now) = &after.upgrade
    {
        let text = upgrade(now).unwrap_or_else(|| format!("all processes run build {}", now.to));
        all.push(Happening {
            text,
            bad: now.step == "failed",
        });
    }
    let pid = |process: &Option<Process>| process.as_ref().map(|process| process.pid);
    match (pid(&before.cache_manager), pid(&after.cache_manager)) {
        (Some(old), None) => all.push(bad(format!("cache manager {old} has ended"))),
        (Some(old), Some(new)) if old != new => all.push(good(format!(
            "cache manager {new} has taken the place of {old}"
        ))),
        (None, Some(new)) => all.push(good(format!("cache manager {new} has been started"))),
        _ => {}
    }
}

fn ended(old: &Worker, before: &Cluster) -> Happening {
    let queued = before.death_queue.iter().any(|q| q.worker == old.id);
    let text = format!("worker {} (pid {})", old.id, old.pid);
    if queued || old.state == "retiring" {
        good(format!("{text} has ended"))
    } else {
        bad(format!("{text} has died: it was {}", old.state))
    }
}

fn changed(old: &Worker, new: &Worker, all: &mut Vec<Happening>) {
    if old.state != new.state {
        let at = new
            .isolated
            .as_ref()
            .map(|address| format!(", at {address}"));
        let (id, state, at) = (new.id, &new.state, at.unwrap_or_default());
        all.push(good(format!("worker {id} is {state}{at}")));
    }
    if new.suspect && !old.suspect {
        all.push(bad(format!("worker {} is silent", new.id)));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: Value) -> Cluster {
        serde_json::from_value(value).unwrap()
    }

    fn texts(before: &Cluster, after: &Cluster) -> Vec<(String, bool)> {
        let all = between(before, after).into_iter();
        all.map(|one| (one.text, one.bad)).collect()
    }

    #[test]
    fn a_worker_that_dies_is_told_from_one_that_leaves() {
        let before = read(json!({
            "master": { "pid": 9 },
            "workers": [{ "id": 1, "pid": 11, "state": "active" }, { "id": 2, "pid": 12, "state": "retiring" }],
        }));
        let after = read(json!({
            "master": { "pid": 9 },
            "workers": [{ "id": 3, "pid": 13, "state": "warming" }],
        }));
        let expected = [
            ("worker 1 (pid 11) has died: it was active", true),
            ("worker 2 (pid 12) has ended", false),
            ("worker 3 has been started: pid 13, warming", false),
        ];
        let expected = expected.map(|(text, bad)| (text.to_owned(), bad));
        assert_eq!(texts(&before, &after), expected);
        assert_eq!(texts(&after, &after), []);
    }

    #[test]
    fn what_becomes_of_the_cluster() {
        let before = read(
            json!({ "master": { "pid": 9 }, "mark": "up", "wanted": 2, "cache_manager": { "pid": 5 } }),
        );
        let after = read(json!({
            "master": { "pid": 10 }, "mark": "down", "wanted": 3, "rolling": true, "cache_manager": { "pid": 6 },
            "death_queue": [{ "worker": 1, "reason": "too old" }],
            "upgrade": { "to": "b2", "step": "failed", "cause": "warm-up" },
        }));
        let texts = texts(&before, &after);
        let texts: Vec<&str> = texts.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "master 10 has taken over from master 9",
                "the node is marked down",
                "3 workers wanted, 2 before",
                "all workers are being replaced",
                "the last upgrade, to build b2, failed: warm-up",
                "cache manager 6 has taken the place of 5",
                "worker 1 is to be replaced: too old",
            ]
        );
    }
}
