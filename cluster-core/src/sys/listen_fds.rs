//! Listening sockets that a service manager has opened for this process: the protocol of systemd's `sd_listen_fds`.
//!
//! Once they are taken, the variables promise what is no longer there: an exec in place is to leave them out.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::PathBuf;

use rustix::net::{SocketAddrAny, SocketAddrUnix, SocketType, sockopt};

use super::inherit;
use super::socket::Address;

/// Which process the descriptors are meant for.
pub(crate) const LISTEN_PID: &str = "LISTEN_PID";
/// How many there are, from descriptor 3 on.
pub(crate) const LISTEN_FDS: &str = "LISTEN_FDS";
/// Their names, with a colon between each two.
pub(crate) const LISTEN_FDNAMES: &str = "LISTEN_FDNAMES";

/// The first of them.
const FIRST: RawFd = 3;
/// The most that are taken.
const MOST: RawFd = 64;

/// Why descriptors that were given cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenFdsError {
    /// No number of descriptors.
    #[error("{LISTEN_FDS}={value:?} is no number of descriptors (allowed: 0 to {MOST})")]
    Count {
        /// What it is.
        value: String,
    },
    /// One that is named was not passed on.
    #[error("descriptor {number}, one of those that {LISTEN_FDS} counts, is not open")]
    NotOpen {
        /// Its number.
        number: i32,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// One that nobody can connect to.
    #[error(
        "descriptor {number} ({LISTEN_FDS}) is {what} (allowed: TCP and Unix stream sockets that listen)"
    )]
    NotListening {
        /// Its number.
        number: i32,
        /// What it is instead.
        what: &'static str,
    },
    /// The system refused something.
    #[error("descriptor {number} ({LISTEN_FDS}) cannot be used")]
    System {
        /// Its number.
        number: i32,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A descriptor that was given, and not looked at yet. Closed on exec.
#[derive(Debug)]
pub(crate) struct Passed {
    number: RawFd,
    pub(crate) fd: OwnedFd,
    /// What the service manager calls it.
    pub(crate) name: Option<String>,
}

/// A socket that listens; it does not block.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) fd: OwnedFd,
    /// Where; `unix:@NAME` is one without a file.
    pub(crate) address: Address,
    /// It is one of IPv6 that takes connections of IPv4 too.
    pub(crate) dual: bool,
}

/// Takes what was given to this process: nothing where nothing was, or to another process. A second call finds nothing to take.
///
/// # Errors
/// [`ListenFdsError`], where the variables promise what is not there.
pub(crate) fn take() -> Result<Vec<Passed>, ListenFdsError> {
    let value = |name| std::env::var(name).ok();
    let me = std::process::id();
    let meant = value(LISTEN_PID).and_then(|pid| pid.parse().ok()) == Some(me);
    let Some(count) = value(LISTEN_FDS).filter(|_| meant) else {
        return Ok(Vec::new());
    };
    let names = value(LISTEN_FDNAMES).unwrap_or_default();
    numbered(&count, &names)?
        .map(|(number, name)| {
            let fd = inherit::take_fd(number)
                .map_err(|source| ListenFdsError::NotOpen { number, source })?;
            Ok(Passed { number, fd, name })
        })
        .collect()
}

/// The numbers of the descriptors, each with its name.
fn numbered(
    count: &str,
    names: &str,
) -> Result<impl Iterator<Item = (RawFd, Option<String>)>, ListenFdsError> {
    let known = count
        .parse()
        .ok()
        .filter(|count| (0..=MOST).contains(count));
    let count: RawFd = known.ok_or_else(|| ListenFdsError::Count {
        value: count.to_owned(),
    })?;
    let names: Vec<String> = names.split(':').map(str::to_owned).collect();
    let names = names
        .into_iter()
        .map(|name| Some(name).filter(|n| !n.is_empty()));
    Ok((FIRST..FIRST + count).zip(names.chain(std::iter::repeat(None))))
}

