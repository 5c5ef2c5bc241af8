//! The clock that this process shares with those of the cluster.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch.
pub(crate) type Ms = u64;

/// This moment.
pub(crate) fn now() -> Ms {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Ms::try_from(since.unwrap_or_default().as_millis()).unwrap_or(Ms::MAX)
}
