//! `cluster resume`

use cluster_core::Operation;

use super::{ask, whom};
use crate::args::{Common, Resume};
use crate::error::CliError;
use crate::output;

pub(super) async fn resume(common: &Common, resume: &Resume) -> Result<(), CliError> {
    let operation = Operation::Resume {
        worker: resume.worker,
    };
    let value = ask(common, operation, resume.answer.within()).await?;
    output::result(common.json, &value, || {
        Ok(format!("resuming {}", whom(resume.worker)))
    })
}
