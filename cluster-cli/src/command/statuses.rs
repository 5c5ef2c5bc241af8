//! `cluster statuses`

use cluster_core::Operation;
use serde_json::Value;

use super::ask;
use crate::args::{Common, Statuses};
use crate::error::CliError;
use crate::output;

pub(super) async fn statuses(common: &Common, statuses: &Statuses) -> Result<(), CliError> {
    let within = statuses.answer.within();
    let operation = match (&statuses.status, &statuses.set) {
        (None, _) => Operation::Statuses,
        (Some(name), Some(json)) => Operation::SetStatus {
            name: name.clone(),
            json: json.clone(),
        },
        (Some(name), None) => Operation::ReadStatus {
            name: name.clone(),
            reduce: statuses.reduce.clone(),
        },
    };
    let value = ask(common, operation, within).await?;
    output::result(common.json, &value, || Ok(text(&value)))
}

/// A line for each name, or for each process and its value; else the one value.
fn text(value: &Value) -> String {
    let Some(list) = value.as_array() else {
        return value.to_string();
    };
    let lines = list.iter().map(|entry| match entry {
        Value::String(name) => output::plain(name).into_owned(),
        Value::Object(one) if one.contains_key("pid") => {
            let shown = one.get("error").unwrap_or(&one["status"]);
            format!("{:>7}  {shown}", one["pid"].as_u64().unwrap_or_default())
        }
        other => other.to_string(),
    });
    lines.collect::<Vec<_>>().join("\n")
}
