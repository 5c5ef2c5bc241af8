//! `cluster debug`.

use cluster_core::{Debugging, Operation};
use serde_json::json;

use super::connect;
use crate::args::{Common, Debug};
use crate::error::CliError;
use crate::output;
use crate::progress::Progress;

pub(crate) async fn debug(common: &Common, debug: &Debug) -> Result<(), CliError> {
    let operation = Operation::Debug(Debugging::Attach {
        worker: debug.worker,
    });
    let mut operator = connect(common).await?;
    let progress = Progress::begin("attaching a debug server", common.json);
    let mut told = Ok(());
    let over = operator
        .operate(operation, |note| match note.done {
            0 => progress.say(&note.note),
            _ => {
                let value = json!({ "command": note.note });
                told = output::result(common.json, &value, || Ok(command(&note.note)));
                progress.say("until the debugger leaves, or ctrl-C");
            }
        })
        .await?;
    drop(progress);
    told?;
    output::result(common.json, &over, || {
        Ok(match over["retires"] == true {
            true => format!("the debugger has left; worker {} ends", over["worker"]),
            false => format!(
                "the debugger has left; worker {} is isolated still, until `cluster release {0}`",
                over["worker"]
            ),
        })
    })
}

fn command(command: &str) -> String {
    format!(
        "the worker stands still; connect a debugger by\n  {}",
        output::plain(command)
    )
}
