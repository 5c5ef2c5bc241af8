//! Stopping a thread of another process for a moment, and reading its registers and its stack meanwhile.
//!
//! A thread is seized, interrupted, read and let go at once; it is not attached to in between. So whatever is sent to it at other times
//! goes its own way, one that is stopped by job control stays stopped, and where the tracer dies every thread runs on.

#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// What of a thread's registers its stack is unwound with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Registers {
    pub(crate) ip: u64,
    pub(crate) sp: u64,
    pub(crate) fp: u64,
    /// Where the function returns to, on processors that keep it in a register.
    pub(crate) lr: u64,
    /// Of x86-64: where a frame is to end while its pages are touched.
    pub(crate) r11: u64,
}

/// Why a thread could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TraceError {
    /// It has ended.
    #[error("it has ended")]
    Gone,
    /// The system does not let this process trace it.
    #[error("it may not be traced")]
    Forbidden(#[source] io::Error),
    /// It does not stop: it waits for a device or a file system.
    #[error("it did not stop within {0} ms")]
    DoesNotStop(u128),
    /// Something else.
    #[error("it cannot be traced: {0}")]
    Io(#[from] io::Error),
}

/// A thread that is stopped; dropping it lets it run on.
struct Stopped {
    thread: i32,
    /// A signal that it was about to get when it stopped.
    signal: i32,
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // SAFETY: the call takes numbers. That the thread is gone is no harm.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.thread, 0, self.signal) };
    }
}

/// Reads the threads of one process.
pub(crate) struct Tracer {
    /// `/proc/PID/mem`.
    memory: File,
    /// Threads that were to stop, and have not yet.
    awaited: BTreeSet<i32>,
}

impl Tracer {
    /// # Errors
    ///
    /// `NotFound` where there is no such process, `PermissionDenied` where it may not be read.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        Ok(Tracer {
            memory: File::open(format!("/proc/{pid}/mem"))?,
            awaited: BTreeSet::new(),
        })
    }

    /// The memory of the process.
    pub(crate) fn memory(&self) -> &File {
        &self.memory
    }

    /// Whether a thread was to stop, and has not yet.
    pub(crate) fn awaits(&self, thread: i32) -> bool {
        self.awaited.contains(&thread)
    }

    /// Stops a thread, reads its registers, and of the memory from its stack pointer on as much as fills the buffer or is there; then lets
    /// it run on. Gives back the registers, how many bytes were read, and how long that took.
    ///
    /// # Errors
    ///
    /// Why it could not be read. A thread that does not stop in time is waited for on the next call for it, and let go with this process.
    pub(crate) fn read(
        &mut self,
        thread: i32,
        stack: &mut [u8],
        patience: Duration,
    ) -> Result<(Registers, usize, Duration), TraceError> {
        let begun = Instant::now();
        if !self.awaited.contains(&thread) {
            seize(thread)?;
        }
        let stopped = match wait(thread, begun, patience) {
            Err(e @ TraceError::DoesNotStop(_)) => {
                self.awaited.insert(thread);
                return Err(e);
            }
            stopped => {
                self.awaited.remove(&thread);
                stopped?
            }
        };
        let registers = registers(thread)?;
        let read = self.memory.read_at(stack, registers.sp).unwrap_or(0);
        drop(stopped);
        Ok((registers, read, begun.elapsed()))
    }
}

fn seize(thread: i32) -> Result<(), TraceError> {
    // SAFETY: the call takes numbers; no options, no address.
    check(unsafe { libc::ptrace(libc::PTRACE_SEIZE, thread, 0, 0) })?;
    // SAFETY: the call takes numbers.
    check(unsafe { libc::ptrace(libc::PTRACE_INTERRUPT, thread, 0, 0) })
}

fn wait(thread: i32, begun: Instant, patience: Duration) -> Result<Stopped, TraceError> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is an integer that lives across the call.
        let waited =
            unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL | libc::WNOHANG) };
        if waited == thread {
            if !libc::WIFSTOPPED(status) {
                return Err(TraceError::Gone);
            }
            // The stop of an interrupt, or of job control, is an event of its own; any other is that of a signal on its way.
            let signal = match status >> 16 {
                0 => libc::WSTOPSIG(status),
                _ => 0,
            };
            return Ok(Stopped { thread, signal });
        }
        if waited < 0 {
            return Err(error(io::Error::last_os_error()));
        }
        if begun.elapsed() > patience {
            return Err(TraceError::DoesNotStop(patience.as_millis()));
        }
        // It stops within microseconds where a processor is free for it, which this thread may be holding.
        std::thread::yield_now();
    }
}

fn check(result: libc::c_long) -> Result<(), TraceError> {
    match result {
        -1 => Err(error(io::Error::last_os_error())),
        _ => Ok(()),
    }
}

fn error(source: io::Error) -> TraceError {
    match source.raw_os_error() {
        Some(libc::ESRCH | libc::ECHILD) => TraceError::Gone,
        Some(libc::EPERM | libc::EACCES | libc::ENOSYS) => TraceError::Forbidden(source),
        _ => TraceError::Io(source),
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn registers(thread: i32) -> Result<Registers, TraceError> {
    // SAFETY: all zeros is a valid value of this structure of integers.
    let mut all = unsafe { std::mem::zeroed::<libc::user_regs_struct>() };
    let mut into = libc::iovec {
        iov_base: (&raw mut all).cast(),
        iov_len: size_of::<libc::user_regs_struct>(),
    };
    const NT_PRSTATUS: libc::c_int = 1;
    // SAFETY: the kernel writes at most `iov_len` bytes to `all`, which both live across the call.
    check(unsafe { libc::ptrace(libc::PTRACE_GETREGSET, thread, NT_PRSTATUS, &raw mut into) })?;
    Ok(of_interest(&all))
}

#[cfg(target_arch = "x86_64")]
fn of_interest(all: &libc::user_regs_struct) -> Registers {
    Registers {
        ip: all.rip,
        sp: all.rsp,
        fp: all.rbp,
        lr: 0,
        r11: all.r11,
    }
}

#[cfg(target_arch = "aarch64")]
fn of_interest(all: &libc::user_regs_struct) -> Registers {
    Registers {
        ip: all.pc,
        sp: all.sp,
        fp: all.regs[29],
        lr: all.regs[30],
        r11: 0,
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn registers(_: i32) -> Result<Registers, TraceError> {
    Err(TraceError::Io(io::ErrorKind::Unsupported.into()))
}

/// Lets this process, and whom it starts, trace this one: where a security module of the kernel's (Yama) asks for such a word.
pub(crate) fn let_trace(tracer: u32) {
    let tracer = i32::try_from(tracer)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    if let Some(tracer) = tracer {
        // Where there is no such module, nobody needs the word, and it is refused.
        let _ = rustix::process::set_ptracer(rustix::process::PTracer::ProcessID(tracer));
    }
}