impl Passed {
    /// Makes sure that it listens, and looks where.
    ///
    /// # Errors
    /// [`ListenFdsError`], naming the descriptor.
    pub(crate) fn listening(self) -> Result<Listening, ListenFdsError> {
        let number = self.number;
        let fd = self.fd;
        let not_listening = |what| ListenFdsError::NotListening { number, what };
        let system = |source: rustix::io::Errno| ListenFdsError::System {
            number,
            source: source.into(),
        };
        match sockopt::socket_type(&fd) {
            Ok(SocketType::STREAM) => {}
            Ok(_) => return Err(not_listening("a socket of another kind")),
            Err(_) => return Err(not_listening("no socket")),
        }
        if !sockopt::socket_acceptconn(&fd).map_err(system)? {
            return Err(not_listening("a socket that does not listen"));
        }
        let local = rustix::net::getsockname(&fd).map_err(system)?;
        let address = address(&local).ok_or_else(|| not_listening("a socket of another family"))?;
        let dual = matches!(address, Address::Tcp(SocketAddr::V6(_)))
            && !sockopt::ipv6_v6only(&fd).map_err(system)?;
        rustix::io::ioctl_fionbio(fd.as_fd(), true).map_err(system)?;
        Ok(Listening { fd, address, dual })
    }
}

fn address(local: &SocketAddrAny) -> Option<Address> {
    if let Ok(tcp) = SocketAddr::try_from(local.clone()) {
        return Some(Address::Tcp(tcp));
    }
    let unix = SocketAddrUnix::try_from(local.clone()).ok()?;
    let path = unix.path_bytes().map(|path| {
        use std::os::unix::ffi::OsStrExt;
        PathBuf::from(std::ffi::OsStr::from_bytes(path))
    });
    #[cfg(target_os = "linux")]
    let path = path.or_else(|| {
        let name = unix.abstract_name()?;
        Some(format!("@{}", String::from_utf8_lossy(name)).into())
    });
    path.map(Address::Unix)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::UnixListener;

    use super::*;

    fn look(fd: impl Into<OwnedFd>) -> Result<Listening, ListenFdsError> {
        let passed = Passed {
            number: 5,
            fd: fd.into(),
            name: None,
        };
        passed.listening()
    }

    #[test]
    fn numbers_begin_at_three_and_names_may_be_missing() {
        let all = |count, names| numbered(count, names).map(Iterator::collect::<Vec<_>>);
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(all("0", "").unwrap(), []);
        assert_eq!(all("2", "a").unwrap(), [(3, name("a")), (4, None)]);
        assert_eq!(
            all("3", ":monitor:x:y").unwrap(),
            [(3, None), (4, name("monitor")), (5, name("x"))]
        );
        for wrong in ["", "-1", "65", "x", "99999999999"] {
            let error = all(wrong, "").unwrap_err().to_string();
            assert!(error.starts_with("LISTEN_FDS="), "{error}");
        }
    }

    #[test]
    fn what_listens_is_known_by_its_address() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = tcp.local_addr().unwrap();
        let listening = look(tcp).unwrap();
        assert_eq!(
            (&listening.address, listening.dual),
            (&Address::Tcp(at), false)
        );
        let blocks = TcpListener::from(listening.fd).accept().unwrap_err();
        assert_eq!(blocks.kind(), io::ErrorKind::WouldBlock);

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let unix = look(UnixListener::bind(&path).unwrap()).unwrap();
        assert_eq!(unix.address, Address::Unix(path));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_socket_without_a_file_has_its_name() {
        use std::os::linux::net::SocketAddrExt;
        let name = format!("cluster-listen-test-{}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        let unix = look(UnixListener::bind_addr(&address).unwrap()).unwrap();
        assert_eq!(unix.address.to_string(), format!("unix:@{name}"));
    }

    #[test]
    fn what_does_not_listen_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let file = tempfile::tempfile().unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        for (found, says) in [
            (look(connected), "does not listen"),
            (look(file), "no socket"),
            (look(udp), "of another kind"),
        ] {
            let error = found.unwrap_err().to_string();
            assert!(error.starts_with("descriptor 5 "), "{error}");
            assert!(error.contains(says), "{error}");
        }
    }
}
