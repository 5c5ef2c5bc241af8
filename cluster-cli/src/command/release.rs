//! `cluster release`.

use cluster_core::{Debugging, Operation};

use super::ask;
use crate::args::{Common, Release};
use crate::error::CliError;
use crate::output;

pub(crate) async fn release(common: &Common, release: &Release) -> Result<(), CliError> {
    let operation = Operation::Debug(Debugging::Release {
        worker: release.worker,
        retire: release.retire,
    });
    let value = ask(common, operation, release.answer.within()).await?;
    output::result(common.json, &value, || {
        let becomes = match value["retires"] == true {
            true => "ends",
            false => "serves with the others again",
        };
        Ok(format!("worker {} {becomes}", value["worker"]))
    })
}
