//! `cluster mark-up` and `cluster mark-down`

use cluster_core::Operation;

use super::ask;
use crate::args::{Answer, Common};
use crate::error::CliError;
use crate::output;

pub(super) async fn up(common: &Common, answer: &Answer) -> Result<(), CliError> {
    let value = ask(common, Operation::MarkUp, answer.within()).await?;
    let text = "marked up: health probes are told how it is";
    output::result(common.json, &value, || Ok(text.to_owned()))
}

pub(super) async fn down(common: &Common, answer: &Answer) -> Result<(), CliError> {
    let value = ask(common, Operation::MarkDown, answer.within()).await?;
    let text = "marked down: health probes are told \"down\"";
    output::result(common.json, &value, || Ok(text.to_owned()))
}
