//! The hands that carry out the acts, each at its time, on whom they find.
//!
//! An act that finds nobody is passed over. So is one that would ask the impossible: a master is killed only where a worker serves that
//! can hand its successor the sockets, and no worker is killed while there is no master, as with the last one the sockets would be gone.

mod stopped;

use std::sync::{Mutex, TryLockError};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use self::stopped::Stopped;
use super::acts::{Act, Build, Cut, Planned, Who};
use super::builds::Builds;
use super::census::{Census, Sample};
use super::clock::now;
use super::cluster::{Operator, WORKERS, sockets};
use super::disk::Disk;
use super::journal::{Hit, Journal, Killed};
use super::link;
use super::load::{self, Load};
use crate::processes::signal;

/// Between two looks at what is due.
const LOOK: Duration = Duration::from_millis(20);
/// How long the command line may wait for an answer of the master, in milliseconds, and for the end of a restart or an upgrade.
const ANSWER: &str = "3000";
const LONG: &str = "40000";
/// How long something is tried that has to succeed.
const INSISTENCE: Duration = Duration::from_secs(60);
/// Between two attempts.
const AGAIN: Duration = Duration::from_millis(200);

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

impl<'a> Hands<'a> {
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

    /// Takes back all that stands, and asks for as many workers as there were in the beginning: the last act.
    pub(crate) fn settle(&self, goes_on: impl Fn() -> bool) {
        if lock(&self.full_until).take().is_some() {
            self.empty();
        }
        let workers = WORKERS.to_string();
        self.insist(&["resume", "--timeout", ANSWER], &goes_on);
        self.insist(&["scale", &workers, "--timeout", ANSWER], &goes_on);
        self.journal
            .say(&format!("the last act: resume all, scale to {workers}"));
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

    /// Whether the cluster can do without its master for a while.
    fn can_lose_master(&self, sample: &Sample) -> bool {
        let stopped = lock(&self.stopped);
        let mut serving = sample.active().filter(|worker| worker.linked);
        serving.any(|worker| !stopped.iter().any(|stopped| stopped.pid == worker.pid))
    }

    fn kill(&self, act: Act, who: Who) {
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

    fn stop(&self, act: Act, who: Who, time: Duration) {
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

    fn term(&self, act: Act, who: Who) {
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

    fn pause<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        act: Act,
        worker: Option<usize>,
        time: Duration,
    ) {
        let whom = match worker {
            None => None,
            Some(place) => {
                let Some((sample, pid, _)) = self.find(act, Who::Worker(place)) else {
                    return;
                };
                let mut workers = sample.workers.iter();
                workers
                    .find(|worker| worker.pid == pid)
                    .map(|worker| worker.id.to_string())
            }
        };
        self.journal.done(&act.to_string());
        scope.spawn(move || {
            let mut verb = vec!["pause"];
            verb.extend(whom.as_deref());
            self.verb(&[&verb[..], &["--timeout", ANSWER]].concat());
            thread::sleep(time);
            self.insist(&["resume", "--timeout", ANSWER], || !self.load.is_over());
        });
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

    fn upgrade(&self, act: Act, build: Build) {
        let mut builds = match self.builds.try_lock() {
            Ok(builds) => builds,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return self
                    .journal
                    .passed_over(&format!("{act}: another is under way"));
            }
        };
        if let Err(e) = builds.install(build) {
            return self
                .journal
                .passed_over(&format!("{act}: {}", crate::chain(e)));
        }
        self.journal.done(&act.to_string());
        let accepted = self.verb(&["upgrade", "--wait", "--timeout", LONG]);
        if accepted && build == Build::Other {
            builds.accepted();
            let runs = self.census.look().map(|sample| sample.master.build);
            let wanted = builds.id();
            if let Some(runs) = runs.filter(|runs| *runs != wanted) {
                self.journal.wrong(format!(
                    "after the upgrade to {wanted} the master runs {runs}"
                ));
            }
            return;
        }
        if accepted {
            self.journal.wrong(format!("{act}: it was accepted"));
        }
        if let Err(e) = builds.put_back() {
            self.journal.wrong(crate::chain(e));
        }
    }

    /// Carries out a verb of the command line; whether it went well.
    fn verb(&self, arguments: &[&str]) -> bool {
        let begun = Instant::now();
        let operated = self.operator.operate(arguments);
        let code = operated
            .code
            .map_or("no code".to_owned(), |code| format!("code {code}"));
        self.journal.say(&format!(
            "cluster {}: {code} after {} ms: {}",
            arguments.join(" "),
            begun.elapsed().as_millis(),
            operated.said
        ));
        operated.code == Some(0)
    }

    /// Carries out a verb again and again until it goes well.
    fn insist(&self, arguments: &[&str], goes_on: impl Fn() -> bool) {
        let until = Instant::now() + INSISTENCE;
        while !self.verb(arguments) && goes_on() {
            if Instant::now() >= until {
                let verb = arguments.join(" ");
                return self
                    .journal
                    .wrong(format!("cluster {verb} did not go well for a minute"));
            }
            thread::sleep(AGAIN);
        }
    }
}

fn lock<T>(what: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    what.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
