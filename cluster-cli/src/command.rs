//! The verbs, one file each, and what most of them begin with: a link to the cluster that is meant.

mod cache;
mod completions;
mod debug;
mod emit;
mod isolate;
mod log_level;
mod logs;
mod mark;
mod pause;
mod profile;
mod recycle;
mod release;
mod restart;
mod resume;
pub(crate) mod run;
mod scale;
mod stacks;
mod status;
mod statuses;
mod stop;
pub(crate) mod systemd;
mod top;
mod upgrade;

use std::time::Duration;

use cluster_core::Operation;
use cluster_core::operator::{Operator, OperatorError, find};
use serde_json::Value;
use tokio::time::timeout;

use crate::args::{Cli, Common, Verb};
use crate::error::CliError;

/// Carries out a verb; gives back the code to exit with.
pub(crate) fn execute(cli: &Cli) -> Result<u8, CliError> {
    let common = &cli.common;
    let done = |done: Result<(), CliError>| done.map(|()| 0);
    // One link, or one child to watch: one thread.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    runtime.block_on(async {
        match &cli.verb {
            Verb::Run(run) => run::run(common, run).await,
            Verb::Status(status) => done(status::status(common, status).await),
            Verb::Top(top) => top::top(common, top).await,
            Verb::Stop(stop) => done(stop::stop(common, stop).await),
            Verb::Restart(restart) => done(restart::restart(common, restart).await),
            Verb::Upgrade(upgrade) => done(upgrade::upgrade(common, upgrade).await),
            Verb::Scale(scale) => done(scale::scale(common, scale).await),
            Verb::Pause(pause) => done(pause::pause(common, pause).await),
            Verb::Resume(resume) => done(resume::resume(common, resume).await),
            Verb::MarkUp(answer) => done(mark::up(common, answer).await),
            Verb::MarkDown(answer) => done(mark::down(common, answer).await),
            Verb::Emit(emit) => done(emit::emit(common, emit).await),
            Verb::Cache(cache) => done(cache::cache(common, cache).await),
            Verb::Recycle(recycle) => done(recycle::recycle(common, recycle).await),
            Verb::Statuses(statuses) => done(statuses::statuses(common, statuses).await),
            Verb::Logs(logs) => done(logs::logs(common, logs).await),
            Verb::LogLevel(level) => done(log_level::log_level(common, level).await),
            Verb::Stacks(stacks) => done(stacks::stacks(common, stacks).await),
            Verb::Profile(profile) => done(profile::profile(common, profile).await),
            Verb::Isolate(isolate) => done(isolate::isolate(common, isolate).await),
            Verb::Release(release) => done(release::release(common, release).await),
            Verb::Debug(debugged) => done(debug::debug(common, debugged).await),
            Verb::Systemd(systemd) => done(systemd::systemd(common, systemd)),
            Verb::Completions(completions) => done(completions::completions(completions)),
        }
    })
}

/// A link to the cluster that is meant.
async fn connect(common: &Common) -> Result<Operator, CliError> {
    let runtime_dir = find(common.name.as_deref(), common.runtime_dir.as_deref())?;
    Ok(Operator::connect(&runtime_dir).await?)
}

/// Asks for what is answered at once.
async fn ask(common: &Common, operation: Operation, within: Duration) -> Result<Value, CliError> {
    let asking = async {
        let mut operator = connect(common).await?.answer_within(within);
        Ok(operator.operate(operation, |_| {}).await?)
    };
    let silent = |_| Err(OperatorError::NoAnswer { waited: within }.into());
    timeout(within, asking).await.unwrap_or_else(silent)
}

/// A worker as it was named, or all of them.
fn whom(worker: Option<u32>) -> String {
    worker.map_or_else(
        || "all workers".to_owned(),
        |number| format!("worker {number}"),
    )
}
