//! The runtime directory: where a cluster's lock and sockets are, for nobody but its own user.

mod discover;
mod error;
mod lock;
mod place;
#[cfg(test)]
mod tests;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

pub use discover::{Discovery, Running, candidates, discover};
pub use error::{Holder, RuntimeDirError};
pub use lock::Lock;
use place::{Place, Surroundings};

/// The directory of one cluster, checked and ready for use.
#[derive(Debug)]
pub struct RuntimeDir {
    place: Place,
    /// Whether it was made here, by us, so that it is ours to remove.
    made: bool,
}

impl RuntimeDir {
    /// Finds the cluster's directory, or makes it, for this user alone (mode 0700).
    ///
    /// It is `explicit` if given, else `$XDG_RUNTIME_DIR/cluster/NAME`, `/run/cluster/NAME` or `/tmp/cluster-UID/NAME`,
    /// the first of them that this user can have. The directory and the one above it are made where they are missing,
    /// and nothing above those.
    ///
    /// # Errors
    /// [`RuntimeDirError`], naming the path: a symbolic link in one of the last two components, another owner, a
    /// directory that others may write to, one that this user cannot write to, or one too long for the sockets in it.
    pub fn open(explicit: Option<&Path>, name: &str) -> Result<Self, RuntimeDirError> {
        Self::open_among(explicit, name, &Surroundings::of_this_process())
    }

    fn open_among(
        explicit: Option<&Path>,
        name: &str,
        around: &Surroundings,
    ) -> Result<Self, RuntimeDirError> {
        let place = around.place(explicit, name)?;
        let made = place.enter()?.made;
        Ok(Self { place, made })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.place.path
    }

    /// Where the master listens.
    #[must_use]
    pub fn master_socket(&self) -> PathBuf {
        self.path().join(place::MASTER_SOCKET)
    }

    /// Takes the cluster's lock, which one process at a time can hold, and writes this process's id into it.
    ///
    /// # Errors
    /// [`RuntimeDirError::Held`] if another process holds it, else as [`open`](Self::open).
    pub fn lock(&self) -> Result<Lock, RuntimeDirError> {
        Lock::take(&self.place)
    }

    /// Takes the lock that this process has held on, in `file`, while it was exchanged for another program in place.
    ///
    /// # Errors
    /// [`RuntimeDirError`] if it is no longer the lock of this directory.
    pub(crate) fn keep_lock(&self, file: OwnedFd) -> Result<Lock, RuntimeDirError> {
        Lock::kept(&self.place, file)
    }

    /// The id of the process that holds the lock of the runtime directory `path`, without taking it.
    ///
    /// `None` if nobody does, or whoever does has not come to write its id.
    ///
    /// # Errors
    /// [`RuntimeDirError::Permission`] if the directory is another user's, else what the system said.
    pub fn is_locked(path: &Path) -> Result<Option<u32>, RuntimeDirError> {
        lock::holder(path)
    }

    /// Whether it was made here, and not found.
    pub(crate) fn was_made(&self) -> bool {
        self.made
    }

    /// A master before this one made it: it is ours to remove.
    pub(crate) fn take_over(&mut self) {
        self.made = true;
    }

    /// Removes the directory if nothing is in it and it is ours to remove: made by default, or by this value.
    ///
    /// # Errors
    /// What the system said, other than that it is not empty or not there.
    pub fn remove_if_empty(&self) -> Result<(), RuntimeDirError> {
        if self.place.explicit && !self.made {
            return Ok(());
        }
        match rustix::fs::rmdir(self.path()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::NOTEMPTY | Errno::EXIST) => return Ok(()),
            Err(source) => return Err(RuntimeDirError::io("remove", self.path(), source)),
        }
        if let (false, Some(base)) = (self.place.explicit, self.path().parent()) {
            // Shared with the user's other clusters, and in /run not ours to remove: it goes if it can.
            let _ = rustix::fs::rmdir(base);
        }
        Ok(())
    }
}
