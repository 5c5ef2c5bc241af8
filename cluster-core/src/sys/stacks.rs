//! The stacks of all threads of this process, written to standard error when SIGQUIT asks for them: what a process that hangs
//! was doing.
//!
//! A thread of its own waits for the signal, as all others may be stuck. It interrupts one thread after the other by a second signal, in
//! whose handler the thread notes where it is; a thread that does not come to it in time is passed over. Names are looked up by
//! the waiting thread, and written without any lock that a stuck thread could hold.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fmt::Write;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::event::{EventfdFlags, eventfd};
use rustix::process::Signal;

/// Frames that are noted of a thread: the innermost.
const FRAMES: usize = 96;
/// How long a thread may take to note them.
const PATIENCE: Duration = Duration::from_millis(250);

/// How long a process that ends waits for what it has begun to say.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Held while stacks are written. A thread that is stuck never takes it.
static SAYING: Mutex<()> = Mutex::new(());
static BEGUN: AtomicBool = AtomicBool::new(false);
/// The descriptor that wakes the waiting thread, which owns it for as long as the process runs.
static ASKED: AtomicI32 = AtomicI32::new(-1);
/// The thread that is to note its frames; 0 where none is.
static TURN: AtomicI32 = AtomicI32::new(0);
/// Frames noted.
static NOTED: AtomicUsize = AtomicUsize::new(0);
static NOTES: [AtomicUsize; FRAMES] = [const { AtomicUsize::new(0) }; FRAMES];

/// The signal that asks for the stacks, as in other runtimes.
pub(super) const ASKS: Signal = Signal::QUIT;

/// The signal that has a thread note its frames.
fn interrupts() -> libc::c_int {
    libc::SIGRTMIN() + 5
}

/// From now on the signal has this process write its stacks; without effect where that is so already.
///
/// # Errors
/// If the system refuses a descriptor, a thread or a handler.
pub(crate) fn write_when_asked() -> io::Result<()> {
    if BEGUN.swap(true, SeqCst) {
        return Ok(());
    }
    // What the unwinder sets up at its first use is nothing for a signal handler.
    note();
    let asked = eventfd(0, EventfdFlags::CLOEXEC)?;
    ASKED.store(asked.as_raw_fd(), SeqCst);
    std::thread::Builder::new()
        .name("stacks".to_owned())
        .spawn(move || answer(&asked))?;
    handle(interrupts(), on_turn)?;
    handle(ASKS.as_raw(), on_asked)
}

