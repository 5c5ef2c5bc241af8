//! The operator's end of a link: what the command line, or a tool of one's own, asks a running cluster with.
//!
//! ```no_run
//! use cluster_core::Operation;
//! use cluster_core::operator::{Operator, find};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mut operator = Operator::connect(&find(Some("shop"), None)?).await?;
//! let state = operator.operate(Operation::Status, |_| {}).await?;
//! println!("{} of {} workers serve", state["serving"], state["wanted"]);
//! # Ok(())
//! # }
//! ```

mod find;
mod inbox;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::net::UnixStream;
use tokio::time::timeout;

pub use find::{FindError, find};

use crate::bridge::handshake::{self, HandshakeError, PATIENCE};
use crate::bridge::link::Closed;
use crate::id::{Generation, Role};
use crate::node::ProgressNote;
use crate::protocol::{
    Hello, OPERATION_LIMIT, Operate, Operation, OperationError, PROTOCOL, Refused,
};
use crate::wire::codec;
use inbox::{Inbox, Word};

/// How long an operator waits for an answer, or for a sign of life during what takes long, unless it is told otherwise.
pub const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// The master's socket in a runtime directory.
const SOCKET: &str = "master.sock";

/// Why an operation has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// Nobody listens there.
    #[error("no cluster is running in {}", runtime_dir.display())]
    NotRunning {
        /// The runtime directory.
        runtime_dir: PathBuf,
    },
    /// The cluster is another user's.
    #[error("the cluster in {} belongs to another user (allowed: its own user, and root)", runtime_dir.display())]
    NoPermission {
        /// The runtime directory.
        runtime_dir: PathBuf,
    },
    /// The master does not let this process in.
    #[error("the master does not answer as one")]
    Handshake(#[source] HandshakeError),
    /// The master refused the operation, or it failed.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// The link ended before the answer came.
    #[error("the link to the master was lost")]
    LinkLost(#[source] Closed),
    /// The master keeps silent.
    #[error("the master has not answered within {} ms", waited.as_millis())]
    NoAnswer {
        /// For how long it was waited.
        waited: Duration,
    },
    /// The answer is no JSON.
    #[error("the master's answer is no JSON")]
    Garbled(#[source] serde_json::Error),
    /// The operation is larger than a message may be.
    #[error("an operation of {length} bytes (allowed: up to {OPERATION_LIMIT})")]
    TooLarge {
        /// Its length.
        length: usize,
    },
}

/// A link to the master of a running cluster.
#[derive(Debug)]
pub struct Operator {
    stream: UnixStream,
    inbox: Inbox,
    next: u64,
    master: u32,
    patience: Duration,
}

impl Operator {
    /// Connects to the master of the cluster in this runtime directory. [`find`] knows where it is.
    ///
    /// # Errors
    ///
    /// [`OperatorError::NotRunning`], [`NoPermission`](OperatorError::NoPermission),
    /// [`NoAnswer`](OperatorError::NoAnswer) after 5 s, or [`Handshake`](OperatorError::Handshake).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O and time enabled.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the link.
    pub async fn connect(runtime_dir: &Path) -> Result<Self, OperatorError> {
        let hello = Hello {
            protocol: PROTOCOL,
            // Which build asks is of no matter, and telling would take a look at the whole program's file.
            build: concat!("operator ", env!("CARGO_PKG_VERSION")).to_owned(),
            role: Role::Operator,
            worker: None,
            generation: Generation(0),
            pid: std::process::id(),
        };
        let (stream, welcome) = handshake::connect(&runtime_dir.join(SOCKET), &hello, None)
            .await
            .map_err(|e| not_let_in(e, runtime_dir))?;
        Ok(Self {
            stream,
            inbox: Inbox::default(),
            next: 1,
            master: welcome.pid,
            patience: ANSWER_WAIT,
        })
    }

    /// How long to wait for an answer; [`ANSWER_WAIT`] by default. What takes long (a stop, a restart that is waited
    /// for) has no limit, but the master must show that it lives at least once in twice this time.
    #[must_use]
    pub fn answer_within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The master's pid.
    #[must_use]
    pub fn master(&self) -> u32 {
        self.master
    }

    /// Asks for an operation and waits for its outcome. `progress` hears how far a long one has come.
    ///
    /// # Errors
    ///
    /// Why it was not carried out, or why that is not known: after [`LinkLost`](OperatorError::LinkLost) and
    /// [`NoAnswer`](OperatorError::NoAnswer) it may have been.
    ///
    /// # Cancel safety
    ///
    /// Dropping it lets the operation go on unheard. The link is to be dropped as well: half a request may be on it.
    pub async fn operate(
        &mut self,
        operation: Operation,
        mut progress: impl FnMut(ProgressNote),
    ) -> Result<Value, OperatorError> {
        let begun = Instant::now();
        let long = match &operation {
            Operation::Stop { .. } | Operation::Restart { wait: true } => true,
            Operation::Upgrade { .. } => true,
            Operation::Debug(debugging) => debugging.takes_its_time(),
            _ => false,
        };
        let number = self.ask(operation).await?;
        let mut probed = false;
        loop {
            let word = timeout(self.patience, self.inbox.next(&self.stream)).await;
            match word {
                Ok(Ok(Word::Outcome(outcome))) if outcome.number == number => {
                    return serde_json::from_str(&outcome.result?).map_err(OperatorError::Garbled);
                }
                Ok(Ok(Word::Progress(p))) if p.number == number => {
                    progress(ProgressNote {
                        done: p.done,
                        of: p.of,
                        note: p.note,
                    });
                }
                // The answer to a probe: it lives.
                Ok(Ok(_)) => {}
                Ok(Err(closed)) => return Err(OperatorError::LinkLost(closed)),
                Err(_) if long && !probed => {
                    self.ask(Operation::Status).await?;
                    probed = true;
                    continue;
                }
                Err(_) => {
                    let waited = begun.elapsed();
                    return Err(OperatorError::NoAnswer { waited });
                }
            }
            probed = false;
        }
    }

    /// Resolves when the master has ended, or has closed the link for another reason.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the link.
    pub async fn closed(mut self) {
        while self.inbox.next(&self.stream).await.is_ok() {}
    }

    async fn ask(&mut self, operation: Operation) -> Result<u64, OperatorError> {
        let number = self.next;
        self.next += 1;
        let operate = Operate { number, operation };
        let mut bytes = Vec::new();
        // Strings and numbers, which bincode always writes.
        if codec::encode_into(&operate, &mut bytes).is_err() || bytes.len() > OPERATION_LIMIT {
            return Err(OperatorError::TooLarge {
                length: bytes.len(),
            });
        }
        match handshake::send(&self.stream, &operate).await {
            Ok(()) => Ok(number),
            Err(HandshakeError::Silent) => Err(OperatorError::NoAnswer { waited: PATIENCE }),
            Err(HandshakeError::Io(e)) if is_end(e.kind()) => {
                Err(OperatorError::LinkLost(Closed::Eof))
            }
            Err(HandshakeError::Io(e)) => Err(OperatorError::LinkLost(Closed::Io(e))),
            Err(other) => Err(OperatorError::Handshake(other)),
        }
    }
}

fn is_end(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(kind, BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// What a failed handshake says of the cluster in this directory.
fn not_let_in(error: HandshakeError, runtime_dir: &Path) -> OperatorError {
    use io::ErrorKind::{ConnectionRefused, NotADirectory, NotFound, PermissionDenied, WouldBlock};
    let runtime_dir = runtime_dir.to_owned();
    match error {
        HandshakeError::Io(e) => match e.kind() {
            NotFound | NotADirectory | ConnectionRefused => {
                OperatorError::NotRunning { runtime_dir }
            }
            PermissionDenied => OperatorError::NoPermission { runtime_dir },
            // The queue of those who wait to be accepted is full: nobody has accepted for long.
            WouldBlock => OperatorError::NoAnswer {
                waited: Duration::ZERO,
            },
            kind if is_end(kind) => OperatorError::LinkLost(Closed::Eof),
            _ => OperatorError::Handshake(HandshakeError::Io(e)),
        },
        HandshakeError::Refused(Refused::NotOurs { .. }) => {
            OperatorError::NoPermission { runtime_dir }
        }
        HandshakeError::Silent => OperatorError::NoAnswer { waited: PATIENCE },
        other => OperatorError::Handshake(other),
    }
}

#[cfg(test)]
mod tests;
