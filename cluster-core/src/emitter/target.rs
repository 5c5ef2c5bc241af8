//! Whom an event or a question is for, and what can go wrong on the way.

use std::fmt;

use crate::bridge::outbox::Refusal;
use crate::id::ProcessId;
use crate::wire::codec::CodecError;

/// One or more processes, as an application names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// The master.
    Master,
    /// The process that emits.
    Myself,
    /// All active workers; the emitting one too, if it is active.
    Workers,
    /// One worker, by its id or, where no worker has that id, by its pid.
    Worker(u32),
    /// The cache manager's process.
    CacheManager,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Master => f.write_str("master"),
            Target::Myself => f.write_str("this process"),
            Target::Workers => f.write_str("workers"),
            Target::Worker(n) => write!(f, "worker {n}"),
            Target::CacheManager => f.write_str("cache manager"),
        }
    }
}

impl From<ProcessId> for Target {
    /// The process as a target. An operator cannot be one: what is told to it is told to its master.
    fn from(process: ProcessId) -> Self {
        match process {
            ProcessId::Master | ProcessId::Operator(_) => Target::Master,
            ProcessId::Worker(id) => Target::Worker(id.0),
            ProcessId::CacheManager => Target::CacheManager,
        }
    }
}

/// Why a message did not set out for a process.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Undelivered {
    /// No such process, or it has ended.
    #[error("no such process, or it has ended")]
    Unknown,
    /// It does not keep up: 8 MiB wait for it already.
    #[error("it does not keep up: its queue is full")]
    Backlogged,
    /// The link to it has been gone for longer than messages are held.
    #[error("it cannot be reached at present")]
    Unreachable,
    /// The message is too large.
    #[error("the message takes {0} bytes (allowed: up to 16777216)")]
    TooLarge(usize),
    /// The message cannot be written.
    #[error("it cannot be encoded")]
    Encode(#[source] CodecError),
}

impl Undelivered {
    /// Whether the same may go well a little later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Undelivered::Backlogged | Undelivered::Unreachable)
    }
}

impl From<Refusal> for Undelivered {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Backlogged => Undelivered::Backlogged,
            Refusal::Unreachable => Undelivered::Unreachable,
            Refusal::Closed => Undelivered::Unknown,
            Refusal::TooLarge(bytes) => Undelivered::TooLarge(bytes),
            Refusal::Codec(e) => Undelivered::Encode(e),
        }
    }
}

/// An event did not set out for some of its targets; it did for all others.
#[derive(Debug)]
pub struct EmitError {
    /// The name of the event.
    pub event: std::borrow::Cow<'static, str>,
    /// Each target that was not reached, and why.
    pub failures: Vec<(Target, Undelivered)>,
}

impl EmitError {
    /// Whether emitting to the same targets again may go well a little later.
    pub fn is_retryable(&self) -> bool {
        self.failures.iter().all(|(_, why)| why.is_retryable())
    }
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {} was not emitted", self.event)?;
        for (i, (target, why)) in self.failures.iter().enumerate() {
            write!(f, "{} to {target}: {why}", if i == 0 { "" } else { ";" })?;
        }
        Ok(())
    }
}

impl std::error::Error for EmitError {}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// It did not set out.
    #[error("the question did not set out for {target}: {source}")]
    Undelivered {
        /// Whom it was for.
        target: Target,
        /// Why.
        #[source]
        source: Undelivered,
    },
    /// Nobody there answers this kind of request.
    #[error("{0} has no handler for this request")]
    NoHandler(ProcessId),
    /// Too many questions wait, there or here.
    #[error("{0} is overloaded")]
    Overloaded(ProcessId),
    /// The question or its answer is of another layout on the other side.
    #[error("{0} has another layout of this request or its reply")]
    Undecodable(ProcessId),
    /// The process ended before it answered.
    #[error("{0} ended before it answered")]
    Dead(ProcessId),
    /// The handler gave up without an answer.
    #[error("the handler in {0} gave up without an answer")]
    Abandoned(ProcessId),
    /// The link broke while the question was under way: nobody can tell whether it arrived.
    #[error("the link to {0} broke while it was asked")]
    LinkLost(ProcessId),
    /// No answer came in time.
    #[error("{target} did not answer within {waited_ms} ms")]
    Deadline {
        /// Who was asked.
        target: ProcessId,
        /// How long it was waited for, in milliseconds.
        waited_ms: u64,
    },
}

impl AskError {
    /// Whether the same question may go well a little later. It may have been answered, and its answer lost: ask again only what can be asked twice.
    pub fn is_retryable(&self) -> bool {
        match self {
            AskError::Undelivered { source, .. } => source.is_retryable(),
            AskError::Overloaded(_) | AskError::LinkLost(_) | AskError::Deadline { .. } => true,
            _ => false,
        }
    }
}

/// What one process answered.
#[derive(Debug)]
pub struct Answer<T> {
    /// Whom the question was for.
    pub target: Target,
    /// The reply, or why there is none.
    pub result: Result<T, AskError>,
}
