//! Who reaps which child: a fact of the whole process, hence the one static of this module.

use std::io;

use parking_lot::{Mutex, MutexGuard};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

static CHILDREN: Mutex<Children> = Mutex::new(Children {
    ours: Vec::new(),
    abandoned: Vec::new(),
});

pub(super) struct Children {
    /// Started here and owned by a `Process`, which reaps them.
    ours: Vec<Pid>,
    /// Started here, their `Process` dropped while they ran.
    abandoned: Vec<Pid>,
}

impl Children {
    pub(super) fn add(&mut self, pid: Pid) {
        self.abandoned.retain(|other| *other != pid);
        self.ours.push(pid);
    }

    /// Reaps the abandoned ones that have ended.
    pub(super) fn sweep(&mut self) {
        self.abandoned.retain(|pid| !reap(*pid));
    }
}

/// The registry, locked: nobody is reaped and nobody is started while it is held.
pub(super) fn registry() -> MutexGuard<'static, Children> {
    CHILDREN.lock()
}

pub(super) fn forget(pid: Pid) {
    CHILDREN.lock().ours.retain(|other| *other != pid);
}

pub(super) fn abandon(pid: Pid) {
    let mut children = CHILDREN.lock();
    children.ours.retain(|other| *other != pid);
    children.abandoned.push(pid);
}

/// Makes orphaned descendants children of this process instead of process 1, so that it can reap them.
///
/// # Errors
/// `Unsupported` where the system has no such thing (not Linux).
pub(crate) fn become_subreaper() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        Ok(rustix::process::set_child_subreaper(Some(
            rustix::process::getpid(),
        ))?)
    }
    #[cfg(not(target_os = "linux"))]
    {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Reaps the dead children that nobody here waits for, and says how many there were.
///
/// For process 1 and for a subreaper, to be called on SIGCHLD. The processes of [`spawn`](super::spawn) are never
/// touched; those started by other means (`std`, `tokio`) must be `known`.
pub(crate) fn reap_strangers(known: impl Fn(u32) -> bool) -> usize {
    CHILDREN.lock().sweep();
    let mut reaped = 0;
    while let Some(pid) = first_dead() {
        if !reap_stranger(pid, &known) {
            // The kernel names this one again and again until its owner has reaped it: look behind it.
            return reaped
                + dead_children()
                    .into_iter()
                    .filter(|pid| reap_stranger(*pid, &known))
                    .count();
        }
        reaped += 1;
    }
    reaped
}

/// Reaps a dead child unless it belongs to somebody.
fn reap_stranger(pid: Pid, known: impl Fn(u32) -> bool) -> bool {
    // Asked without the lock, which the answer may need.
    if known(pid.as_raw_nonzero().get().unsigned_abs()) {
        return false;
    }
    let mut children = CHILDREN.lock();
    if children.ours.contains(&pid) || !reap(pid) {
        return false;
    }
    children.abandoned.retain(|other| *other != pid);
    true
}

/// Reaps one child if it has ended; true as well if there is no such child any more.
fn reap(pid: Pid) -> bool {
    !matches!(
        waitid(
            WaitId::Pid(pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG
        ),
        Ok(None)
    )
}

/// The first child that has ended, left as it is.
fn first_dead() -> Option<Pid> {
    // SAFETY: the structure is plain data, valid when zeroed, and lives through the call that writes it. `si_pid` is the
    // member that waitid fills, and stays zero if no child has ended.
    let pid = unsafe {
        let mut info = std::mem::zeroed::<libc::siginfo_t>();
        match libc::waitid(
            libc::P_ALL,
            0,
            &raw mut info,
            libc::WEXITED | libc::WNOHANG | libc::WNOWAIT,
        ) {
            0 => info.si_pid(),
            _ => 0,
        }
    };
    Pid::from_raw(pid)
}

/// All children that have ended, from /proc: no call lists them without reaping.
fn dead_children() -> Vec<Pid> {
    let me = rustix::process::getpid();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(Pid::from_raw)
        .filter(|pid| is_dead_child_of(me, *pid))
        .collect()
}

fn is_dead_child_of(parent: Pid, pid: Pid) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())) else {
        return false;
    };
    // The command's name stands in parentheses and may itself hold any of these characters: read from its end.
    let Some((_, fields)) = stat.rsplit_once(") ") else {
        return false;
    };
    let mut fields = fields.split(' ');
    fields.next() == Some("Z")
        && fields.next().and_then(|field| field.parse().ok()) == Some(parent.as_raw_nonzero().get())
}
