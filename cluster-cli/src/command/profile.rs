//! `cluster profile`.

use std::path::Path;

use cluster_core::{Debugging, Operation};
use serde_json::Value;

use super::connect;
use crate::args::{Common, Profile};
use crate::error::CliError;
use crate::output;
use crate::progress::Progress;

pub(crate) async fn profile(common: &Common, profile: &Profile) -> Result<(), CliError> {
    let operation = Operation::Debug(Debugging::Profile {
        of: profile.of,
        seconds: profile.seconds,
    });
    let mut operator = connect(common).await?;
    let progress = Progress::begin("asking the master", common.json);
    let mut value = operator
        .operate(operation, |note| {
            progress.say(&format!("{} for {} s", note.note, note.of));
        })
        .await?;
    drop(progress);
    write(&mut value, &profile.output)?;
    output::result(common.json, &value, || Ok(said(&value)))
}

/// Writes the picture of an answer to a file, whose path takes its place in the answer.
pub(super) fn write(value: &mut Value, path: &Path) -> Result<(), CliError> {
    let svg = match value["svg"].take() {
        Value::String(svg) => svg,
        _ => String::new(),
    };
    std::fs::write(path, svg).map_err(|source| CliError::File {
        path: path.to_owned(),
        source,
    })?;
    value["svg"] = path.display().to_string().into();
    Ok(())
}

/// What has been written, of whom.
pub(super) fn said(value: &Value) -> String {
    let text = |key: &str| value[key].as_str().unwrap_or_default();
    let samples = output::human::count(value["samples"].as_u64().unwrap_or(0), "sample");
    format!("{}: {}, {samples}", text("svg"), text("process"))
}
