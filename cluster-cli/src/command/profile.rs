//! `cluster profile`.

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
    let svg = match value["svg"].take() {
        Value::String(svg) => svg,
        _ => String::new(),
    };
    let path = &profile.output;
    std::fs::write(path, svg).map_err(|source| CliError::File {
        path: path.clone(),
        source,
    })?;
    value["svg"] = path.display().to_string().into();
    output::result(common.json, &value, || {
        let process = value["process"].as_str().unwrap_or_default();
        let samples = value["samples"].as_u64().unwrap_or(0);
        let samples = output::human::count(samples, "sample");
        Ok(format!("{}: {process}, {samples}", path.display()))
    })
}
