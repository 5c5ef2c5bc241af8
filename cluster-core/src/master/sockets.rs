//! The listening sockets that all workers share.

use std::net::SocketAddr;

use super::start::{MakeSocket, MasterError, Monitor};
use crate::options::{Host, Options};
use crate::sys::socket;
use crate::worker::application::Socket;

/// Connections that may wait in the queue of the shared socket; the kernel's own bound may be lower.
const BACKLOG: u32 = 1024;
/// A port that is busy is found before anything is started.
pub(super) fn check_ports(
    options: &Options,
    monitor: Option<&dyn Monitor>,
    serves: bool,
) -> Result<(), MasterError> {
    if options.skip_check_busy_ports {
        return Ok(());
    }
    if let Some(monitor) = monitor {
        socket::bind_tcp(monitor.address(options), BACKLOG)?;
    }
    for host in options.hosts.iter().filter(|_| serves) {
        if let Host::Ip(ip) = host {
            socket::bind_tcp(SocketAddr::new(*ip, options.port), BACKLOG)?;
        }
    }
    Ok(())
}

/// Binds what the options name, and makes what the application makes by itself.
pub(super) fn bind(
    options: &Options,
    own: Vec<MakeSocket>,
    have: &mut impl FnMut(Socket),
) -> Result<(), MasterError> {
    for host in &options.hosts {
        have(match host {
            Host::Ip(ip) => Socket::Tcp(socket::bind_tcp(
                SocketAddr::new(*ip, options.port),
                BACKLOG,
            )?),
            Host::Unix(path) => Socket::Unix(socket::bind_unix(path, 0o660)?, path.clone()),
        });
    }
    for make in own {
        have(make().map_err(MasterError::OwnListener)?);
    }
    Ok(())
}
