//! Starting a process with exactly the descriptors, signals and group that it is to have.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use parking_lot::Mutex;
use rustix::io::FdFlags;
use rustix::process::Pid;

use super::environment::Environment;
use super::{Process, children, descriptors, open_pidfd};
use crate::sys::inherit::BOOT_VARIABLE;
use crate::sys::listen_fds::{LISTEN_FDNAMES, LISTEN_FDS, LISTEN_PID};
use crate::sys::notify::{NOTIFY_SOCKET, WATCHDOG_PID, WATCHDOG_USEC};
use crate::sys::signal;

/// What is meant for this process alone, and no business of those that it starts: its boot record, and what a service manager has told it.
const NOT_PASSED_ON: &[&str] = &[
    BOOT_VARIABLE,
    NOTIFY_SOCKET,
    WATCHDOG_USEC,
    WATCHDOG_PID,
    LISTEN_FDS,
    LISTEN_PID,
    LISTEN_FDNAMES,
];

/// The highest signal number on the systems that we know; setting one that does not exist fails without harm.
const LAST_SIGNAL: i32 = 64;

/// What to start, and what it inherits.
#[derive(Debug, Default)]
pub(crate) struct Spawn<'a> {
    /// The program's file. A name without a slash is looked up in `PATH`.
    pub(crate) program: PathBuf,
    /// Its arguments, without the program's own name.
    pub(crate) args: Vec<OsString>,
    /// Variables added to this process's environment, of which the boot record's and the service manager's are not passed on.
    pub(crate) env: Vec<(OsString, OsString)>,
    /// A variable that is to hold the child's own pid.
    pub(crate) pid_variable: Option<&'static str>,
    /// Descriptors (3 or above) that the child gets under the same numbers.
    pub(crate) fds: Vec<BorrowedFd<'a>>,
    /// Where its standard output and error go; inherited without it.
    pub(crate) output: Option<OwnedFd>,
    /// What its standard input and output are instead.
    pub(crate) stdio: Option<OwnedFd>,
    /// What it is to call itself, where that is not the program's path.
    pub(crate) arg0: Option<OsString>,
    /// Whether SIGTERM, SIGINT and SIGHUP wait until it listens for them.
    pub(crate) holds_signals: bool,
    /// Whether it is killed when the thread that starts it ends, be it with the whole process: for what nobody would look after then.
    pub(crate) ends_with_us: bool,
    /// Whether it leads a process group of its own, out of reach of the terminal's ctrl-C.
    pub(crate) new_group: bool,
}

/// Starts a process: unless something else is said, standard input is empty and standard output and error are inherited;
/// of the other descriptors only those named are. All signals have their default action and none is blocked.
///
/// # Errors
/// `NotFound` or `PermissionDenied` if the program cannot be run, `InvalidInput` if a descriptor is one of the first
/// three, else what the system said to a fork.
pub(crate) fn spawn(what: Spawn<'_>) -> io::Result<Process> {
    let fds: Vec<RawFd> = what.fds.iter().map(AsRawFd::as_raw_fd).collect();
    if fds.iter().any(|fd| *fd < 3) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut command = Command::new(&what.program);
    command.args(&what.args).stdin(Stdio::null());
    let mut own = None;
    match what.pid_variable {
        None => {
            for name in NOT_PASSED_ON {
                command.env_remove(name);
            }
            command.envs(what.env);
        }
        Some(name) => own = Some(Environment::with_pid(name, NOT_PASSED_ON, &what.env)?),
    }
    if let Some(output) = what.output {
        command.stdout(output.try_clone()?).stderr(output);
    }
    if let Some(stdio) = what.stdio {
        command.stdin(stdio.try_clone()?).stdout(stdio);
    }
    if let Some(arg0) = what.arg0 {
        command.arg0(arg0);
    }
    if what.new_group {
        command.process_group(0);
    }
    let us = what.ends_with_us.then(rustix::process::getpid);
    let prepare = move || {
        if let Some(us) = us {
            end_with(us)?;
        }
        if let Some(environment) = &mut own {
            environment.enter();
        }
        prepare_child(&fds)?;
        if what.holds_signals {
            signal::hold_back();
        }
        Ok(())
    };
    // SAFETY: the closure runs in the child between fork and exec, where only async-signal-safe calls are allowed. It
    // makes system calls on memory that was allocated before the fork, and neither allocates nor locks.
    unsafe { command.pre_exec(prepare) };

    // Held until the pid is on record: a reaper on another thread would take the child of a failed exec from under
    // `Command`, which panics, or a short-lived child from under its new owner.
    let mut children = children::registry();
    children.sweep();
    keep_exit_statuses();
    let child = command.spawn()?;
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or(io::ErrorKind::InvalidData)?;
    children.add(pid);
    // The pid is its own until somebody reaps it, which nobody may: no race in opening it by number.
    let pidfd = open_pidfd(pid).unwrap_or(None);
    Ok(Process {
        pid,
        pidfd,
        owned: true,
        exit: Mutex::new(None),
    })
}

/// Has the kernel kill this process, the child, when the thread that has started it ends. Async-signal-safe.
fn end_with(parent: Pid) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // It may have ended before that was said.
    match rustix::process::getppid() {
        Some(now) if now == parent => Ok(()),
        _ => Err(io::ErrorKind::NotConnected.into()),
    }
}

/// Runs in the child, after the fork: what is done here no other thread's spawn can see.
fn prepare_child(fds: &[RawFd]) -> io::Result<()> {
    // Marked are those that a library opened without the mark, or that came from whoever started us.
    #[cfg(target_os = "linux")]
    descriptors::close_range(3, u32::MAX);
    for &fd in fds {
        // SAFETY: the caller of `spawn` borrows the descriptor until the call returns, which is after this ran.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        rustix::io::fcntl_setfd(fd, FdFlags::empty())?;
    }
    for signal in 1..=LAST_SIGNAL {
        // SAFETY: async-signal-safe, and installs no handler. It fails for SIGKILL and SIGSTOP, which have no other
        // action anyway.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: both calls are async-signal-safe; the set is initialised by the first before the second reads it.
    let unblocked = unsafe {
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut())
    };
    if unblocked == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// A process started by a parent that ignores SIGCHLD inherits that, and the kernel would then throw away how its
/// children ended.
fn keep_exit_statuses() {
    // SAFETY: the first call reads the disposition into a zeroed, valid structure; the second sets the default action,
    // only where there was no handler that could be lost.
    unsafe {
        let mut action = std::mem::zeroed::<libc::sigaction>();
        if libc::sigaction(libc::SIGCHLD, std::ptr::null(), &raw mut action) == 0
            && action.sa_sigaction == libc::SIG_IGN
        {
            libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        }
    }
}
