//! Waiting for a debugger.

use std::time::Duration;

use crate::look;

/// How often it is looked: the kernel tells a process by no event that it is traced.
const LOOK: Duration = Duration::from_millis(20);

/// Resolves once another process traces this one.
pub(super) async fn attached() {
    while look::tracer_of_this().is_none() {
        tokio::time::sleep(LOOK).await;
    }
}
