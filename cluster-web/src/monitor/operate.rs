//! What an operation that was not carried out is answered with.

use actix_web::http::StatusCode;
use cluster_core::{DebugError, OperationError};

pub(super) fn status_of(error: &OperationError) -> StatusCode {
    use DebugError::{BadFilter, NoAnswer, NoSuchProcess};
    use OperationError::{Debug, NoSuchWorker, OutOfRange, Stopping};
    match error {
        NoSuchWorker(_) | Debug(NoSuchProcess(_)) => StatusCode::NOT_FOUND,
        OutOfRange { .. } | Debug(BadFilter { .. }) => StatusCode::UNPROCESSABLE_ENTITY,
        Debug(NoAnswer { .. }) => StatusCode::GATEWAY_TIMEOUT,
        Stopping => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::CONFLICT,
    }
}
