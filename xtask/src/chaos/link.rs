//! Cutting links: both ends of a Unix socket find it closed, as if the network between them had failed.
//!
//! The descriptor of the side that accepted is borrowed from its process and shut down. The kernel lets root do that, and most kernels whoever
//! has started the process.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::net::{Shutdown, shutdown, sockopt};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

/// Why a link was not cut.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CutError {
    /// The process at one end has ended.
    #[error("process {0} has ended")]
    Gone(u32),
    /// The kernel does not lend the descriptors of another process.
    #[error("the descriptors of process {pid} cannot be borrowed")]
    Borrow {
        /// Whose.
        pid: u32,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no link between them now.
    #[error("there is no link between {server} and {client}")]
    None {
        /// The process that would have accepted it.
        server: u32,
        /// The process that would have made it.
        client: u32,
    },
}

/// Cuts what links `client` to `server`, which has accepted it at a socket in `directory`; says how many links it were.
///
/// # Errors
/// Where there is none, or the system forbids it.
pub(crate) fn cut(server: u32, directory: &Path, client: u32) -> Result<usize, CutError> {
    let process = process(server)?;
    let table = fs::read_to_string(format!("/proc/{server}/net/unix"));
    let accepted = accepted(&table.map_err(|_| CutError::Gone(server))?, directory);
    let mut cut = 0;
    for fd in open(server, &accepted) {
        let link = match borrow(&process, fd) {
            Ok(link) => link,
            // Closed in the meantime.
            Err(rustix::io::Errno::BADF) => continue,
            Err(rustix::io::Errno::SRCH) => return Err(CutError::Gone(server)),
            Err(e) => {
                return Err(CutError::Borrow {
                    pid: server,
                    source: e.into(),
                });
            }
        };
        let peer = sockopt::socket_peercred(&link).map(|peer| peer.pid.as_raw_nonzero().get());
        if peer.is_ok_and(|peer| u32::try_from(peer) == Ok(client))
            && shutdown(&link, Shutdown::Both).is_ok()
        {
            cut += 1;
        }
    }
    match cut {
        0 => Err(CutError::None { server, client }),
        cut => Ok(cut),
    }
}

fn process(pid: u32) -> Result<OwnedFd, CutError> {
    let found = i32::try_from(pid).ok().and_then(Pid::from_raw);
    found
        .and_then(|found| pidfd_open(found, PidfdFlags::empty()).ok())
        .ok_or(CutError::Gone(pid))
}

fn borrow(process: &impl AsFd, fd: RawFd) -> rustix::io::Result<OwnedFd> {
    pidfd_getfd(process, fd, PidfdGetfdFlags::empty())
}

/// The inodes of the sockets that were accepted in a directory, by `/proc/PID/net/unix`: those carry the path that their listener is bound to.
fn accepted(table: &str, directory: &Path) -> BTreeSet<u64> {
    const CONNECTED: &str = "03";
    let inode = |line: &str| {
        // Num RefCount Protocol Flags Type St Inode Path
        let mut fields = line.split_whitespace().skip(5);
        let (state, inode, path) = (fields.next()?, fields.next()?, fields.next()?);
        let wanted = state == CONNECTED && Path::new(path).parent() == Some(directory);
        wanted.then(|| inode.parse().ok()).flatten()
    };
    table.lines().filter_map(inode).collect()
}

/// The descriptors under which a process has these sockets open.
fn open(pid: u32, inodes: &BTreeSet<u64>) -> Vec<RawFd> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd"));
    let fd = |entry: fs::DirEntry| {
        let link = fs::read_link(entry.path()).ok()?;
        let inode = link
            .to_str()?
            .strip_prefix("socket:[")?
            .strip_suffix(']')?
            .parse()
            .ok()?;
        let fd = entry.file_name().to_str()?.parse().ok()?;
        inodes.contains(&inode).then_some(fd)
    };
    entries
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(fd)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn a_link_that_is_cut_has_ended_at_both_ends() {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("it.sock")).unwrap();
        let mut client = UnixStream::connect(directory.path().join("it.sock")).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(b"x").unwrap();
        server.read_exact(&mut [0]).unwrap();
        let me = std::process::id();
        let elsewhere = cut(me, Path::new("/nowhere"), me).unwrap_err();
        assert!(matches!(elsewhere, CutError::None { .. }), "{elsewhere}");
        match cut(me, directory.path(), me) {
            // A sandbox may forbid it; then the act is passed over.
            Err(CutError::Borrow { .. }) => {}
            cut => {
                assert_eq!(cut.unwrap(), 1);
                assert_eq!(client.read(&mut [0]).unwrap(), 0);
                assert_eq!(server.read(&mut [0]).unwrap(), 0);
                assert!(client.write_all(b"x").is_err());
            }
        }
    }

    #[test]
    fn only_what_was_accepted_there_is_meant() {
        let table = "\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 100 /run/c/master.sock
0000000000000000: 00000003 00000000 00000000 0001 03 101 /run/c/master.sock
0000000000000000: 00000003 00000000 00000000 0001 03 102
0000000000000000: 00000003 00000000 00000000 0001 03 103 /run/d/master.sock
0000000000000000: 00000003 00000000 00000000 0001 03 104 /run/c/cache.sock
";
        assert_eq!(accepted(table, Path::new("/run/c")), [101, 104].into());
    }
}
