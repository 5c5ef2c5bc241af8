//! The boot record: what the master tells a process at its birth.
//!
//! JSON, since an old master starts a new build's workers during an upgrade: unknown fields are passed over.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::application::{Means, Socket};
use super::keepsake::Keepsake;
use crate::id::{Generation, ProcessId};
use crate::options::Options;
use crate::sys::inherit;
use crate::sys::page::Page;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BootRecord {
    pub(crate) process: ProcessId,
    pub(crate) generation: Generation,
    /// Serve nobody until told to.
    #[serde(default)]
    pub(crate) paused: bool,
    /// The pid of the master that wrote it.
    pub(crate) master: u32,
    pub(crate) runtime_dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) sockets: Vec<InheritedSocket>,
    pub(crate) page: Option<RawFd>,
    pub(crate) slots: Vec<usize>,
    /// A cache manager is to take over from the one that serves.
    #[serde(default)]
    pub(crate) takes_over: bool,
    /// Wait for a debugger before the first step of the application, and then serve nobody but whoever debugs.
    #[serde(default)]
    pub(crate) awaits_debugger: bool,
    /// What a master keeps while it is exchanged in place: the lock.
    #[serde(default)]
    pub(crate) lock: Option<RawFd>,
    /// And the monitor's listening socket.
    #[serde(default)]
    pub(crate) monitor: Option<InheritedSocket>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InheritedSocket {
    pub(crate) fd: RawFd,
    /// The path of a Unix socket; none for TCP.
    pub(crate) unix: Option<PathBuf>,
}

impl InheritedSocket {
    /// A socket as it is passed on.
    pub(crate) fn of(socket: &Socket) -> Self {
        InheritedSocket {
            fd: socket.fd().as_raw_fd(),
            unix: match socket {
                Socket::Tcp(_) => None,
                Socket::Unix(_, path) => Some(path.clone()),
            },
        }
    }

    fn take(&self) -> io::Result<Socket> {
        let fd = inherit::take_fd(self.fd)?;
        Ok(match &self.unix {
            None => Socket::Tcp(fd.into()),
            Some(path) => Socket::Unix(fd.into(), path.clone()),
        })
    }
}

impl BootRecord {
    /// What a master tells the one that it is exchanged for.
    pub(crate) fn of_master(runtime_dir: PathBuf, options: Options) -> Self {
        BootRecord {
            process: ProcessId::Master,
            generation: Generation(1),
            paused: false,
            master: std::process::id(),
            runtime_dir,
            options,
            sockets: Vec::new(),
            page: None,
            slots: Vec::new(),
            takes_over: false,
            awaits_debugger: false,
            lock: None,
            monitor: None,
        }
    }

    /// What the master before this one, in the same process, has kept.
    pub(crate) fn kept(&self) -> io::Result<Option<(OwnedFd, Option<Socket>)>> {
        let Some(lock) = self.lock else {
            return Ok(None);
        };
        let lock = inherit::take_fd(lock)?;
        let monitor = self
            .monitor
            .as_ref()
            .map(InheritedSocket::take)
            .transpose()?;
        Ok(Some((lock, monitor)))
    }
    /// The record that this process was started with, if it was started by a master.
    pub(crate) fn take() -> io::Result<Option<BootRecord>> {
        let Some(bytes) = inherit::take_boot()? else {
            return Ok(None);
        };
        let record = serde_json::from_slice(&bytes)?;
        Ok(Some(record))
    }

    /// Takes the descriptors that the record names; what another master may want of them is kept.
    pub(crate) fn means(&self) -> io::Result<(Means, Keepsake)> {
        let sockets = self.sockets.iter().map(InheritedSocket::take);
        let sockets = sockets.collect::<io::Result<Vec<_>>>()?;
        let page = self.page.map(inherit::take_fd).transpose()?;
        let kept = page.as_ref().map(OwnedFd::try_clone).transpose()?;
        let slots = match page {
            None => Vec::new(),
            Some(fd) => {
                let page = Page::from_fd(fd)?;
                self.slots.iter().filter_map(|n| page.slot(*n)).collect()
            }
        };
        let keepsake = Keepsake::new(&sockets, kept, self.slots.clone())?;
        let means = Means {
            sockets,
            slots,
            takes_over: self.takes_over,
        };
        Ok((means, keepsake))
    }
}
