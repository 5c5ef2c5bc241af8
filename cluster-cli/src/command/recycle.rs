//! `cluster recycle`

use cluster_core::Operation;

use super::ask;
use crate::args::{Common, Recycle};
use crate::error::CliError;
use crate::output;

pub(super) async fn recycle(common: &Common, recycle: &Recycle) -> Result<(), CliError> {
    let worker = recycle.worker;
    let value = ask(
        common,
        Operation::Recycle { worker },
        recycle.answer.within(),
    )
    .await?;
    output::result(common.json, &value, || {
        Ok(format!("recycling worker {worker}"))
    })
}
