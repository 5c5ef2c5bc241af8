//! The boot record: what the master tells a process at its birth.
//!
//! JSON, since an old master starts a new build's workers during an upgrade: unknown fields are passed over.

use std::io;
use std::os::fd::RawFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::application::{Means, Socket};
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
    /// Another process does what this one is to do, and is to hand over to it.
    #[serde(default)]
    pub(crate) takes_over: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InheritedSocket {
    pub(crate) fd: RawFd,
    /// The path of a Unix socket; none for TCP.
    pub(crate) unix: Option<PathBuf>,
}

impl BootRecord {
    /// The record that this process was started with, if it was started by a master.
    pub(crate) fn take() -> io::Result<Option<BootRecord>> {
        let Some(bytes) = inherit::take_boot()? else {
            return Ok(None);
        };
        let record = serde_json::from_slice(&bytes)?;
        Ok(Some(record))
    }

    /// Takes the descriptors that the record names.
    pub(crate) fn means(&self) -> io::Result<Means> {
        let sockets = self.sockets.iter().map(|socket| {
            let fd = inherit::take_fd(socket.fd)?;
            Ok(match &socket.unix {
                None => Socket::Tcp(fd.into()),
                Some(path) => Socket::Unix(fd.into(), path.clone()),
            })
        });
        let sockets = sockets.collect::<io::Result<_>>()?;
        let slots = match self.page {
            None => Vec::new(),
            Some(fd) => {
                let page = Page::from_fd(inherit::take_fd(fd)?)?;
                self.slots.iter().filter_map(|n| page.slot(*n)).collect()
            }
        };
        Ok(Means {
            sockets,
            slots,
            takes_over: self.takes_over,
        })
    }
}
