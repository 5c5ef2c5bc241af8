//! `cluster scale`

use cluster_core::Operation;

use super::ask;
use crate::args::{Common, Scale};
use crate::error::CliError;
use crate::output::{self, human};

pub(super) async fn scale(common: &Common, scale: &Scale) -> Result<(), CliError> {
    let operation = Operation::Scale {
        workers: scale.workers,
    };
    let value = ask(common, operation, scale.answer.within()).await?;
    output::result(common.json, &value, || {
        let workers = human::count(u64::from(scale.workers), "worker");
        Ok(format!("scaling to {workers}"))
    })
}
