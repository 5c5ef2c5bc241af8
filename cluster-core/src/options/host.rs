//! Where the application listens.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One place for the application to listen at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Host {
    /// An IPv4 or IPv6 address; the port is that of the options.
    Ip(IpAddr),
    /// The path of a Unix socket, 1 to 107 bytes.
    Unix(PathBuf),
}

impl Host {
    /// Bytes in the path of a Unix socket: `sun_path` holds 108, the last of them a NUL.
    pub(super) const MAX_PATH: usize = 107;

    /// The host that `text` names: an address, with or without brackets, or `unix:PATH`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            let fits = (1..=Self::MAX_PATH).contains(&path.len()) && !path.contains('\0');
            return fits.then(|| Host::Unix(path.into()));
        }
        let address = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        address.unwrap_or(text).parse().ok().map(Host::Ip)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Ip(address) => address.fmt(f),
            Host::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
