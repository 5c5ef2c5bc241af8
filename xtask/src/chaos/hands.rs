//! The hands that carry out the acts, each at its time, on whom they find.
//!
//! An act that finds nobody is passed over. So is one that would ask the impossible: a master is killed only where a worker serves that
//! can hand its successor the sockets, and no worker is killed while there is no master, as with the last one the sockets would be gone.

mod signals;
mod stopped;
mod verbs;

use std::sync::Mutex;
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use self::stopped::Stopped;
use self::verbs::{ANSWER, LONG};
use super::acts::{Act, Cut, Planned, Who};
use super::builds::Builds;
use super::census::{Census, Sample};
use super::clock::now;
use super::cluster::{Operator, sockets};
use super::disk::Disk;
use super::journal::{Hit, Journal};
use super::link;
use super::load::{self, Load};

/// Between two looks at what is due.
const LOOK: Duration = Duration::from_millis(20);
/// What the acts are carried out with.
pub(crate) struct Hands<'a> {
    pub(crate) operator: Operator,
    pub(crate) census: &'a Census,
    pub(crate) journal: &'a Journal,
    pub(crate) load: &'a Load,
    /// The port of the application.
    pub(crate) port: u16,
    /// The cluster's folder.
    pub(crate) folder: &'a std::path::Path,
    /// None where this user may not make one.
    pub(crate) disk: Option<&'a Disk>,
    pub(crate) builds: &'a Mutex<Builds>,
    pub(crate) stopped: Mutex<Vec<Stopped>>,
    /// When the disk is to be emptied.
    pub(crate) full_until: Mutex<Option<Instant>>,
}

impl Hands<'_> {
    /// Carries out all acts and waits until those are over that last; ends early once it is told not to go on. What takes long goes on in
    /// threads of its own.
    pub(crate) fn perform<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        planned: &[Planned],
        length: Duration,
        goes_on: impl Fn() -> bool,
    ) {
        let begun = Instant::now();
        let mut planned = planned.iter().peekable();
        while begun.elapsed() < length && goes_on() {
            let due = |planned: &&Planned| begun.elapsed() >= Duration::from_millis(planned.at_ms);
            if let Some(planned) = planned.next_if(|planned| due(planned)) {
                self.act(scope, planned.act);
            }
            self.follow_up();
            thread::sleep(LOOK);
        }
    }

    /// What was begun and is due to end.
    pub(crate) fn follow_up(&self) {
        stopped::follow_up(&self.stopped, self.journal);
        let mut full_until = lock(&self.full_until);
        if full_until.is_some_and(|until| Instant::now() >= until) {
            *full_until = None;
            self.empty();
        }
    }

    fn act<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, act: Act) {
        match act {
            Act::Kill(who) => self.kill(act, who),
            Act::Stop { who, ms } => self.stop(act, who, Duration::from_millis(ms)),
            Act::Term(who) => self.term(act, who),
            Act::Cut(cut) => self.cut(act, cut),
            Act::Disk { ms } => self.fill(act, Duration::from_millis(ms)),
            Act::Restart => {
                self.journal.done(&act.to_string());
                scope.spawn(|| self.verb(&["restart", "--wait", "--timeout", LONG]));
            }
            Act::Scale(workers) => {
                self.journal.done(&act.to_string());
                scope.spawn(move || {
                    self.verb(&["scale", &workers.to_string(), "--timeout", ANSWER]);
                });
            }
            Act::Pause { worker, ms } => self.pause(scope, act, worker, Duration::from_millis(ms)),
            Act::Late { ms } => {
                self.journal.done(&act.to_string());
                scope.spawn(move || self.block(ms));
            }
            Act::Upgrade(build) => {
                scope.spawn(move || self.upgrade(act, build));
            }
        }
    }

    /// The pid of a process, and how it is called; a word where there is none.
    fn find(&self, act: Act, who: Who) -> Option<(Sample, u32, String)> {
        let Some(sample) = self.census.look() else {
            self.journal
                .passed_over(&format!("{act}: no master answers"));
            return None;
        };
        let found = match who {
            Who::Master => Some((sample.master.pid, "master".to_owned())),
            Who::CacheManager => {
                let cache = sample.cache_manager.iter().find(|cache| cache.is_active());
                cache.map(|cache| (cache.pid, "cache manager".to_owned()))
            }
            Who::Worker(place) => {
                let count = sample.workers.len();
                let worker = place
                    .checked_rem(count)
                    .and_then(|place| sample.workers.get(place));
                worker.map(|worker| {
                    (
                        worker.pid,
                        format!("worker {} ({})", worker.id, worker.state),
                    )
                })
            }
        };
        match found {
            Some((pid, name)) => Some((sample, pid, format!("{name}, process {pid}"))),
            None => {
                self.journal.passed_over(&format!("{act}: there is none"));
                None
            }
        }
    }

    fn cut(&self, act: Act, cut: Cut) {
        let (Cut::Master(who) | Cut::Cache(who)) = cut;
        let Some((sample, client, name)) = self.find(act, who) else {
            return;
        };
        let passed_over = |why: &str| self.journal.passed_over(&format!("{act}: {why}"));
        let (server, hit, side) = match (cut, &sample.cache_manager) {
            (Cut::Master(_), _) => (sample.master.pid, Hit::Link(client), "the master"),
            (Cut::Cache(_), Some(cache)) => (cache.pid, Hit::Cache, "the cache manager"),
            (Cut::Cache(_), None) => return passed_over("there is no cache manager"),
        };
        let from = now();
        match link::cut(server, &sockets(self.folder), client) {
            Ok(count) => {
                self.journal.note(from, now(), hit);
                self.journal
                    .done(&format!("cut between {side} and {name}: {count} links"));
            }
            Err(e) => passed_over(&crate::chain(e)),
        }
    }

    fn fill(&self, act: Act, time: Duration) {
        let passed_over = |why: &str| self.journal.passed_over(&format!("{act}: {why}"));
        let Some(disk) = self.disk else {
            return passed_over("only root may mount a disk");
        };
        let mut full_until = lock(&self.full_until);
        if full_until.is_some() {
            return passed_over("it is full already");
        }
        let from = now();
        if let Err(e) = disk.fill() {
            return passed_over(&e.to_string());
        }
        *full_until = Some(Instant::now() + time);
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.journal.note(from, now() + ms, Hit::Cache);
        self.journal.done(&act.to_string());
    }

    fn empty(&self) {
        match self.disk.map_or(Ok(()), Disk::empty) {
            Ok(()) => self.journal.say("the disk has room again"),
            Err(e) => self
                .journal
                .say(&format!("the disk cannot be emptied: {e}")),
        }
    }

    fn block(&self, ms: u64) {
        let from = now();
        match load::block(self.load, ms) {
            Some(pid) => {
                self.journal.note(from, now(), Hit::Process(pid));
                self.journal
                    .say(&format!("process {pid} runs again, after {ms} ms"));
            }
            None => self.journal.say("whoever was blocked has died meanwhile"),
        }
    }
}

fn lock<T>(what: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    what.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
