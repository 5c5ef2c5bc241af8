//! Moving the whole cluster to the program that now lies on disk: checked first, then workers, cache manager and master, in this order.
//!
//! ```text
//! check ─▶ roll the workers ─▶ the cache manager hands over ─▶ exec in place, and adoption
//!   │            │                       │                      │
//!   ▼            ╰───────────────────────┴──────────────────────┴─▶ put the old build back where something fails
//! refused
//! ```

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::PathBuf;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use serde_json::json;
use tracing::{error, info};

use super::death_queue::Reason;
use super::wanted::RollKind;
use super::wanted::command::Command;
use super::{Master, Waiter};
use crate::build;
use crate::node::{UpgradeState, UpgradeStep};
use crate::protocol::OperationError;
use crate::sys::process::{self, Process, Spawn};
use crate::sys::{Exit, signal};

/// How long the new program may take to look at its options.
const CHECK: Duration = Duration::from_secs(20);
/// As much as is told of what a program says when it is checked, in bytes.
const SAYS: u64 = 2048;

/// An upgrade that is under way.
pub(super) struct Upgrade {
    pub(super) stage: Stage,
    /// The build on disk.
    build: String,
    /// Those who joined while the program was being looked at, and whether they wait for the end.
    asked: Vec<(bool, Waiter)>,
    waiters: Vec<Waiter>,
    /// The cache manager was asked to hand over to one of the old build again.
    cache_put_back: bool,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The program on disk is being looked at.
    Checking,
    /// Workers are replaced.
    Rolling,
    /// The next cache manager takes over.
    HandingOver,
    /// The next cache manager serves, and the last one has yet to end.
    HandedOver,
    /// The master is about to be exchanged.
    Exchanging,
    /// It has failed: workers of the new build are replaced by such of the old one.
    PuttingBack,
}

/// The exec in place has failed.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct ExecFailed(pub(super) io::Error);

impl Upgrade {
    fn join(&mut self, wait: bool, waiter: Waiter) {
        match wait {
            true => self.waiters.push(waiter),
            false => {
                let _ = waiter.reply.send(Ok(json!({ "build": self.build })));
            }
        }
    }
}

impl Master {
    /// Begins an upgrade, or joins the one that is under way.
    pub(super) fn upgrade(&mut self, wait: bool, waiter: Waiter, ctx: &mut Context<Self>) {
        let refused = match (&self.upgrade, self.wanted.roll) {
            _ if self.is_stopping() => Some(OperationError::Stopping),
            (Some(upgrade), _) if upgrade.stage == Stage::PuttingBack => Some(
                OperationError::Busy("putting the old build back".to_owned()),
            ),
            (Some(_), _) => None,
            (None, Some(roll)) => Some(OperationError::Busy(roll.kind.to_string())),
            (None, None) => None,
        };
        if let Some(refused) = refused {
            let _ = waiter.reply.send(Err(refused));
            return;
        }
        if let Some(upgrade) = &mut self.upgrade {
            match upgrade.stage {
                Stage::Checking => upgrade.asked.push((wait, waiter)),
                _ => upgrade.join(wait, waiter),
            }
            return;
        }
        let program = self.spawner.program().to_owned();
        info!(program = %program.display(), "upgrade: checking the program");
        self.upgrade = Some(Upgrade {
            stage: Stage::Checking,
            build: String::new(),
            asked: vec![(wait, waiter)],
            waiters: Vec::new(),
            cache_put_back: false,
        });
        let check = check(program, self.spawner.args().to_vec());
        ctx.spawn(check.into_actor(self).map(move |checked, this, ctx| {
            this.checked(checked);
            this.reconcile(ctx);
        }));
    }

    fn checked(&mut self, checked: Result<String, String>) {
        // A stop has ended it meanwhile.
        if self.upgrade.is_none() {
            return;
        }
        let begun = match checked {
            Err(cause) => Err(OperationError::UpgradeRefused(cause)),
            // Another roll may have begun meanwhile.
            Ok(build) => self
                .command(Command::Roll(RollKind::Upgrade))
                .map(|_| build),
        };
        match begun {
            Ok(build) => self.begin_upgrade(build),
            Err(refused) => {
                error!(cause = %refused, "upgrade refused");
                let asked = self.upgrade.take().map(|upgrade| upgrade.asked);
                for (_, waiter) in asked.into_iter().flatten() {
                    let _ = waiter.reply.send(Err(refused.clone()));
                }
            }
        }
    }

