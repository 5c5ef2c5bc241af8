//! Why a message does not set out on a connection.

use crate::bridge::outbox::Refusal;
use crate::wire::codec::CodecError;

/// Why a message did not set out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The other end does not keep up: 8 MiB wait for it already.
    #[error("the other end does not keep up")]
    Backlogged,
    /// The connection has ended.
    #[error("the connection has ended")]
    Closed,
    /// The message is too large.
    #[error("the message takes {0} bytes (allowed: up to 16777216)")]
    TooLarge(usize),
    /// The message cannot be written.
    #[error("it cannot be encoded")]
    Codec(#[source] CodecError),
}

impl From<Refusal> for SendError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Backlogged => SendError::Backlogged,
            Refusal::Unreachable | Refusal::Closed => SendError::Closed,
            Refusal::TooLarge(bytes) => SendError::TooLarge(bytes),
            Refusal::Codec(e) => SendError::Codec(e),
        }
    }
}
