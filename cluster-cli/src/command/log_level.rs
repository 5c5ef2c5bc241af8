//! `cluster log-level`.

use std::ops::ControlFlow;
use std::time::Duration;

use cluster_core::operator::Operator;
use cluster_core::{Debugging, Operation, Subject};
use serde_json::Value;

use super::{ask, connect};
use crate::args::{Common, LogLevel};
use crate::error::CliError;
use crate::output;

/// How often the process is asked for what it has logged since.
const LOOK: Duration = Duration::from_millis(200);

pub(crate) async fn log_level(common: &Common, level: &LogLevel) -> Result<(), CliError> {
    let begin = if level.follow {
        let mut operator = connect(common).await?;
        part(&mut operator, level.of, 0).await?["end"]
            .as_u64()
            .unwrap_or(0)
    } else {
        0
    };
    let operation = Operation::Debug(Debugging::LogLevel {
        of: level.of,
        filter: level.filter.clone(),
    });
    let value = ask(common, operation, level.answer.within()).await?;
    output::result(common.json, &value, || {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let (process, now, before) = (text("process"), text("now"), text("before"));
        Ok(format!(
            "{process} logs {} (before: {})",
            output::plain(&now),
            output::plain(&before)
        ))
    })?;
    if level.follow {
        follow(common, level.of, begin).await?;
    }
    Ok(())
}

async fn part(operator: &mut Operator, of: Subject, from: u64) -> Result<Value, CliError> {
    let operation = Operation::Debug(Debugging::RecentLog { of, from });
    Ok(operator.operate(operation, |_| {}).await?)
}

/// Prints what the process logs, until nobody reads it any more.
async fn follow(common: &Common, of: Subject, mut from: u64) -> Result<(), CliError> {
    let mut operator = connect(common).await?;
    loop {
        let part = part(&mut operator, of, from).await?;
        let mut text = String::new();
        if let Some(missed @ 1..) = part["missed"].as_u64() {
            output::note(&format!(
                "{missed} lines came faster than they could be read"
            ));
        }
        for line in part["lines"].as_array().into_iter().flatten() {
            text.push_str(&output::plain_but_tabs(line.as_str().unwrap_or_default()));
            text.push('\n');
        }
        let next = part["next"].as_u64().unwrap_or(from);
        if !text.is_empty()
            && output::stream(&text).map_err(CliError::Output)? == ControlFlow::Break(())
        {
            return Ok(());
        }
        if next == from {
            tokio::time::sleep(LOOK).await;
        }
        from = next;
    }
}