    fn begin_upgrade(&mut self, build: String) {
        let from = self.cluster.build().to_owned();
        info!(%from, to = build, "upgrade: the program is in order");
        self.spawner.start_what_is_on_disk(true);
        self.last_upgrade = Some(UpgradeState {
            generation: self.wanted.generation,
            from,
            to: build.clone(),
            step: UpgradeStep::Workers,
            cause: None,
        });
        if let Some(upgrade) = &mut self.upgrade {
            upgrade.stage = Stage::Rolling;
            upgrade.build = build;
            for (wait, waiter) in std::mem::take(&mut upgrade.asked) {
                upgrade.join(wait, waiter);
            }
        }
    }

    fn upgrade_step(&mut self, step: UpgradeStep) {
        if let Some(last) = &mut self.last_upgrade {
            last.step = step;
        }
    }

    pub(super) fn stage(&self) -> Option<Stage> {
        self.upgrade.as_ref().map(|upgrade| upgrade.stage)
    }

    fn set_stage(&mut self, stage: Stage, note: &str) {
        if let Some(upgrade) = &mut self.upgrade {
            upgrade.stage = stage;
            info!("upgrade: {note}");
            for waiter in &upgrade.waiters {
                waiter.note(0, 0, note);
            }
        }
    }

    /// Those who wait for the upgrade and are told of each worker.
    pub(super) fn upgrade_waiters(&self) -> &[Waiter] {
        self.upgrade
            .as_ref()
            .map_or(&[], |upgrade| &upgrade.waiters)
    }

    /// All workers are of the new build.
    pub(super) fn workers_upgraded(&mut self, ctx: &mut Context<Self>) {
        if self.is_stopping() {
            return;
        }
        self.upgrade_step(UpgradeStep::CacheManager);
        if self.upgrade.is_none() {
            // It was begun by a master that has died.
            self.go_on_with_upgrade(ctx);
        } else if self.cache.as_ref().is_some_and(|cache| cache.has_process()) {
            self.set_stage(Stage::HandingOver, "the cache manager hands over");
            self.start_next_cache(ctx);
        } else {
            self.exchange();
        }
    }

    /// What was under way when the last master died: workers are rolled on by the roll that was written down; here it is the cache manager's
    /// turn, as soon as its build is known.
    pub(super) fn go_on_with_upgrade(&mut self, ctx: &mut Context<Self>) {
        let at_cache = self.last_step() == Some(UpgradeStep::CacheManager);
        if !at_cache || self.upgrade.is_some() || self.next_cache.is_some() || self.is_stopping() {
            return;
        }
        match self.cache.as_ref().filter(|cache| cache.has_process()) {
            Some(cache) if cache.build().is_empty() => {}
            Some(cache) if cache.build() != self.cluster.build() => self.start_next_cache(ctx),
            _ => self.last_cache_ended(),
        }
    }

    fn last_step(&self) -> Option<UpgradeStep> {
        self.last_upgrade.as_ref().map(|last| last.step)
    }

    /// Whether this master itself runs what the last upgrade was to bring.
    fn is_of_new_build(&self) -> bool {
        let last = self.last_upgrade.as_ref();
        last.is_some_and(|last| last.to == self.cluster.build())
    }

    /// The next cache manager serves.
    pub(super) fn cache_handed_over(&mut self) {
        if self.stage() == Some(Stage::HandingOver) {
            self.set_stage(Stage::HandedOver, "the new cache manager serves");
        }
    }

    /// The last cache manager has ended, or there was none to hand over: what is left is the master.
    pub(super) fn last_cache_ended(&mut self) {
        let goes_on = self.upgrade.is_none() && self.last_step() == Some(UpgradeStep::CacheManager);
        if goes_on && self.is_of_new_build() {
            self.upgrade_step(UpgradeStep::Master);
        } else if goes_on || self.stage() == Some(Stage::HandedOver) {
            self.exchange();
        }
    }

    fn exchange(&mut self) {
        if self.is_stopping() {
            return;
        }
        self.set_stage(Stage::Exchanging, "exchanging the master");
        self.upgrade_step(UpgradeStep::Master);
        self.publish();
        if let Some(fate) = &self.fate {
            // The place is free: nothing was sent before, or it was an attempt that has failed and was heard.
            let _ = fate.try_send(super::Fate::Exchange);
        }
    }

    /// Something has gone wrong: what runs the new build already is replaced by the old one.
    pub(super) fn put_back(&mut self, cause: String) {
        error!(%cause, "upgrade failed; putting the old build back");
        let nothing_older = self.upgrade.is_none() && self.is_of_new_build();
        if let Some(last) = &mut self.last_upgrade {
            last.step = UpgradeStep::PuttingBack;
            last.cause = Some(cause);
        }
        // A master that was started from the new build after the old one's death has nothing older to start.
        if nothing_older {
            return;
        }
        self.set_stage(Stage::PuttingBack, "failed; putting the old build back");
        self.spawner.start_what_is_on_disk(false);
        let generation = self.wanted.generation;
        let new = self
            .workers
            .values()
            .filter(|worker| worker.view.state.is_living() && worker.view.generation >= generation);
        let new: Vec<_> = new.map(|worker| worker.view.id).collect();
        for worker in new {
            self.enqueue(worker, Reason::PutBack);
        }
    }

