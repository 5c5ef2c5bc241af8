//! What the master has opened: gone with it at its end, and kept where it is exchanged for another build.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::time::Duration;

use tracing::{error, info, warn};

use super::record::RecordFile;
use super::sockets::SocketFile;
use super::start::{MasterError, Monitor};
use crate::id::ProcessId;
use crate::node::{Cluster, NodeState};
use crate::sys::inherit::Handover;
use crate::sys::{Lock, RuntimeDir, presence, process, socket};
use crate::worker::application::{Serving, Socket};
use crate::worker::boot::{BootRecord, InheritedSocket};

/// How long what is in the master may take to end.
const LAST_STEPS: Duration = Duration::from_secs(5);

/// What the master itself has opened, to be gone with it.
pub(super) struct Estate {
    pub(super) directory: RuntimeDir,
    pub(super) lock: Option<Lock>,
    pub(super) unix_sockets: Vec<SocketFile>,
    pub(super) monitor: Option<Box<dyn Monitor>>,
    /// The listening socket of the monitor before this one.
    pub(super) monitor_socket: Option<Socket>,
    /// This process was another master's before.
    pub(super) exchanged: bool,
    pub(super) cache: Option<Box<dyn Serving>>,
    /// The cache manager's socket: where its process was killed, its file is left.
    pub(super) cache_socket: Option<PathBuf>,
}

impl Estate {
    /// Who lives of those that a master has started here.
    pub(super) fn present(&self) -> Result<Vec<(ProcessId, u32)>, MasterError> {
        presence::present(&self.directory.path().join(presence::FILE)).map_err(|source| {
            let what = "who is present in the runtime directory cannot be told";
            MasterError::System { what, source }
        })
    }

    /// Exchanges this master for the program on disk, in place. Comes back only where that fails, with the reason; the monitor serves
    /// again then.
    pub(super) async fn exchange(&mut self, cluster: &Cluster) -> io::Error {
        let monitor = self
            .monitor
            .as_ref()
            .and_then(|monitor| monitor.hand_over());
        if let Some(monitor) = &mut self.monitor {
            let _ = tokio::time::timeout(LAST_STEPS, monitor.stop()).await;
        }
        let failed = match &self.lock {
            // A stop that came meanwhile goes before.
            _ if cluster.state().state == NodeState::Stopping => io::ErrorKind::Interrupted.into(),
            None => io::ErrorKind::NotFound.into(),
            Some(lock) => execute(cluster, lock, monitor.as_ref()),
        };
        error!(error = %failed, "the master cannot be exchanged");
        if let Some(serves) = &mut self.monitor
            && let Err(e) = serves.serve(cluster, monitor).await
        {
            error!(error = %e, "the monitor does not serve any more");
        }
        failed
    }

    /// Ends the master alone: whoever it has taken over serves on, for the next one to take over.
    pub(super) async fn leave(mut self) {
        if let Some(monitor) = &mut self.monitor {
            let _ = tokio::time::timeout(LAST_STEPS, monitor.stop()).await;
        }
        drop(self.lock.take());
    }

    pub(super) async fn end(mut self) {
        let steps = async {
            if let Some(cache) = &mut self.cache {
                cache.drain(Duration::ZERO).await;
            }
            if let Some(monitor) = &mut self.monitor {
                monitor.stop().await;
            }
        };
        if tokio::time::timeout(LAST_STEPS, steps).await.is_err() {
            warn!("the monitor did not end in time");
        }
        for socket in self.unix_sockets.drain(..) {
            socket.remove();
        }
        if let Some(path) = &self.cache_socket {
            socket::remove_abandoned(path);
        }
        // Where somebody lives all the same, the next master is to know.
        if matches!(self.present(), Ok(present) if present.is_empty()) {
            RecordFile::remove(self.directory.path());
            let _ = std::fs::remove_file(self.directory.path().join(presence::FILE));
        }
        drop(self.lock.take());
        if let Err(e) = self.directory.remove_if_empty() {
            warn!(error = %e, "the runtime directory was not removed");
        }
    }
}

/// Executes the program on disk as the next master, with what it is to keep; gives back why it cannot.
fn execute(cluster: &Cluster, lock: &Lock, monitor: Option<&Socket>) -> io::Error {
    let mut fds = vec![lock.as_fd()];
    fds.extend(monitor.map(Socket::fd));
    let record = BootRecord {
        lock: Some(lock.as_fd().as_raw_fd()),
        monitor: monitor.map(InheritedSocket::of),
        ..BootRecord::of_master(cluster.node.runtime_dir.clone(), cluster.options().clone())
    };
    let handover = serde_json::to_vec(&record)
        .map_err(io::Error::from)
        .and_then(|bytes| Handover::new(&bytes));
    let (handover, program) = match (handover, process::exe()) {
        (Ok(handover), Ok(program)) => (handover, program),
        (Err(e), _) | (_, Err(e)) => return e,
    };
    fds.push(handover.as_fd());
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    info!(program = %program.display(), "exchanging the master");
    process::exec(program, &args, vec![handover.variable()], &fds)
}
