//! Processes that may not trace others, as in a container whose profile forbids it.

#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What becomes of a process that calls `ptrace`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ptrace {
    /// The call fails: it is not permitted.
    Refused,
    /// The process is killed.
    Kills,
}

/// Has a command, and whatever it starts, be without `ptrace`.
pub(super) fn forbid(command: &mut Command, ptrace: Ptrace) {
    let action = match ptrace {
        Ptrace::Refused => libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs(),
        Ptrace::Kills => libc::SECCOMP_RET_KILL_PROCESS,
    };
    let number = u32::try_from(libc::SYS_ptrace).expect("calls have small numbers");
    let step = |code, jt, jf, k| libc::sock_filter {
        code: u16::try_from(code).expect("codes are short"),
        jt,
        jf,
        k,
    };
    // The number of the call comes first in what the filter is told.
    let mut filter = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, number),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, action),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let install = move || {
        let program = libc::sock_fprog {
            len: 4,
            filter: filter.as_mut_ptr(),
        };
        // SAFETY: the first call takes numbers; the second reads the program and its four steps, which live across the call.
        let done = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(
                    libc::PR_SET_SECCOMP,
                    libc::SECCOMP_MODE_FILTER,
                    &raw const program,
                ) == 0
        };
        match done {
            true => Ok(()),
            false => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec the closure makes two system calls, and neither allocates nor locks.
    unsafe { command.pre_exec(install) };
}
