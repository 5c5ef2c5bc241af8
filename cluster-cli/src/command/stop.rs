//! `cluster stop`

use cluster_core::Operation;

use super::connect;
use crate::args::{Common, Stop};
use crate::error::CliError;
use crate::output::{self, human};
use crate::progress::Progress;

pub(super) async fn stop(common: &Common, stop: &Stop) -> Result<(), CliError> {
    let mut operator = connect(common).await?;
    let progress = Progress::begin("stopping", common.json);
    let operation = Operation::Stop {
        timeout_ms: stop.timeout,
    };
    let value = operator
        .operate(operation, |note| {
            let left = human::count(u64::from(note.of), "worker");
            progress.say(&format!("{}, {left} left", note.note));
        })
        .await?;
    // The workers are gone; the link ends with the master's own process.
    progress.say("waiting for the master to end");
    operator.closed().await;
    drop(progress);
    output::result(common.json, &value, || Ok("stopped".to_owned()))
}
