//! A worker before it serves: its real application, on a private loopback listener.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::http::StatusCode;
use bytes::Bytes;

/// The most bytes of an answer that are read.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

/// A worker that is being warmed up: ask it what its users will ask.
#[derive(Clone)]
pub struct WarmUp {
    address: SocketAddr,
    client: awc::Client,
}

/// Why a request of the warm-up failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WarmUpError {
    /// There was no answer.
    #[error("GET {path}: no answer: {cause}")]
    NoAnswer {
        /// What was asked for.
        path: String,
        /// Why.
        cause: String,
    },
    /// The answer is an error.
    #[error("GET {path}: answered {status}")]
    Status {
        /// What was asked for.
        path: String,
        /// The status.
        status: StatusCode,
    },
}

impl WarmUp {
    pub(crate) fn new(address: SocketAddr, wait: Duration) -> Self {
        let client = awc::Client::builder().timeout(wait).finish();
        WarmUp { address, client }
    }

    /// Asks the worker for a path; gives back the body.
    ///
    /// # Errors
    ///
    /// Without an answer, and where its status is 400 or above.
    pub async fn get(&self, path: &str) -> Result<Bytes, WarmUpError> {
        let url = format!("http://{}{path}", self.address);
        let no_answer = |cause: String| WarmUpError::NoAnswer {
            path: path.to_owned(),
            cause,
        };
        let mut answer = self
            .client
            .get(url)
            .send()
            .await
            .map_err(|e| no_answer(e.to_string()))?;
        let status = answer.status();
        if status.is_client_error() || status.is_server_error() {
            return Err(WarmUpError::Status {
                path: path.to_owned(),
                status,
            });
        }
        answer
            .body()
            .limit(LONGEST_ANSWER)
            .await
            .map_err(|e| no_answer(e.to_string()))
    }

    /// Where the worker can be reached, for requests of any other kind.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
