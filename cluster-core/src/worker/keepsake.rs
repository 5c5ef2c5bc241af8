//! What a process keeps for a master to come: the listening sockets and the shared page, which that master has to get from somebody.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Instant;

use super::application::Socket;
use crate::bridge::handshake::Bequest;
use crate::protocol::{Adopt, Heritage, Standing};

/// What is kept; of the descriptors, duplicates.
#[derive(Debug)]
pub(crate) struct Keepsake {
    began: Instant,
    sockets: Vec<(OwnedFd, Option<PathBuf>)>,
    page: Option<OwnedFd>,
    slots: Vec<usize>,
}

impl Keepsake {
    pub(crate) fn new(
        sockets: &[Socket],
        page: Option<OwnedFd>,
        slots: Vec<usize>,
    ) -> io::Result<Self> {
        let sockets = sockets.iter().map(|socket| {
            let path = match socket {
                Socket::Tcp(_) => None,
                Socket::Unix(_, path) => Some(path.clone()),
            };
            Ok((socket.fd().try_clone_to_owned()?, path))
        });
        Ok(Keepsake {
            began: Instant::now(),
            sockets: sockets.collect::<io::Result<_>>()?,
            page,
            slots,
        })
    }

    /// What another master is given.
    pub(crate) fn bequeath(&self, adopt: Adopt, standing: Standing) -> io::Result<Bequest> {
        let number = |n: &usize| u32::try_from(*n).unwrap_or(u32::MAX);
        let mut heritage = Heritage {
            standing,
            uptime_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            slots: self.slots.iter().map(number).collect(),
            sockets: Vec::new(),
            page: false,
        };
        let mut fds = Vec::new();
        if adopt.sockets {
            for (fd, path) in &self.sockets {
                let path = path
                    .as_ref()
                    .map(|path| path.to_string_lossy().into_owned());
                heritage.sockets.push(path);
                fds.push(fd.try_clone()?);
            }
            if let Some(page) = &self.page {
                heritage.page = true;
                fds.push(page.as_fd().try_clone_to_owned()?);
            }
        }
        Ok((heritage, fds))
    }
}
