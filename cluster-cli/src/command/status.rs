//! `cluster status`

use cluster_core::Operation;

use super::ask;
use crate::args::{Common, Status};
use crate::error::CliError;
use crate::output;

pub(super) async fn status(common: &Common, status: &Status) -> Result<(), CliError> {
    let meant = Common {
        name: status.name.clone().or_else(|| common.name.clone()),
        runtime_dir: common.runtime_dir.clone(),
        json: common.json,
    };
    let value = ask(&meant, Operation::Status, status.answer.within()).await?;
    output::result(common.json, &value, || output::status::text(&value))
}
