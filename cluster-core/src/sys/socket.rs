//! Listening sockets, bound once by the master and passed on from there.

mod error;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{Mode, RawMode};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

pub use error::{Address, SocketError};

/// The most bytes that a socket's path can have.
pub(crate) const PATH_LIMIT: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Connections that wait on a Unix socket until they are accepted; the system has a bound of its own below it.
const UNIX_BACKLOG: i32 = 1024;

/// Binds a TCP socket and listens on it: not blocking, closed on exec, and an IPv6 one for IPv6 alone, so that
/// `0.0.0.0` and `::` can both be had on one port. Port 0 takes a free one.
///
/// `backlog` is how many connections wait to be accepted; the system has a bound of its own below it.
///
/// # Errors
/// [`SocketError`], naming the address.
pub(crate) fn bind_tcp(address: SocketAddr, backlog: u32) -> Result<TcpListener, SocketError> {
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    let bind = || -> rustix::io::Result<OwnedFd> {
        let family = if address.is_ipv6() {
            AddressFamily::INET6
        } else {
            AddressFamily::INET
        };
        let fd = stream_socket(family)?;
        rustix::net::sockopt::set_socket_reuseaddr(&fd, true)?;
        if address.is_ipv6() {
            rustix::net::sockopt::set_ipv6_v6only(&fd, true)?;
        }
        rustix::net::bind(&fd, &address)?;
        rustix::net::listen(&fd, backlog)?;
        Ok(fd)
    };
    bind()
        .map(TcpListener::from)
        .map_err(|source| SocketError::new(Address::Tcp(address), source))
}

/// Binds a Unix socket of this mode (such as `0o600`) and listens on it: not blocking, closed on exec.
///
/// A socket file that nobody listens on is replaced. Where two processes could do that at the same time, the caller
/// holds a lock, as that of the [`RuntimeDir`](crate::sys::RuntimeDir).
///
/// # Errors
/// [`SocketError`], naming the path: too long, busy, or something other than a socket, which is left alone.
pub(crate) fn bind_unix(path: &Path, mode: u32) -> Result<UnixListener, SocketError> {
    let length = path.as_os_str().len();
    if length > PATH_LIMIT {
        return Err(SocketError::TooLong {
            path: path.into(),
            length,
            limit: PATH_LIMIT,
        });
    }
    let fail = |source: Errno| SocketError::new(Address::Unix(path.into()), source);
    let address = SocketAddrUnix::new(path).map_err(fail)?;
    remove_stale(path, &address)?;
    let mode = Mode::from_raw_mode((mode & 0o777) as RawMode);
    let bind = || -> rustix::io::Result<OwnedFd> {
        let fd = stream_socket(AddressFamily::UNIX)?;
        // Before it has a name: on Linux the file then never has a wider mode, not even for a moment.
        let _ = rustix::fs::fchmod(&fd, mode);
        rustix::net::bind(&fd, &address)?;
        // Once more, for the bits that the umask took away.
        rustix::fs::chmod(path, mode)?;
        rustix::net::listen(&fd, UNIX_BACKLOG)?;
        Ok(fd)
    };
    bind().map(UnixListener::from).map_err(fail)
}

/// Whether it is a socket that listens; where the system does not tell, it is taken for one.
pub(crate) fn is_listening(fd: &OwnedFd) -> io::Result<bool> {
    #[cfg(not(target_vendor = "apple"))]
    match rustix::net::sockopt::socket_acceptconn(fd) {
        Ok(listens) => Ok(listens),
        Err(Errno::NOTSOCK) => Ok(false),
        Err(e) => Err(e.into()),
    }
    #[cfg(target_vendor = "apple")]
    {
        let _ = fd;
        Ok(true)
    }
}

/// Removes the file at `path` if it is a socket that nobody listens on.
fn remove_stale(path: &Path, address: &SocketAddrUnix) -> Result<(), SocketError> {
    let fail = |source: Errno| SocketError::new(Address::Unix(path.into()), source);
    match std::fs::symlink_metadata(path) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(fail(Errno::from_io_error(&source).unwrap_or(Errno::IO))),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(SocketError::NotASocket { path: path.into() });
        }
        Ok(_) => {}
    }
    let probe = stream_socket(AddressFamily::UNIX).map_err(fail)?;
    match rustix::net::connect(&probe, address) {
        Err(Errno::CONNREFUSED) => match rustix::fs::unlink(path) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(source) => Err(fail(source)),
        },
        Err(Errno::NOENT) => Ok(()),
        // Answered, or its queue is full, or it is a socket of another kind: somebody is there.
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => Err(fail(Errno::ADDRINUSE)),
        Err(source) => Err(fail(source)),
    }
}

/// Removes the file of a socket whose process has ended without it.
pub(crate) fn remove_abandoned(path: &Path) {
    if let Ok(address) = SocketAddrUnix::new(path) {
        // What somebody listens on, and what is no socket, is left alone.
        let _ = remove_stale(path, &address);
    }
}

/// A stream socket that does not block and is closed on exec.
fn stream_socket(family: AddressFamily) -> rustix::io::Result<OwnedFd> {
    #[cfg(not(target_vendor = "apple"))]
    {
        use rustix::net::SocketFlags;
        rustix::net::socket_with(
            family,
            SocketType::STREAM,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )
    }
    #[cfg(target_vendor = "apple")]
    {
        let fd = rustix::net::socket(family, SocketType::STREAM, None)?;
        rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(fd)
    }
}
