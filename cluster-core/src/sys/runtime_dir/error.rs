//! Why a runtime directory cannot be used.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// The process that holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Its id; `None` if it had not come to write it.
    pub pid: Option<u32>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid}"),
            None => f.write_str("another process"),
        }
    }
}

/// Why a runtime directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeDirError {
    /// The cluster's name cannot be a directory's.
    #[error(
        "{name:?} cannot be a cluster's name: it takes 1 to 64 letters, digits, `-`, `_` and `.`, the first not a `.`"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// The sockets in it would have too long a path.
    #[error("the runtime directory {} is too long: its sockets' paths would have {length} bytes, at most {limit} are possible", path.display())]
    TooLong {
        /// The directory.
        path: PathBuf,
        /// The length of the longest socket path in it, in bytes.
        length: usize,
        /// The most bytes that are possible.
        limit: usize,
    },
    /// The directory in which it would be made does not exist.
    #[error("the runtime directory cannot be made: there is no directory {}", path.display())]
    Missing {
        /// What does not exist.
        path: PathBuf,
    },
    /// A component is a symbolic link, which whoever made it could turn elsewhere.
    #[error("{} is a symbolic link, a runtime directory must not be one or lie in one", path.display())]
    Symlink {
        /// The link.
        path: PathBuf,
    },
    /// A component is something else.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// What it is.
        path: PathBuf,
    },
    /// It belongs to somebody else.
    #[error("{} belongs to user {owner}, it must belong to user {user}", path.display())]
    Owner {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who this process acts as.
        user: u32,
    },
    /// Others may write to it.
    #[error("{} has mode {mode:04o}, nobody but its owner may write to it", path.display())]
    Mode {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// This user cannot write to it, or it is on a file system that is read-only.
    #[error("the runtime directory cannot be used: {} is not writable", path.display())]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// This user may not look into it.
    #[error("{} is not permitted to this user", path.display())]
    Permission {
        /// What could not be opened.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The cluster runs already.
    #[error("{} is locked by {holder}: a cluster of this name is running", path.display())]
    Held {
        /// The directory.
        path: PathBuf,
        /// Who holds the lock.
        holder: Holder,
    },
    /// The lock's file was removed or replaced each time that it was opened.
    #[error("the lock {} changed under every attempt to take it", path.display())]
    Unsteady {
        /// The lock's file.
        path: PathBuf,
    },
    /// Anything else.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl RuntimeDirError {
    pub(super) fn io(action: &'static str, path: &Path, source: Errno) -> Self {
        let (path, source) = (path.to_path_buf(), source);
        match source {
            Errno::ACCESS | Errno::PERM => Self::Permission {
                path,
                source: source.into(),
            },
            Errno::ROFS => Self::NotWritable {
                path,
                source: source.into(),
            },
            _ => Self::Io {
                action,
                path,
                source: source.into(),
            },
        }
    }
}
