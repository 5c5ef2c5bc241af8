//! Acts that are verbs of the command line, some of which take a while and go on in threads of their own.

use std::sync::TryLockError;
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use super::super::acts::{Act, Build, Who};
use super::super::cluster::WORKERS;
use super::{Hands, lock};

/// How long the command line may wait for an answer of the master, in milliseconds, and for the end of a restart or an upgrade.
pub(super) const ANSWER: &str = "3000";
pub(super) const LONG: &str = "40000";
/// How long something is tried that has to succeed.
const INSISTENCE: Duration = Duration::from_secs(60);
/// Between two attempts.
const AGAIN: Duration = Duration::from_millis(200);

impl Hands<'_> {
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

    pub(super) fn pause<'scope>(
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

    pub(super) fn upgrade(&self, act: Act, build: Build) {
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
    pub(super) fn verb(&self, arguments: &[&str]) -> bool {
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
