//! `cluster isolate`.

use cluster_core::{Debugging, Operation};

use super::connect;
use crate::args::{Common, Isolate};
use crate::error::CliError;
use crate::output;
use crate::progress::Progress;

pub(crate) async fn isolate(common: &Common, isolate: &Isolate) -> Result<(), CliError> {
    let worker = isolate.worker;
    let operation = Operation::Debug(Debugging::Isolate { worker });
    let mut operator = connect(common).await?;
    let progress = Progress::begin(&format!("isolating worker {worker}"), common.json);
    let value = operator
        .operate(operation, |note| progress.say(&note.note))
        .await?;
    drop(progress);
    output::result(common.json, &value, || {
        let address = value["address"].as_str().unwrap_or_default();
        Ok(format!(
            "worker {} serves at {} alone, until `cluster release {}`",
            value["worker"],
            output::plain(address),
            value["worker"]
        ))
    })
}
