//! The connections of another process.

use rustix::net::{Shutdown, getpeername, shutdown};
use rustix::process::{PidfdGetfdFlags, pidfd_getfd};

use super::Process;

/// Descriptors that are looked at: a debug server has a handful.
const MOST: i32 = 64;

impl Process {
    /// Shuts down whatever this process is connected to, as if the other ends had gone away. Says how many that were: none where it
    /// may not be seen into.
    pub(crate) fn shut_connections(&self) -> usize {
        let Some(pidfd) = &self.pidfd else { return 0 };
        let is_shut = |fd: &i32| {
            let Ok(fd) = pidfd_getfd(pidfd, *fd, PidfdGetfdFlags::empty()) else {
                return false;
            };
            getpeername(&fd).is_ok_and(|peer| {
                // Its output is a socket as well, and nobody's connection.
                let is_inet = peer.is_some_and(|peer| {
                    let family = peer.address_family();
                    family == rustix::net::AddressFamily::INET
                        || family == rustix::net::AddressFamily::INET6
                });
                is_inet && shutdown(&fd, Shutdown::Both).is_ok()
            })
        };
        (3..MOST).filter(is_shut).count()
    }
}
