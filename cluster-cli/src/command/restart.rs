//! `cluster restart`

use cluster_core::Operation;
use serde_json::Value;

use super::{ask, connect};
use crate::args::{Common, Restart};
use crate::error::CliError;
use crate::output;
use crate::progress::Progress;

pub(super) async fn restart(common: &Common, restart: &Restart) -> Result<(), CliError> {
    let operation = Operation::Restart { wait: restart.wait };
    if !restart.wait {
        let within = restart
            .within()
            .unwrap_or(cluster_core::operator::ANSWER_WAIT);
        let value = ask(common, operation, within).await?;
        return output::result(common.json, &value, || {
            Ok(format!(
                "replacing all workers, one at a time{}",
                by(&value)
            ))
        });
    }
    let mut operator = connect(common).await?;
    let progress = Progress::begin("replacing all workers, one at a time", common.json);
    let replacing = operator.operate(operation, |note| {
        progress.say(&format!("{}/{}: {}", note.done, note.of, note.note));
    });
    let value = match restart.within() {
        None => replacing.await?,
        Some(within) => match tokio::time::timeout(within, replacing).await {
            Ok(replaced) => replaced?,
            Err(_) => return Err(CliError::TooSlow { waited: within }),
        },
    };
    drop(progress);
    output::result(common.json, &value, || {
        Ok(format!("all workers are replaced{}", by(&value)))
    })
}

/// Which generation the new workers are of.
fn by(value: &Value) -> String {
    value["generation"]
        .as_u64()
        .map_or_else(String::new, |n| format!(" (generation {n})"))
}
