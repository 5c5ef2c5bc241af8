//! Who there is: the cluster as its monitor shows it, looked at again and again.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use super::clock::{Ms, now};
use super::http::{Connection, Request};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// How long the monitor may take to answer: it answers from what the master knows.
const PATIENCE: Duration = Duration::from_secs(1);

/// The master or the cache manager.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) state: String,
    uptime_ms: Ms,
    pub(crate) build: String,
}

/// A worker.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Worker {
    pub(crate) id: u32,
    pub(crate) pid: u32,
    pub(crate) state: String,
    pub(crate) linked: bool,
    pub(crate) build: String,
}

/// The cluster at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Sample {
    #[serde(skip)]
    pub(crate) at: Ms,
    pub(crate) master: Process,
    pub(crate) cache_manager: Option<Process>,
    pub(crate) workers: Vec<Worker>,
    death_queue: Vec<serde_json::Value>,
}

impl Process {
    pub(crate) fn is_active(&self) -> bool {
        self.state == "active"
    }

    /// When it began, as seen at this moment: two looks at one process differ by some milliseconds.
    pub(crate) fn began(&self, at: Ms) -> Ms {
        at.saturating_sub(self.uptime_ms)
    }
}

impl Worker {
    /// It serves, and hears what is told to all workers.
    pub(crate) fn is_active(&self) -> bool {
        self.state == "active"
    }
}

impl Sample {
    /// Those who serve.
    pub(crate) fn active(&self) -> impl Iterator<Item = &Worker> {
        self.workers.iter().filter(|worker| worker.is_active())
    }

    /// All processes below the one that started the master, and the master.
    pub(crate) fn pids(&self) -> BTreeSet<u32> {
        let workers = self.workers.iter().map(|worker| worker.pid);
        let cache = self.cache_manager.iter().map(|cache| cache.pid);
        workers.chain(cache).chain([self.master.pid]).collect()
    }

    /// What differs from so many workers that serve, a cache manager, and nothing to be done; none where nothing does.
    pub(crate) fn unlike(&self, wanted: u32) -> Option<String> {
        let active = self.active().count();
        if active != wanted as usize || self.workers.len() != active {
            let states: Vec<_> = self
                .workers
                .iter()
                .map(|worker| format!("{} {}", worker.id, worker.state))
                .collect();
            return Some(format!(
                "{wanted} workers are to serve; there are: {}",
                states.join(", ")
            ));
        }
        if let Some(worker) = self.workers.iter().find(|worker| !worker.linked) {
            return Some(format!("worker {} has no link to the master", worker.id));
        }
        if !self.cache_manager.as_ref().is_some_and(Process::is_active) {
            return Some("the cache manager does not serve".to_owned());
        }
        (!self.death_queue.is_empty()).then(|| "workers are still to be replaced".to_owned())
    }
}

/// All looks so far.
#[derive(Debug)]
pub(crate) struct Census {
    monitor: u16,
    samples: Mutex<Vec<Sample>>,
}

impl Census {
    /// By the monitor at a port of the loopback.
    pub(crate) fn by(monitor: u16) -> Self {
        Census {
            monitor,
            samples: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Sample>> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks now; none where no master answers.
    pub(crate) fn look(&self) -> Option<Sample> {
        let mut connection = Connection::open(self.monitor, PATIENCE).ok()?;
        let reply = connection.ask(&Request::get("/status")).ok()?;
        let mut sample: Sample = serde_json::from_slice(&reply.body).ok()?;
        sample.at = now();
        sample.workers.sort_by_key(|worker| worker.id);
        self.lock().push(sample.clone());
        Some(sample)
    }

    /// Looks again and again while `goes_on`.
    pub(crate) fn take(&self, goes_on: impl Fn() -> bool) {
        while goes_on() {
            self.look();
            thread::sleep(LOOK);
        }
    }

    /// All looks, in their order.
    pub(crate) fn samples(&self) -> Vec<Sample> {
        let mut samples = self.lock().clone();
        samples.sort_by_key(|sample| sample.at);
        samples
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// A cluster as the monitor shows it: its workers by state, their pids counted from 101.
    pub(crate) fn sample(at: Ms, states: &[&str]) -> Sample {
        let workers: Vec<_> = (1..)
            .zip(states)
            .map(|(id, state)| {
                json!({ "id": id, "pid": 100 + id, "state": state, "linked": true, "build": "b", "generation": 1 })
            })
            .collect();
        let process =
            |pid: u32| json!({ "pid": pid, "state": "active", "uptime_ms": at, "build": "b" });
        let shown = json!({
            "master": process(10), "cache_manager": process(20), "workers": workers, "death_queue": [], "wanted": 2,
        });
        let sample: Sample = serde_json::from_value(shown).unwrap();
        Sample { at, ..sample }
    }

    #[test]
    fn what_is_not_as_wanted_is_said() {
        let active = ["active"; 3];
        assert_eq!(sample(1, &active).unlike(3), None);
        assert!(
            sample(1, &active)
                .unlike(2)
                .unwrap()
                .starts_with("2 workers")
        );
        assert!(sample(1, &active).unlike(4).is_some());
        let draining = ["active", "active", "active", "retiring"];
        let said = sample(1, &draining).unlike(3).unwrap();
        assert!(said.contains("4 retiring"), "{said}");
        let mut unlinked = sample(1, &active);
        unlinked.workers[1].linked = false;
        assert!(unlinked.unlike(3).unwrap().contains("worker 2"));
        let mut alone = sample(1, &active);
        alone.cache_manager = None;
        assert!(alone.unlike(3).is_some());
        assert_eq!(sample(1, &active).pids(), [10, 20, 101, 102, 103].into());
    }
}
