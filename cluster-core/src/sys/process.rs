//! Processes, addressed by pidfd so that a reused pid is never mistaken for the process that had it before.

#![allow(unsafe_code)]

mod children;
mod descriptors;
mod environment;
mod exec;
mod exit;
mod identity;
mod spawn;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

pub(crate) use children::{become_subreaper, reap_strangers};
pub(crate) use exec::exec;
pub use exit::Exit;
pub(crate) use identity::{exe, user_id};
pub(crate) use spawn::{Spawn, spawn};

/// How often a process is looked at where the kernel offers no pidfd to wait on.
const POLL: Duration = Duration::from_millis(20);

/// A process of this machine: a child of ours, or one that was adopted.
///
/// A child is reaped by [`exited`](Self::exited), or after the value was dropped by the next spawn or
/// [`reap_strangers`]; it stays no zombie for longer than that.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    /// Absent where the kernel has none (not Linux, a sandbox).
    pidfd: Option<OwnedFd>,
    /// It is on the list of those who are reaped by their owner.
    owned: bool,
    exit: Mutex<Option<Exit>>,
}

impl Process {
    /// Addresses a running process that this program did not start.
    ///
    /// Its exit status can be learned only if it is a child of this process all the same (as after an exec in place); then it is
    /// reaped like one that was started here.
    ///
    /// # Errors
    /// `NotFound` if there is no such process.
    pub(crate) fn adopt(pid: u32) -> io::Result<Self> {
        let mut process = Self::open(pid)?;
        children::registry().add(process.pid);
        process.owned = true;
        Ok(process)
    }

    /// Addresses a running process that somebody else reaps.
    fn open(pid: u32) -> io::Result<Self> {
        let pid = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or(io::ErrorKind::InvalidInput)?;
        let pidfd = open_pidfd(pid).map_err(not_found)?;
        if pidfd.is_none() && rustix::process::test_kill_process(pid) == Err(Errno::SRCH) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self {
            pid,
            pidfd,
            owned: false,
            exit: Mutex::new(None),
        })
    }

    /// The process id; reused by the system once the process was reaped.
    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// `NotFound` if the process is gone, `PermissionDenied` if it belongs to another user.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        // Held while the signal is sent: a child cannot be reaped, and so its pid not reused, in between.
        let exit = self.exit.lock();
        if exit.is_some() {
            return Err(io::ErrorKind::NotFound.into());
        }
        #[cfg(target_os = "linux")]
        if let Some(pidfd) = &self.pidfd {
            match rustix::process::pidfd_send_signal(pidfd, signal) {
                Err(Errno::NOSYS) => {}
                sent => return sent.map_err(not_found),
            }
        }
        rustix::process::kill_process(self.pid, signal).map_err(not_found)
    }

    /// Whether it is a child of this process that has not been reaped.
    pub(crate) fn is_child(&self) -> bool {
        let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(self.wait_id(), peek).is_ok()
    }

    /// Asks a process of a cluster for the stacks of its threads, which it writes to its standard error.
    ///
    /// # Errors
    /// As [`signal`](Self::signal).
    pub(crate) fn ask_for_stacks(&self) -> io::Result<()> {
        self.signal(super::stacks::ASKS)
    }

    /// Whether the process still runs. A zombie does not.
    #[cfg(test)]
    pub(crate) fn is_alive(&self) -> bool {
        self.exit.lock().is_none() && !self.has_ended()
    }

    /// Waits until the process has ended, and reaps it if it is a child.
    ///
    /// Gives the same answer again when called again, and to several callers at once.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time enabled.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is lost when the future is dropped.
    pub(crate) async fn exited(&self) -> Exit {
        let mut woken = false;
        loop {
            if let Some(exit) = self.try_exited() {
                return exit;
            }
            // Once woken, a process that cannot be reaped yet (it is being traced) is polled: its pidfd stays readable.
            if woken || self.ended().await.is_err() {
                tokio::time::sleep(POLL).await;
            }
            woken = true;
        }
    }

    /// The exit, if the process has ended; reaps it if it is a child.
    pub(crate) fn try_exited(&self) -> Option<Exit> {
        let mut exit = self.exit.lock();
        if exit.is_none() {
            *exit = match waitid(
                self.wait_id(),
                WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
            ) {
                Ok(status) => status.map(|status| Exit::from_wait(&status)),
                // Not a child of ours, or reaped by somebody else.
                Err(_) => self.has_ended().then_some(Exit::Unknown),
            };
            if self.owned && exit.is_some() {
                children::forget(self.pid);
            }
        }
        *exit
    }

    fn wait_id(&self) -> WaitId<'_> {
        #[cfg(target_os = "linux")]
        if let Some(pidfd) = &self.pidfd {
            return WaitId::PidFd(pidfd.as_fd());
        }
        WaitId::Pid(self.pid)
    }

    fn has_ended(&self) -> bool {
        if let Some(pidfd) = &self.pidfd {
            use rustix::event::{PollFd, PollFlags, Timespec, poll};
            let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
            return matches!(
                poll(
                    &mut fds,
                    Some(&Timespec {
                        tv_sec: 0,
                        tv_nsec: 0
                    })
                ),
                Ok(1..)
            );
        }
        let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(self.pid), peek) {
            Ok(status) => status.is_some(),
            Err(_) => rustix::process::test_kill_process(self.pid) == Err(Errno::SRCH),
        }
    }

    /// Resolves when the pidfd turns readable, which it does when the process ends.
    async fn ended(&self) -> io::Result<()> {
        let pidfd = self.pidfd.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        // A duplicate for each wait: one descriptor can be registered once only, and callers may sit in several runtimes.
        // SAFETY: the duplicate is open, and the `AsyncFd` owns it, under one number, until it is dropped.
        let ended =
            unsafe { AsyncFd::register_with_interest(pidfd.try_clone()?, Interest::READABLE)? };
        ended.readable().await.map(drop)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.owned && self.try_exited().is_none() {
            children::abandon(self.pid);
        }
    }
}

/// Whether a process of this id runs. A zombie does not.
pub(crate) fn runs(pid: u32) -> bool {
    Process::open(pid).is_ok_and(|process| !process.has_ended())
}

/// The pidfd of a process, or `None` where the system offers none.
fn open_pidfd(pid: Pid) -> rustix::io::Result<Option<OwnedFd>> {
    #[cfg(target_os = "linux")]
    match rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
        Ok(pidfd) => return Ok(Some(pidfd)),
        Err(Errno::NOSYS | Errno::PERM) => {}
        Err(source) => return Err(source),
    }
    let _ = pid;
    Ok(None)
}

/// Gives the kernel's "no such process" a kind that callers can match on.
fn not_found(source: Errno) -> io::Error {
    match source {
        Errno::SRCH => io::Error::new(io::ErrorKind::NotFound, source),
        other => other.into(),
    }
}
