//! Whether a process may be traced at all.

use std::time::Duration;

use super::task::LookError;
use crate::sys::ptrace::{TraceError, Tracer};

/// How long its main thread is waited for: whether it stops in time is not what is asked.
const PATIENCE: Duration = Duration::from_millis(10);

/// Stops the main thread of a process, and lets it go at once.
pub(super) fn of(pid: u32) -> Result<(), LookError> {
    let mut tracer = Tracer::of(pid).map_err(|source| LookError::closed(pid, source))?;
    let main = i32::try_from(pid).unwrap_or(0);
    match tracer.read(main, &mut [], PATIENCE) {
        Err(TraceError::Forbidden(source)) => Err(LookError::forbidden(pid, source)),
        Err(TraceError::Gone) => Err(LookError::Gone { pid }),
        _ => Ok(()),
    }
}
