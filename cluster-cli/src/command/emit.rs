//! `cluster emit`

use cluster_core::Operation;

use super::ask;
use crate::args::{Common, Emit};
use crate::error::CliError;
use crate::output;

pub(super) async fn emit(common: &Common, emit: &Emit) -> Result<(), CliError> {
    let operation = Operation::Emit {
        name: emit.event.clone(),
        json: emit.value.clone(),
        to: emit.to.clone(),
    };
    let value = ask(common, operation, emit.answer.within()).await?;
    output::result(common.json, &value, || {
        Ok(format!("emitted {}", output::plain(&emit.event)))
    })
}
