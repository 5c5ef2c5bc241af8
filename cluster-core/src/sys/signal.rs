//! Signals sent to this process, and the names of all.

#![allow(unsafe_code)]

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::signal::unix::SignalKind;

pub(crate) use rustix::process::Signal;

/// Equal signals closer together than this are one: a supervisor's and the terminal's ctrl-C arrive as a pair.
const REPEAT: Duration = Duration::from_millis(500);

/// The signals sent to this process, one after the other.
///
/// While it lives and after, they have lost their default action.
#[derive(Debug)]
pub(crate) struct Signals {
    streams: Vec<(Signal, tokio::signal::unix::Signal)>,
    repeats: Repeats,
}

impl Signals {
    /// Listens for SIGTERM, SIGINT and SIGHUP, those included that were held back until now ([`hold_back`]).
    ///
    /// # Errors
    /// If the system refuses the handlers.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O enabled.
    pub(crate) fn new() -> io::Result<Self> {
        let signals = Self::of(&REQUESTS)?;
        mask(libc::SIG_UNBLOCK);
        Ok(signals)
    }

    /// Listens for the signals named, of which the earlier come first when several have arrived.
    ///
    /// # Errors
    /// If a signal cannot be caught.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub(crate) fn of(signals: &[Signal]) -> io::Result<Self> {
        let listen = |signal: &Signal| {
            let kind = SignalKind::from_raw(signal.as_raw());
            Ok((*signal, tokio::signal::unix::signal(kind)?))
        };
        Ok(Self {
            streams: signals.iter().map(listen).collect::<io::Result<_>>()?,
            repeats: Repeats::within(REPEAT),
        })
    }

    /// The next signal; equal ones within 500 ms count once, except SIGCHLD, of which each may tell of another child.
    ///
    /// # Cancel safety
    /// Cancel safe: a signal that has arrived is given to the next call.
    pub(crate) async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            for (signal, stream) in &mut self.streams {
                while stream.poll_recv(context).is_ready() {
                    if *signal == Signal::CHILD || self.repeats.admit(*signal, Instant::now()) {
                        return Poll::Ready(*signal);
                    }
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// What operators send.
const REQUESTS: [Signal; 3] = [Signal::TERM, Signal::INT, Signal::HUP];

/// Has SIGTERM, SIGINT and SIGHUP wait, also through an exec, until somebody listens ([`Signals::new`]). For this thread, which is to be
/// the main one, and those that it starts.
pub(crate) fn hold_back() {
    mask(libc::SIG_BLOCK);
}

/// What was held back has its effect after all.
pub(crate) fn let_through() {
    mask(libc::SIG_UNBLOCK);
}

/// Async-signal-safe.
fn mask(how: libc::c_int) {
    // SAFETY: the set is initialised by the first call before the others use it; all are async-signal-safe, and cannot fail for signals
    // that exist.
    unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut set);
        for signal in REQUESTS {
            libc::sigaddset(&raw mut set, signal.as_raw());
        }
        libc::pthread_sigmask(how, &raw const set, std::ptr::null_mut());
    }
}

/// Which signals are repetitions of one that was already acted upon.
#[derive(Debug)]
struct Repeats {
    window: Duration,
    admitted: Vec<(Signal, Instant)>,
}

impl Repeats {
    fn within(window: Duration) -> Self {
        Self {
            window,
            admitted: Vec::new(),
        }
    }

    /// Whether a signal that arrives now counts. The time runs from the last one that did, so that a steady stream is
    /// thinned, not silenced.
    fn admit(&mut self, signal: Signal, now: Instant) -> bool {
        match self
            .admitted
            .iter_mut()
            .find(|(earlier, _)| *earlier == signal)
        {
            Some((_, last)) if now.saturating_duration_since(*last) < self.window => false,
            Some((_, last)) => {
                *last = now;
                true
            }
            None => {
                self.admitted.push((signal, now));
                true
            }
        }
    }
}

/// The usual name of a signal number, such as `SIGKILL`.
pub(crate) fn signal_name(number: i32) -> Option<&'static str> {
    Some(match Signal::from_named_raw(number)? {
        Signal::HUP => "SIGHUP",
        Signal::INT => "SIGINT",
        Signal::QUIT => "SIGQUIT",
        Signal::ILL => "SIGILL",
        Signal::TRAP => "SIGTRAP",
        Signal::ABORT => "SIGABRT",
        Signal::BUS => "SIGBUS",
        Signal::FPE => "SIGFPE",
        Signal::KILL => "SIGKILL",
        Signal::USR1 => "SIGUSR1",
        Signal::SEGV => "SIGSEGV",
        Signal::USR2 => "SIGUSR2",
        Signal::PIPE => "SIGPIPE",
        Signal::ALARM => "SIGALRM",
        Signal::TERM => "SIGTERM",
        Signal::CHILD => "SIGCHLD",
        Signal::CONT => "SIGCONT",
        Signal::STOP => "SIGSTOP",
        Signal::TSTP => "SIGTSTP",
        Signal::TTIN => "SIGTTIN",
        Signal::TTOU => "SIGTTOU",
        Signal::URG => "SIGURG",
        Signal::XCPU => "SIGXCPU",
        Signal::XFSZ => "SIGXFSZ",
        Signal::VTALARM => "SIGVTALRM",
        Signal::PROF => "SIGPROF",
        Signal::WINCH => "SIGWINCH",
        Signal::IO => "SIGIO",
        Signal::SYS => "SIGSYS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use rustix::process::{getpid, kill_process};

    use super::*;

    #[test]
    fn equal_signals_close_together_count_once() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut repeats = Repeats::within(REPEAT);
        assert!(repeats.admit(Signal::TERM, at(0)));
        assert!(!repeats.admit(Signal::TERM, at(1)));
        assert!(repeats.admit(Signal::INT, at(2)), "another signal counts");
        assert!(!repeats.admit(Signal::TERM, at(499)));
        assert!(
            repeats.admit(Signal::TERM, at(500)),
            "the time runs from the one that counted"
        );
        assert!(!repeats.admit(Signal::TERM, at(999)));
        assert!(
            !repeats.admit(Signal::TERM, at(900)),
            "a clock that went back is no reason to count"
        );
    }

    // Signals that no other test of this program uses: the whole process receives them.
    #[tokio::test]
    async fn real_signals_arrive_and_their_repetitions_do_not() {
        let mut signals = Signals::of(&[Signal::USR1, Signal::USR2]).unwrap();
        // However slow the machine is.
        signals.repeats = Repeats::within(Duration::from_secs(3600));
        kill_process(getpid(), Signal::USR1).unwrap();
        assert_eq!(signals.next().await, Signal::USR1);
        kill_process(getpid(), Signal::USR1).unwrap();
        kill_process(getpid(), Signal::USR2).unwrap();
        assert_eq!(signals.next().await, Signal::USR2);
    }

    #[tokio::test]
    async fn what_cannot_be_caught_is_refused() {
        assert!(Signals::of(&[Signal::KILL]).is_err());
    }
}
