//! One error for application code, in `main` and in handlers alike.

use std::fmt;

use actix_web::ResponseError;
use actix_web::http::StatusCode;

/// Any error, on its way out of a handler or of `main`.
///
/// A handler that fails with it answers 500, and the cause goes to the log and not to the client.
pub struct Error(Box<dyn std::error::Error + Send + Sync>);

/// A result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of this text alone.
    pub fn msg(text: impl Into<String>) -> Self {
        Error(text.into().into())
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Error(Box::new(error))
    }
}

impl From<Error> for Box<dyn std::error::Error> {
    fn from(error: Error) -> Self {
        error.0
    }
}

impl From<Error> for Box<dyn std::error::Error + Send + Sync> {
    fn from(error: Error) -> Self {
        error.0
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }

    fn error_response(&self) -> actix_web::HttpResponse {
        let mut causes = self.0.to_string();
        let mut source = self.0.source();
        while let Some(cause) = source {
            causes = format!("{causes}: {cause}");
            source = cause.source();
        }
        tracing::error!(error = causes, "a request failed");
        actix_web::HttpResponse::InternalServerError().body("internal error\n")
    }
}
