//! What operators ask of registered statuses: it is asked of all processes, and not of the master actor.

use serde_json::{Value, json};

use super::Cluster;
use crate::protocol::{Operation, OperationError};
use crate::status::Reducer;

/// The outcome, or the operation where it is of no status.
pub(super) async fn carry_out(
    cluster: &Cluster,
    operation: Operation,
) -> Result<Result<Value, OperationError>, Operation> {
    let failed = |e: &dyn std::fmt::Display| OperationError::Status(e.to_string());
    let status = cluster.status();
    Ok(match operation {
        Operation::Statuses => {
            let names = status.statuses().await;
            names.map(|names| json!(names)).map_err(|e| failed(&e))
        }
        Operation::ReadStatus { name, reduce } => match reduce.parse::<Reducer>() {
            Ok(reducer) => status.reduce(&name, reducer).await.map_err(|e| failed(&e)),
            Err(e) => Err(failed(&e)),
        },
        Operation::SetStatus { name, json } => match serde_json::from_str(&json) {
            Ok(value) => {
                let set = cluster.set_status(&name, &value).await;
                let said = |processes| json!({ "set": name, "processes": processes });
                set.map(said).map_err(|e| failed(&e))
            }
            Err(e) => Err(OperationError::Status(format!("the value is no JSON: {e}"))),
        },
        other => return Err(other),
    })
}
