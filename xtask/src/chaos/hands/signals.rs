//! Acts that are signals: kill, stop, terminate.

use std::time::Duration;

use rustix::process::Signal;

use super::super::acts::{Act, Who};
use super::super::census::Sample;
use super::super::clock::now;
use super::super::journal::{Hit, Killed};
use super::stopped::{self, Stopped};
use super::{Hands, lock};
use crate::processes::signal;

impl Hands<'_> {
    /// Whether the cluster can do without its master for a while.
    fn can_lose_master(&self, sample: &Sample) -> bool {
        let stopped = lock(&self.stopped);
        let mut serving = sample.active().filter(|worker| worker.linked);
        serving.any(|worker| !stopped.iter().any(|stopped| stopped.pid == worker.pid))
    }

    pub(super) fn kill(&self, act: Act, who: Who) {
        let Some((sample, pid, name)) = self.find(act, who) else {
            return;
        };
        if who == Who::Master && !self.can_lose_master(&sample) {
            return self
                .journal
                .passed_over(&format!("{act}: no worker serves"));
        }
        let at = now();
        // Stopped first, so that it is known exactly what it had accepted.
        if !stopped::freeze(pid) {
            return self
                .journal
                .passed_over(&format!("{act}: {name} has ended"));
        }
        let connections = stopped::accepted(pid, self.port);
        let count = connections.len();
        let killed = Killed {
            pid,
            at: now(),
            connections,
        };
        self.journal.killed(killed);
        if who == Who::CacheManager {
            self.journal.note(at, now(), Hit::Cache);
        }
        signal(pid, Signal::KILL);
        self.journal
            .done(&format!("SIGKILL to {name}, with {count} connections"));
    }

    pub(super) fn stop(&self, act: Act, who: Who, time: Duration) {
        let Some((sample, pid, name)) = self.find(act, who) else {
            return;
        };
        let passed_over = |why: &str| self.journal.passed_over(&format!("{act}: {why}"));
        if who == Who::Master && !self.can_lose_master(&sample) {
            return passed_over("no worker serves");
        }
        if lock(&self.stopped).iter().any(|stopped| stopped.pid == pid) {
            return passed_over("it is stopped already");
        }
        let Some(stopped) = Stopped::new(pid, name.clone(), time, self.port) else {
            return passed_over("it has ended");
        };
        lock(&self.stopped).push(stopped);
        let (from, ms) = (now(), u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let hit = match who {
            Who::CacheManager => Hit::Cache,
            Who::Master | Who::Worker(_) => Hit::Process(pid),
        };
        self.journal.note(from, from + ms, hit);
        self.journal
            .done(&format!("SIGSTOP to {name}, for {ms} ms"));
    }

    pub(super) fn term(&self, act: Act, who: Who) {
        let Some((sample, pid, name)) = self.find(act, who) else {
            return;
        };
        // A second word to go means at once, and costs the requests that are under way.
        let mut workers = sample.workers.iter();
        if workers.any(|worker| worker.pid == pid && worker.state == "retiring") {
            return self
                .journal
                .passed_over(&format!("{act}: {name} is on its way"));
        }
        if who == Who::CacheManager {
            self.journal.note(now(), now(), Hit::Cache);
        }
        signal(pid, Signal::TERM);
        self.journal.done(&format!("SIGTERM to {name}"));
    }
}
