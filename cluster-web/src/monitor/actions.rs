//! What the page's buttons do: a list that says what there is, and one route that does it.

use actix_web::web::{self, Data, Json, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use cluster_core::{Cluster, Debugging, Operation, OperationError};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{audit, operate};

/// What an action is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Scope {
    Cluster,
    Worker,
}

/// An action, as the page shows it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Action {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) scope: Scope,
    /// Asked before it is done, where it hurts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) confirm: Option<&'static str>,
    /// The states of a worker in which it is offered; all where there is none.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) states: &'static [&'static str],
    /// The argument that is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) takes: Option<&'static str>,
}

const fn action(name: &'static str, label: &'static str, scope: Scope) -> Action {
    Action {
        name,
        label,
        scope,
        confirm: None,
        states: &[],
        takes: None,
    }
}

/// The actions that there are; the page has a button for each.
pub(super) const ACTIONS: &[Action] = &[
    Action {
        states: &["active"],
        confirm: Some("It stops accepting and finishes what it has, but stays."),
        ..action("pause", "Pause", Scope::Worker)
    },
    Action {
        states: &["paused"],
        ..action("resume", "Resume", Scope::Worker)
    },
    Action {
        states: &["active", "paused"],
        confirm: Some(
            "A successor is started; when it serves, this worker finishes what it has and ends.",
        ),
        ..action("recycle", "Recycle", Scope::Worker)
    },
    Action {
        states: &["active", "paused"],
        confirm: Some(
            "A successor is started; when it serves, this worker leaves the shared sockets and serves at an address of its own, for whoever debugs it.",
        ),
        ..action("isolate", "Isolate", Scope::Worker)
    },
    Action {
        states: &["isolated"],
        ..action("release", "Release", Scope::Worker)
    },
    Action {
        states: &["isolated"],
        confirm: Some("It finishes what it has and ends."),
        ..action("retire", "Retire", Scope::Worker)
    },
    Action {
        takes: Some("workers"),
        confirm: Some("The number of workers is changed."),
        ..action("scale", "Scale", Scope::Cluster)
    },
    Action {
        confirm: Some("Every worker is replaced, one at a time; its successor serves first."),
        ..action("roll", "Roll", Scope::Cluster)
    },
    Action {
        confirm: Some(
            "No worker accepts connections until they are resumed, and health probes are told \"down\".",
        ),
        ..action("pause", "Pause all", Scope::Cluster)
    },
    action("resume", "Resume all", Scope::Cluster),
    action("mark-up", "Mark up", Scope::Cluster),
    Action {
        confirm: Some(
            "Health probes are told \"down\": load balancers send no more requests here.",
        ),
        ..action("mark-down", "Mark down", Scope::Cluster)
    },
];

pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(web::resource("/debug/actions/{name}").route(web::post().to(act)));
}

/// What an action is given.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Arguments {
    worker: Option<u32>,
    workers: Option<u32>,
    force: bool,
}

/// Why there is no such operation.
#[derive(Debug, thiserror::Error)]
enum ActionError {
    #[error("there is no action of this name")]
    Unknown,
    #[error("the action {action} needs {argument:?}")]
    Missing {
        action: &'static str,
        argument: &'static str,
    },
}

fn operation(name: &str, arguments: &Arguments) -> Result<Operation, ActionError> {
    let Arguments {
        worker,
        workers,
        force,
    } = *arguments;
    let of_one = |action| {
        worker.ok_or(ActionError::Missing {
            action,
            argument: "worker",
        })
    };
    Ok(match name {
        "pause" => Operation::Pause { worker, force },
        "resume" => Operation::Resume { worker },
        "recycle" => Operation::Recycle {
            worker: of_one("recycle")?,
        },
        "isolate" => Operation::Debug(Debugging::Isolate {
            worker: of_one("isolate")?,
        }),
        "release" => Operation::Debug(Debugging::Release {
            worker: of_one("release")?,
            retire: false,
        }),
        "retire" => Operation::Debug(Debugging::Release {
            worker: of_one("retire")?,
            retire: true,
        }),
        "scale" => Operation::Scale {
            workers: workers.ok_or(ActionError::Missing {
                action: "scale",
                argument: "workers",
            })?,
        },
        "roll" => Operation::Restart { wait: false },
        "mark-up" => Operation::MarkUp,
        "mark-down" => Operation::MarkDown,
        _ => return Err(ActionError::Unknown),
    })
}

async fn act(
    request: HttpRequest,
    cluster: Data<Cluster>,
    name: Path<String>,
    arguments: Json<Arguments>,
) -> HttpResponse {
    let operation = match operation(&name, &arguments) {
        Ok(operation) => operation,
        Err(error) => {
            let mut response = match error {
                ActionError::Unknown => HttpResponse::NotFound(),
                ActionError::Missing { .. } => HttpResponse::BadRequest(),
            };
            return response.json(json!({ "error": error.to_string() }));
        }
    };
    audit::tell(&request, format!("{operation:?}"));
    match cluster.operate(operation).await {
        Ok(outcome) => HttpResponse::Ok().json(json!({ "outcome": outcome })),
        Err(error) => refused(&error),
    }
}

fn refused(error: &OperationError) -> HttpResponse {
    // One may insist.
    let force = matches!(error, OperationError::LastActive(_));
    let message = json!({ "error": error.to_string(), "force": force });
    HttpResponse::build(operate::status_of(error)).json(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_that_is_offered_can_be_done() {
        let arguments = Arguments {
            worker: Some(1),
            workers: Some(2),
            force: false,
        };
        for action in ACTIONS {
            assert!(
                operation(action.name, &arguments).is_ok(),
                "{}",
                action.name
            );
        }
        assert!(operation("stop", &arguments).is_err());
        assert!(operation("recycle", &Arguments::default()).is_err());
        assert!(serde_json::from_str::<Arguments>(r#"{"worker": -1}"#).is_err());
        assert!(serde_json::from_str::<Arguments>(r#"{"other": 1}"#).is_err());
    }
}