    /// Looks whether the old build is back.
    pub(super) fn look_whether_put_back(&mut self, ctx: &mut Context<Self>) {
        let left = self
            .queue
            .iter()
            .any(|entry| entry.reason == Reason::PutBack);
        let putting_back = self.last_step() == Some(UpgradeStep::PuttingBack);
        if !putting_back || left || self.next_cache.is_some() {
            return;
        }
        let cache = self.cache.as_ref().map_or("", |cache| cache.build());
        let cache_too = !cache.is_empty() && cache != self.cluster.build();
        if let Some(upgrade) = &mut self.upgrade
            && cache_too
            && !std::mem::replace(&mut upgrade.cache_put_back, true)
        {
            // Where the master could not be exchanged: once, as a failure of this is not to be put back again.
            return self.start_next_cache(ctx);
        }
        let cause = self
            .last_upgrade
            .as_ref()
            .and_then(|last| last.cause.clone());
        self.upgrade_step(UpgradeStep::Failed);
        self.upgrade_over(Err(OperationError::UpgradeFailed(
            cause.unwrap_or_default(),
        )));
    }

    pub(super) fn upgrade_over(&mut self, outcome: Result<(), OperationError>) {
        let Some(upgrade) = self.upgrade.take() else {
            return;
        };
        self.spawner.start_what_is_on_disk(false);
        for waiter in upgrade.waiters {
            let outcome = outcome.clone().map(|()| json!({ "build": upgrade.build }));
            let _ = waiter.reply.send(outcome);
        }
    }

    /// All is as wanted: a master that has taken over from one of the old build, in this same process or after its death, ends the upgrade.
    pub(super) fn exchanged(&mut self) {
        if self.last_step() != Some(UpgradeStep::Master) || self.upgrade.is_some() {
            return;
        }
        let (here, done) = (self.cluster.build().to_owned(), self.is_of_new_build());
        if let Some(last) = &mut self.last_upgrade {
            if done {
                info!(from = last.from, to = last.to, "upgrade done");
                last.step = UpgradeStep::Done;
            } else {
                error!(to = last.to, here, "the upgrade has not reached the master");
                last.step = UpgradeStep::Failed;
                last.cause = Some(format!("the master runs build {here}"));
            }
        }
    }
}

impl Handler<ExecFailed> for Master {
    type Result = ();

    fn handle(&mut self, ExecFailed(error): ExecFailed, ctx: &mut Context<Self>) {
        if self.is_stopping() {
            return;
        }
        let program = self.spawner.program().display().to_string();
        self.put_back(format!("{program} cannot be executed: {error}"));
        self.reconcile(ctx);
    }
}

/// A program that looks at its options: killed where nobody waits for it any more.
struct Checking(Process);

impl Drop for Checking {
    fn drop(&mut self) {
        // One that has ended needs it no more.
        let _ = self.0.signal(signal::Signal::KILL);
    }
}

/// Has a program look at its options and say whether it would start, without starting anything; gives back its build, or what is wrong.
async fn check(program: PathBuf, args: Vec<std::ffi::OsString>) -> Result<String, String> {
    let failed = |e: io::Error| format!("{}: {e}", program.display());
    let build = program.to_str().and_then(build::of_file);
    let build = build.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
    let output = crate::sys::inherit::scratch(SAYS).map_err(failed)?;
    let mut said = File::from(output.try_clone().map_err(failed)?);
    let mut args = args;
    args.insert(0, "--check".into());
    let process = process::spawn(Spawn {
        program: program.clone(),
        args,
        output: Some(output),
        new_group: true,
        ..Spawn::default()
    });
    let process = Checking(process.map_err(failed)?);
    let exit = match tokio::time::timeout(CHECK, process.0.exited()).await {
        Ok(exit) => exit,
        Err(_) => {
            return Err(format!(
                "{} --check did not end within {} s",
                program.display(),
                CHECK.as_secs()
            ));
        }
    };
    let mut text = String::new();
    // What is no text says nothing.
    let _ = said
        .rewind()
        .and_then(|()| said.take(SAYS).read_to_string(&mut text));
    let (program, text) = (program.display(), text.trim_matches('\0').trim());
    match exit {
        Exit::Code(0) if text.contains(&build) => Ok(build),
        Exit::Code(0) => Err(format!(
            "{program} --check does not name its build {build}: is it an application of cluster that reads Options::load?"
        )),
        exit if text.is_empty() => Err(format!("{program} --check ended with {exit}")),
        exit => Err(format!("{program} --check ended with {exit}: {text}")),
    }
}
