//! What a question comes to in a real store: pure but for the store.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::backend::{BackendError, Operations, Record, RecordPage, SessionBackend};
use crate::limits::MOST_KEY_BYTES;
use crate::protocol::{PageEntry, SessionAnswer, SessionOp, SessionRefusal};
use crate::value::JSON;

/// What one page holds at most, in bytes.
pub(crate) const PAGE: usize = 256 * 1024;

/// The bounds of a store, and how long it keeps what nothing is said of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) expire: Option<Duration>,
    pub(crate) max_value_bytes: usize,
}

impl Bounds {
    /// For how long a value is kept, in milliseconds.
    pub(crate) fn ttl_ms(&self, asked: Option<u64>) -> Option<u64> {
        asked.or_else(|| self.expire.map(crate::options::millis))
    }

    /// Refuses a question that exceeds them.
    pub(crate) fn check(&self, op: &SessionOp<'_>) -> Result<(), SessionRefusal> {
        let key = match *op {
            SessionOp::Get { key }
            | SessionOp::Touch { key, .. }
            | SessionOp::Destroy { key }
            | SessionOp::Set { key, .. } => key,
            _ => return Ok(()),
        };
        if key.is_empty() || key.len() > MOST_KEY_BYTES {
            return Err(SessionRefusal::Key(key.len() as u64));
        }
        if let SessionOp::Set { value, .. } = op {
            // Without its tag.
            let bytes = value.len().saturating_sub(1);
            if bytes > self.max_value_bytes {
                return Err(SessionRefusal::Value {
                    bytes: bytes as u64,
                    allowed: self.max_value_bytes as u64,
                });
            }
            json_of(value).map_err(|e| SessionRefusal::from(&e))?;
        }
        Ok(())
    }
}

/// The JSON of a tagged value.
fn json_of(value: &[u8]) -> Result<&str, BackendError> {
    match value.split_first() {
        Some((&JSON, json)) => std::str::from_utf8(json).map_err(BackendError::other),
        _ => Err(BackendError::other("the value is not JSON")),
    }
}

/// What a question came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done(bool),
    Absent,
    Found {
        /// Tagged.
        value: Vec<u8>,
        left_ms: Option<u64>,
    },
    Page {
        entries: Vec<(String, Vec<u8>, Option<u64>)>,
        next: Option<u64>,
    },
    Count(u64),
    Operations(Operations),
}

impl Outcome {
    /// The answer that says so.
    pub(crate) fn answer(&self) -> SessionAnswer<'_> {
        match self {
            Outcome::Done(done) => SessionAnswer::Done(*done),
            Outcome::Absent => SessionAnswer::Absent,
            Outcome::Found { value, left_ms } => SessionAnswer::Found {
                left_ms: *left_ms,
                value,
            },
            Outcome::Page { entries, next } => {
                let entries = entries.iter().map(|(key, value, left_ms)| PageEntry {
                    key,
                    value,
                    left_ms: *left_ms,
                });
                SessionAnswer::Page {
                    entries: entries.collect(),
                    next: *next,
                }
            }
            Outcome::Count(count) => SessionAnswer::Count(*count),
            Outcome::Operations(operations) => SessionAnswer::Operations(operations.bits()),
        }
    }
}

impl From<SessionAnswer<'_>> for Result<Outcome, SessionRefusal> {
    fn from(answer: SessionAnswer<'_>) -> Self {
        Ok(match answer {
            SessionAnswer::Done(done) => Outcome::Done(done),
            SessionAnswer::Absent => Outcome::Absent,
            SessionAnswer::Found { left_ms, value } => Outcome::Found {
                value: value.to_vec(),
                left_ms,
            },
            SessionAnswer::Page { entries, next } => {
                let owned = |entry: PageEntry<'_>| {
                    (entry.key.to_owned(), entry.value.to_vec(), entry.left_ms)
                };
                Outcome::Page {
                    entries: entries.into_iter().map(owned).collect(),
                    next,
                }
            }
            SessionAnswer::Count(count) => Outcome::Count(count),
            SessionAnswer::Operations(bits) => Outcome::Operations(Operations::of_bits(bits)),
            SessionAnswer::Refused(refusal) => return Err(refusal),
        })
    }
}

fn tagged(json: &str) -> Vec<u8> {
    let mut value = Vec::with_capacity(json.len() + 1);
    value.push(JSON);
    value.extend_from_slice(json.as_bytes());
    value
}

fn found(record: Record, now_ms: u64) -> (Vec<u8>, Option<u64>) {
    let left_ms = record.expires_ms.map(|at| at.saturating_sub(now_ms));
    (tagged(&record.value), left_ms)
}

/// Puts a question, which keeps to the bounds, to a real store.
pub(super) fn perform(
    backend: &mut dyn SessionBackend,
    bounds: &Bounds,
    op: &SessionOp<'_>,
    now_ms: u64,
) -> Result<Outcome, BackendError> {
    let expires_ms = |ttl_ms| {
        let ttl_ms = bounds.ttl_ms(ttl_ms);
        ttl_ms.map(|ttl| now_ms.saturating_add(ttl))
    };
    Ok(match *op {
        SessionOp::Operations => Outcome::Operations(backend.operations()),
        SessionOp::Get { key } => match backend.get(key, now_ms)? {
            Some(record) => {
                let (value, left_ms) = found(record, now_ms);
                Outcome::Found { value, left_ms }
            }
            None => Outcome::Absent,
        },
        SessionOp::Set {
            key,
            value,
            ttl_ms,
            when,
        } => {
            let record = Record {
                value: json_of(value)?.to_owned(),
                expires_ms: expires_ms(ttl_ms),
            };
            Outcome::Done(backend.set(key, record, when, now_ms)?)
        }
        SessionOp::Touch { key, ttl_ms } => {
            Outcome::Done(backend.touch(key, expires_ms(ttl_ms), now_ms)?)
        }
        SessionOp::Destroy { key } => Outcome::Done(backend.destroy(key, now_ms)?),
        SessionOp::All { from } => {
            let RecordPage { records, next } = backend.all(from, PAGE, now_ms)?;
            let entries = records.into_iter().map(|(key, record)| {
                let (value, left_ms) = found(record, now_ms);
                (key, value, left_ms)
            });
            Outcome::Page {
                entries: entries.collect(),
                next,
            }
        }
        SessionOp::Clear => {
            backend.clear()?;
            Outcome::Done(true)
        }
        SessionOp::Length => Outcome::Count(backend.length(now_ms)?),
        // Where it is one process's own, there are no workers.
        SessionOp::AddWorker { .. } | SessionOp::RemoveWorker { .. } => Outcome::Done(true),
    })
}

/// The wall clock.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    crate::options::millis(since.unwrap_or_default())
}
