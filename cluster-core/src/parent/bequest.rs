//! What a service manager has given to the parent and the master is to have: its ear, its patience, and its sockets.
//!
//! A service manager hears the main process alone, which the parent is and stays: so the master tells the parent, which passes it on.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use tokio::task::JoinHandle;
use tracing::{debug, warn};

use crate::sys::listen_fds::{self, LISTEN_FDNAMES, LISTEN_FDS, LISTEN_PID, Passed};
use crate::sys::notify::{self, Hearer, NOTIFY_SOCKET, Notifier, NotifyError, WATCHDOG_USEC};
use crate::sys::{ListenFdsError, RuntimeDir, RuntimeDirError};

/// Why the service manager will not hear of the master.
#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error(transparent)]
    Notify(#[from] NotifyError),
    #[error(transparent)]
    Place(#[from] RuntimeDirError),
    #[error("the master's messages cannot be listened for")]
    Hearer(#[source] io::Error),
}

/// What the parent was given.
pub(super) struct Bequest {
    sockets: Vec<Passed>,
    relay: Option<Relay>,
    watchdog: Option<Duration>,
}

impl Bequest {
    /// Takes what was given to this process.
    ///
    /// # Errors
    ///
    /// Sockets are promised that are not there. A service manager that cannot be told is warned of, and done without.
    pub(super) fn of_this_process() -> Result<Self, ListenFdsError> {
        let relay = Relay::open().unwrap_or_else(|e| {
            let cause = e.to_string();
            warn!(%cause, "the service manager will not hear of the master");
            None
        });
        Ok(Bequest {
            sockets: listen_fds::take()?,
            watchdog: notify::watchdog().filter(|_| relay.is_some()),
            relay,
        })
    }

    /// The variables that tell the master, but for the one that holds its pid. Who is watched is left open: the parent is, by way of the master.
    pub(super) fn variables(&self) -> Vec<(OsString, OsString)> {
        let mut variables: Vec<(&str, OsString)> = Vec::new();
        if let Some(relay) = &self.relay {
            variables.push((NOTIFY_SOCKET, relay.address.clone()));
        }
        if let Some(watchdog) = self.watchdog {
            variables.push((WATCHDOG_USEC, watchdog.as_micros().to_string().into()));
        }
        if !self.sockets.is_empty() {
            let names: Vec<&str> = self
                .sockets
                .iter()
                .map(|socket| socket.name.as_deref().unwrap_or_default())
                .collect();
            variables.push((LISTEN_FDS, self.sockets.len().to_string().into()));
            variables.push((LISTEN_FDNAMES, names.join(":").into()));
        }
        let owned = |(name, value): (&str, _)| (name.into(), value);
        variables.into_iter().map(owned).collect()
    }

    /// The variable that is to hold the master's pid.
    pub(super) fn pid_variable(&self) -> Option<&'static str> {
        (!self.sockets.is_empty()).then_some(LISTEN_PID)
    }

    /// The sockets, under the numbers that they came with.
    pub(super) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        self.sockets
            .iter()
            .map(|socket| socket.fd.as_fd())
            .collect()
    }
}

/// Hears the master and tells the service manager, until it is dropped.
struct Relay {
    address: OsString,
    task: JoinHandle<()>,
    directory: RuntimeDir,
}

impl Relay {
    /// None where no service manager wants to hear anything.
    fn open() -> Result<Option<Self>, RelayError> {
        let Some(above) = Notifier::of_this_process()? else {
            return Ok(None);
        };
        // A directory like a cluster's, but without a lock: nobody takes it for one.
        let directory = RuntimeDir::open(None, &format!("run-{}", std::process::id()))?;
        let below = Hearer::bind(directory.path().join("notify")).map_err(RelayError::Hearer)?;
        Ok(Some(Relay {
            address: below.path().into(),
            task: tokio::spawn(pass_on(below, above)),
            directory,
        }))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
        // The task may not have let go of its file yet.
        let _ = std::fs::remove_file(&self.address);
        if let Err(e) = self.directory.remove_if_empty() {
            debug!(error = %e, "a directory was not removed");
        }
    }
}

async fn pass_on(below: Hearer, above: Notifier) {
    loop {
        match below.hear().await {
            Ok(message) => {
                let message = without_main_pid(&message);
                if !message.is_empty()
                    && let Err(e) = above.tell(&message).await
                {
                    debug!(error = %e, message, "the service manager was not told");
                }
            }
            Err(e) => {
                warn!(error = %e, "the master is heard no more, and nor will the service manager hear of it");
                return;
            }
        }
    }
}

/// The main process is the parent, whatever the master says.
fn without_main_pid(message: &str) -> String {
    let lines = message.lines().filter(|line| !line.starts_with("MAINPID="));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_main_process_stays_who_it_is() {
        let message = "READY=1\nMAINPID=7\nSTATUS=of MAINPID=7";
        assert_eq!(without_main_pid(message), "READY=1\nSTATUS=of MAINPID=7");
    }

    #[test]
    fn who_was_given_nothing_passes_nothing_on() {
        let nothing = Bequest {
            sockets: Vec::new(),
            relay: None,
            watchdog: None,
        };
        assert_eq!(nothing.variables(), []);
        assert_eq!(
            (nothing.pid_variable(), nothing.descriptors().len()),
            (None, 0)
        );
    }
}