fn handle(signal: libc::c_int, handler: extern "C" fn(libc::c_int)) -> io::Result<()> {
    // SAFETY: all zeroes is a valid value of this plain C structure.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as libc::sighandler_t;
    // Calls of the application's go on where they can.
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: `action` is filled in, and both handlers do only what a signal handler may: they call `write`, or walk the stack, and
    // touch atomics alone.
    match unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

extern "C" fn on_asked(_: libc::c_int) {
    let one = 1_u64;
    // SAFETY: eight bytes of a local are read; the descriptor stays open. `errno` is put back, as the interrupted code may look at it.
    unsafe {
        let errno = *libc::__errno_location();
        libc::write(ASKED.load(SeqCst), (&raw const one).cast::<c_void>(), 8);
        *libc::__errno_location() = errno;
    }
}

extern "C" fn on_turn(_: libc::c_int) {
    // SAFETY: the call takes nothing and gives a number.
    let me = unsafe { libc::gettid() };
    if TURN.load(SeqCst) == me {
        note();
        // One that was waited for in vain says nothing about the next.
        let _ = TURN.compare_exchange(me, 0, SeqCst, SeqCst);
    }
}

/// Notes where this thread is.
fn note() {
    let mut noted = 0;
    // SAFETY: only one thread walks its stack at a time: the one whose turn it is. Frames are only looked up elsewhere.
    unsafe {
        backtrace::trace_unsynchronized(|frame| {
            NOTES[noted].store(frame.ip() as usize, SeqCst);
            noted += 1;
            noted < FRAMES
        });
    }
    NOTED.store(noted, SeqCst);
}

/// Waits to be asked, for as long as the process runs.
fn answer(asked: &OwnedFd) {
    let mut times = [0; 8];
    loop {
        match rustix::io::read(asked, &mut times) {
            Ok(_) => {
                let _saying = SAYING.lock();
                stacks(say);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// Writes to standard error past the lock of the standard library, which a stuck thread may hold.
fn say(text: &str) {
    let mut rest = text.as_bytes();
    let stderr = io::stderr();
    while let Ok(n @ 1..) = rustix::io::retry_on_intr(|| rustix::io::write(&stderr, rest)) {
        rest = &rest[n..];
    }
}

/// Waits until the stacks that were asked for are written, but not for long: before the process ends by itself.
pub(crate) fn finish() {
    // Asked a moment ago, the thread may not have begun yet.
    std::thread::yield_now();
    drop(SAYING.try_lock_for(LAST_WORDS));
}

fn stacks(mut say: impl FnMut(&str)) {
    // SAFETY: the call takes nothing and gives a number.
    let me = unsafe { libc::gettid() };
    let mut threads: Vec<i32> = fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|thread| *thread != me)
        .collect();
    threads.sort_unstable();
    say(&format!(
        "stacks of process {} ({} threads):\n",
        std::process::id(),
        threads.len()
    ));
    for thread in threads {
        let mut text = String::new();
        let about = |what: &str| fs::read_to_string(format!("/proc/self/task/{thread}/{what}"));
        let name = about("comm").unwrap_or_default();
        let _ = writeln!(text, "  thread {thread} {:?}", name.trim());
        if interrupt(thread) {
            frames(&mut text);
        } else {
            text.push_str("    it does not answer\n");
        }
        say(&text);
    }
}

/// Has a thread note its frames; false where it does not.
fn interrupt(thread: i32) -> bool {
    TURN.store(thread, SeqCst);
    let pid = std::process::id();
    // SAFETY: the call takes numbers; where there is no such thread any more it fails.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, pid, thread, interrupts()) };
    let begun = Instant::now();
    while sent == 0 && begun.elapsed() < PATIENCE {
        if TURN.load(SeqCst) == 0 {
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    TURN.store(0, SeqCst);
    false
}

/// Names the frames that were noted last.
fn frames(text: &mut String) {
    let noted = &NOTES[..NOTED.load(SeqCst)];
    // The handler, and what the system put between it and what it has interrupted, were nobody's doing.
    let is_handler = |ip: &AtomicUsize| {
        let mut is_handler = false;
        backtrace::resolve(ip.load(SeqCst) as *mut c_void, |symbol| {
            let name = symbol.name().map(|name| format!("{name:#}"));
            is_handler |= name.is_some_and(|name| name.contains("stacks::on_turn"));
        });
        is_handler
    };
    let first = noted.iter().rposition(is_handler).map_or(0, |at| at + 2);
    for (n, ip) in noted.iter().skip(first).enumerate() {
        let ip = ip.load(SeqCst);
        let mut named = false;
        // A frame's address is that of where it goes on, which may be the next function's.
        backtrace::resolve((ip.saturating_sub(1)) as *mut c_void, |symbol| {
            let Some(name) = symbol.name() else { return };
            named = true;
            let _ = write!(text, "    {n:3} {name:#}");
            if let (Some(file), Some(line)) = (symbol.filename(), symbol.lineno()) {
                let _ = write!(text, " at {}:{line}", file.display());
            }
            text.push('\n');
        });
        if !named {
            let _ = writeln!(text, "    {n:3} {ip:#x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn where_this_thread_hangs(go_on: &std::sync::mpsc::Receiver<()>) {
        let _ = go_on.recv();
    }

    #[test]
    fn a_thread_that_hangs_is_named_with_where_it_does() {
        write_when_asked().unwrap();
        let (let_go, go_on) = std::sync::mpsc::channel();
        let hangs = std::thread::Builder::new()
            .name("hangs".to_owned())
            .spawn(move || where_this_thread_hangs(&go_on))
            .unwrap();
        let text = loop {
            let mut text = String::new();
            stacks(|part| text.push_str(part));
            if text.contains("where_this_thread_hangs") {
                break text;
            }
        };
        assert!(text.contains("\"hangs\""), "{text}");
        drop(let_go);
        hangs.join().unwrap();
    }
}
