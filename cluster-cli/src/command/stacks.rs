//! `cluster stacks`.

use std::fmt::Write as _;

use cluster_core::{Debugging, Operation, Stacks};
use serde::Deserialize;
use serde_json::Value;

use super::connect;
use crate::args::{Common, Stacks as Args};
use crate::error::CliError;
use crate::output;

pub(crate) async fn stacks(common: &Common, args: &Args) -> Result<(), CliError> {
    let operation = Operation::Debug(Debugging::Stacks { of: args.of });
    let mut operator = connect(common).await?;
    let value = operator.operate(operation, |_| {}).await?;
    output::result(common.json, &value, || read(&value))
}

/// The answer of the master as text, harmless to a terminal.
pub(super) fn read(value: &Value) -> Result<String, CliError> {
    let process = output::plain(value["process"].as_str().unwrap_or_default());
    let stacks = Stacks::deserialize(value).map_err(CliError::Answer)?;
    Ok(text(&process, &stacks))
}

fn text(process: &str, stacks: &Stacks) -> String {
    #[allow(clippy::cast_precision_loss)]
    let ms = stacks.stopped_us as f64 / 1000.0;
    let threads = output::human::count(stacks.threads.len() as u64, "thread");
    let mut out = format!(
        "{process} (process {}): {threads}, stopped for {ms:.1} ms in all\n",
        stacks.pid
    );
    for thread in &stacks.threads {
        let state = match thread.state {
            'R' => "runs",
            'S' => "waits",
            'D' => "waits for a device",
            'T' | 't' => "is stopped",
            _ => "ends",
        };
        let (number, name) = (thread.thread, output::plain(&thread.name));
        let _ = writeln!(out, "\nthread {number} {name:?} {state}");
        if let Some(error) = &thread.error {
            let _ = writeln!(out, "     {}", output::plain(error));
        }
        for (n, frame) in thread.frames.iter().enumerate() {
            let _ = write!(out, "{n:4} {}", output::plain(&frame.function));
            if frame.inlined {
                out.push_str(" (inlined)");
            }
            if let Some(file) = &frame.file {
                let line = frame.line.unwrap_or(0);
                let _ = write!(out, " at {}:{line}", output::plain(file));
            }
            out.push('\n');
        }
    }
    out
}
