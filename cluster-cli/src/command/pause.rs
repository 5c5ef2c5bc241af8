//! `cluster pause`

use cluster_core::Operation;

use super::{ask, whom};
use crate::args::{Common, Pause};
use crate::error::CliError;
use crate::output;

pub(super) async fn pause(common: &Common, pause: &Pause) -> Result<(), CliError> {
    let operation = Operation::Pause {
        worker: pause.worker,
        force: pause.force,
    };
    let value = ask(common, operation, pause.answer.within()).await?;
    output::result(common.json, &value, || {
        Ok(format!("pausing {}", whom(pause.worker)))
    })
}
