//! Why a socket could not be had.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// Where a socket listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// A path.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Why a listening socket could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// Somebody listens there already.
    #[error("{address} is busy: another process listens there")]
    Busy {
        /// Where.
        address: Address,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// This user may not listen there.
    #[error("{address} is not permitted to this user")]
    Permission {
        /// Where.
        address: Address,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No interface of this machine has the address.
    #[error("{address} is no address of this machine")]
    Unavailable {
        /// Where.
        address: Address,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The path does not fit into a socket address.
    #[error("the socket path {} has {length} bytes, at most {limit} are possible", path.display())]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        length: usize,
        /// The most bytes that are possible.
        limit: usize,
    },
    /// The path names a file of another kind, which was left alone.
    #[error("{} exists and is not a socket", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// Anything else.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: Address,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl SocketError {
    /// A Unix socket was bound, and cannot be waited on.
    pub(crate) fn unusable(path: &Path, source: &io::Error) -> Self {
        let errno = Errno::from_io_error(source).unwrap_or(Errno::INVAL);
        SocketError::new(Address::Unix(path.to_owned()), errno)
    }

    pub(super) fn new(address: Address, source: Errno) -> Self {
        match source {
            Errno::ADDRINUSE => Self::Busy {
                address,
                source: source.into(),
            },
            Errno::ACCESS | Errno::PERM => Self::Permission {
                address,
                source: source.into(),
            },
            Errno::ADDRNOTAVAIL => Self::Unavailable {
                address,
                source: source.into(),
            },
            _ => Self::Listen {
                address,
                source: source.into(),
            },
        }
    }
}
