//! What the master does besides as process 1, as in a container that is started with it: orphans fall to it, and it reaps them.
//!
//! Signals need nothing more: the master catches those that it obeys from its first step on, and the kernel keeps the others from a process 1.

use std::time::Duration;

use tracing::{debug, warn};

use crate::sys::process;
use crate::sys::signal::{Signal, Signals};

/// How long a dead child is left to whoever in this process has started it by other means, and waits for it: the standard library, tokio.
const OTHERS_FIRST: Duration = Duration::from_secs(1);

/// Reaps strangers for as long as the process runs; returns at once in any other process than the first.
pub(super) async fn reap_strangers() {
    if std::process::id() != 1 {
        return;
    }
    let mut deaths = match Signals::of(&[Signal::CHILD]) {
        Ok(deaths) => deaths,
        Err(e) => {
            warn!(error = %e, "orphans that end will stay zombies: SIGCHLD cannot be caught");
            return;
        }
    };
    loop {
        deaths.next().await;
        tokio::time::sleep(OTHERS_FIRST).await;
        // Those that die in the meantime send a signal again.
        let reaped = process::reap_strangers(|_| false);
        if reaped > 0 {
            debug!(reaped, "orphans reaped");
        }
    }
}
