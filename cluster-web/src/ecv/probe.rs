//! Monitor mode: a URL of the application is asked, and its answer decides.

use std::time::Duration;

use actix_web::http::{StatusCode, Uri};
use bytes::Bytes;

use super::{Validate, Verdict};

/// How long the application may take.
const WAIT: Duration = Duration::from_secs(2);
/// The most bytes of an answer that are read.
const LONGEST_ANSWER: usize = 256 * 1024;

/// What the application answered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Probed {
    /// The status.
    pub status: StatusCode,
    /// The body, up to 256 KiB.
    pub body: Bytes,
}

/// Why the application was not heard.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// The URL to probe is none.
    #[error(
        "--ecv.monitor: {url:?} is no URL that can be probed (allowed: http://HOST[:PORT]/PATH)"
    )]
    Url {
        /// What was given.
        url: String,
    },
    /// There was no answer, or not in time.
    #[error("{url}: {cause}")]
    NoAnswer {
        /// What was asked.
        url: String,
        /// Why there was none.
        cause: String,
    },
}

#[derive(Clone)]
pub(super) struct Probe {
    url: String,
    validate: Validate,
}

impl Probe {
    pub(super) fn new(url: &str, validate: Option<Validate>) -> Result<Self, ProbeError> {
        let fits = url
            .parse::<Uri>()
            .is_ok_and(|uri| uri.scheme_str() == Some("http") && uri.host().is_some());
        if !fits {
            return Err(ProbeError::Url {
                url: url.to_owned(),
            });
        }
        let default: Validate = std::sync::Arc::new(|result: Result<Probed, ProbeError>| {
            result.is_ok_and(|probed| probed.status.is_success())
        });
        Ok(Probe {
            url: url.to_owned(),
            validate: validate.unwrap_or(default),
        })
    }

    pub(super) async fn verdict(&self) -> Verdict {
        let probed = self.ask().await;
        let why = match &probed {
            Ok(probed) => format!("{} answered {}", self.url, probed.status),
            Err(e) => e.to_string(),
        };
        if (self.validate)(probed) {
            Verdict::Up
        } else {
            Verdict::Unhealthy(why)
        }
    }

    async fn ask(&self) -> Result<Probed, ProbeError> {
        let no_answer = |cause: String| ProbeError::NoAnswer {
            url: self.url.clone(),
            cause,
        };
        let client = awc::Client::builder().timeout(WAIT).finish();
        let asking = async {
            let mut answer = client
                .get(&self.url)
                .send()
                .await
                .map_err(|e| no_answer(e.to_string()))?;
            let body = answer.body().limit(LONGEST_ANSWER).await;
            let body = body.map_err(|e| no_answer(e.to_string()))?;
            Ok(Probed {
                status: answer.status(),
                body,
            })
        };
        match tokio::time::timeout(WAIT, asking).await {
            Ok(probed) => probed,
            Err(_) => Err(no_answer(format!(
                "no answer within {} ms",
                WAIT.as_millis()
            ))),
        }
    }
}
