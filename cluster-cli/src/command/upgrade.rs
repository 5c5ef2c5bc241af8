//! `cluster upgrade`

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cluster_core::Operation;
use cluster_core::operator::{ANSWER_WAIT, Operator, OperatorError, find};
use serde_json::Value;

use crate::args::{Common, Upgrade};
use crate::error::CliError;
use crate::output;
use crate::progress::Progress;

/// How often the new master is looked for: nothing tells that it listens but an attempt.
const LOOK: Duration = Duration::from_millis(50);
/// How long there may be no master, or one that knows nothing of the upgrade.
const BACK: Duration = Duration::from_secs(60);

pub(super) async fn upgrade(common: &Common, upgrade: &Upgrade) -> Result<(), CliError> {
    let runtime_dir = find(common.name.as_deref(), common.runtime_dir.as_deref())?;
    let mut operator = Operator::connect(&runtime_dir).await?;
    let before = operator.operate(Operation::Status, |_| {}).await?;
    if before["cache_manager"].is_null() && !before["cache_socket"].is_null() && !common.json {
        eprintln!(
            "the cache lives in the master (--cache.mode master): what does not persist in it will be lost"
        );
    }
    let operation = Operation::Upgrade { wait: upgrade.wait };
    if !upgrade.wait {
        let mut operator = operator.answer_within(upgrade.within().unwrap_or(ANSWER_WAIT * 6));
        let value = operator.operate(operation, |_| {}).await?;
        return output::result(common.json, &value, || {
            Ok(format!("upgrading to build {}", text(&value["build"])))
        });
    }
    let progress = Progress::begin("upgrading", common.json);
    let ending = async {
        let noted = operator.operate(operation, |note| match note.of {
            0 => progress.say(&note.note),
            of => progress.say(&format!("{}/{of}: {}", note.done, note.note)),
        });
        match noted.await {
            // With the old master its links go; what became of the upgrade, the new one knows.
            Err(OperatorError::LinkLost(_)) => {}
            ended => drop(ended?),
        }
        progress.say("waiting for the new master");
        outcome(&runtime_dir, last_ended(&before)).await
    };
    let value = match upgrade.within() {
        None => ending.await?,
        Some(within) => match tokio::time::timeout(within, ending).await {
            Ok(ended) => ended?,
            Err(_) => return Err(CliError::TooSlow { waited: within }),
        },
    };
    drop(progress);
    output::result(common.json, &value, || {
        let (from, to) = (text(&value["from"]), text(&value["to"]));
        Ok(match from == to {
            true => format!("upgraded: all processes run build {to}, as before"),
            false => format!("upgraded: all processes run build {to} instead of {from}"),
        })
    })
}

/// The generation of the last upgrade that had ended; 0 where there was none.
fn last_ended(state: &Value) -> u64 {
    match state["upgrade"]["step"].as_str() {
        Some("done" | "failed") | None => generation(state),
        // It is joined.
        Some(_) => generation(state).saturating_sub(1),
    }
}

fn generation(state: &Value) -> u64 {
    state["upgrade"]["generation"].as_u64().unwrap_or(0)
}

/// What the master says of the upgrade that is later than this one, once it has ended.
async fn outcome(runtime_dir: &Path, last: u64) -> Result<Value, CliError> {
    let mut heard = Instant::now();
    loop {
        let state = status(runtime_dir.to_owned()).await;
        let upgrade = state
            .as_ref()
            .filter(|state| generation(state) > last)
            .map_or(&Value::Null, |state| &state["upgrade"]);
        match upgrade["step"].as_str() {
            Some("done") => return Ok(upgrade.clone()),
            Some("failed") => {
                let cause = text(&upgrade["cause"]).to_owned();
                return Err(CliError::UpgradeFailed { cause });
            }
            // It goes on.
            Some(_) => heard = Instant::now(),
            None => {}
        }
        if heard.elapsed() >= BACK {
            return Err(CliError::NotBack { waited: BACK });
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn status(runtime_dir: PathBuf) -> Option<Value> {
    let mut operator = Operator::connect(&runtime_dir).await.ok()?;
    operator.operate(Operation::Status, |_| {}).await.ok()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}
