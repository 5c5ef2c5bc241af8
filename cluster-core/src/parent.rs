//! The small parent of a master: it starts the master anew when it dies, forwards signals, and reaps what is left to it.
//!
//! It does so little that nothing in it can go wrong; and when it is killed all the same, the master runs on without it.

mod bequest;
mod restarts;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tracing::{debug, error, info, warn};

use crate::sys::process::{self, Process, Spawn};
use crate::sys::signal::{Signal, Signals, signal_name};
use crate::sys::{Exit, ListenFdsError};
use bequest::Bequest;
use restarts::{Restarts, Verdict};

/// Why there is no master to watch over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParentError {
    /// The program cannot be started.
    #[error("{} cannot be started", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Signals cannot be caught.
    #[error("signals cannot be caught")]
    Signals(#[source] io::Error),
    /// The sockets of a service manager cannot be used.
    #[error(transparent)]
    ListenFds(#[from] ListenFdsError),
}

/// Runs a program as the master of a cluster, in a process group of its own, until it has ended for good; gives back the
/// code to exit with: the master's own, or 128 and the number of the signal that killed it.
///
/// SIGTERM, SIGINT and SIGHUP are forwarded. A master that dies is started anew at once; where it lived for less than a second, the
/// next ones with pauses that double from 100 ms to 10 s; one that ends by itself with code 0, after a
/// SIGTERM or SIGINT, or within the first 2 s of the first start, is not.
///
/// This process becomes the one to which orphaned descendants fall, and reaps them.
///
/// Below a service manager it stays the main process, as `NotifyAccess=main` wants it: what the master says of itself is passed on in this process's name,
/// and listening sockets are handed to each master in turn.
///
/// # Errors
///
/// The program cannot be started the first time, signals cannot be caught, or a service manager's sockets cannot be used.
///
/// # Panics
///
/// Outside of a tokio runtime with I/O and time enabled.
///
/// # Cancel safety
///
/// Dropping it leaves the master running.
pub async fn run(program: PathBuf, args: Vec<OsString>) -> Result<u8, ParentError> {
    if let Err(e) = process::become_subreaper() {
        debug!(error = %e, "orphans will not fall to this process");
    }
    let forwarded = [Signal::TERM, Signal::INT, Signal::HUP, Signal::CHILD];
    let mut signals = Signals::of(&forwarded).map_err(ParentError::Signals)?;
    let bequest = Bequest::of_this_process()?;
    let mut restarts = Restarts::default();
    loop {
        let begun = Instant::now();
        let exit = match start(&program, &args, &bequest) {
            Ok(master) => {
                info!(pid = master.pid(), program = %program.display(), "master started");
                attend(&master, &mut signals, &mut restarts).await
            }
            // It could be started before: the file is being replaced, or the system is short of something.
            Err(e) if restarts.has_served() => {
                warn!(program = %program.display(), error = %e, "the master cannot be started");
                Exit::Unknown
            }
            Err(source) => return Err(ParentError::Start { program, source }),
        };
        process::reap_strangers(|_| false);
        if restarts.was_told_to_stop() && restarts.has_served() && matches!(exit, Exit::Signal(_)) {
            // Killed before it had ended what is below it.
            return Ok(end_what_is_left(&program, &args, &bequest, &mut signals, exit).await);
        }
        match restarts.ended(exit, begun.elapsed(), Instant::now()) {
            Verdict::End(code) => {
                info!(%exit, "the master has ended");
                return Ok(code);
            }
            Verdict::Restart { after, deaths } => {
                let after_ms = after.as_millis();
                warn!(%exit, after_ms, "the master has died; starting it anew");
                if let Some(deaths) = deaths {
                    error!(deaths, "the master keeps dying: so many times within 60 s");
                }
                if told_to_stop(after, &mut signals).await {
                    info!("told to stop while there is no master");
                    if !restarts.has_served() {
                        return Ok(restarts::code(exit));
                    }
                    let left = end_what_is_left(&program, &args, &bequest, &mut signals, exit);
                    return Ok(left.await);
                }
            }
        }
    }
}

/// Starts a master once more, to take over whoever the last one has left behind, and to stop in order.
async fn end_what_is_left(
    program: &Path,
    args: &[OsString],
    bequest: &Bequest,
    signals: &mut Signals,
    last: Exit,
) -> u8 {
    let master = match start_with(program, args, bequest, true) {
        Ok(master) => master,
        Err(e) => {
            warn!(program = %program.display(), error = %e, "nobody can be started to stop what the master has left behind");
            return restarts::code(last);
        }
    };
    info!(
        pid = master.pid(),
        "a master started to stop what the last one has left behind"
    );
    // It waits until the master hears it.
    if let Err(e) = master.signal(Signal::TERM) {
        debug!(error = %e, "it has ended already");
    }
    restarts::code(attend(&master, signals, &mut Restarts::default()).await)
}

fn start(program: &Path, args: &[OsString], bequest: &Bequest) -> io::Result<Process> {
    start_with(program, args, bequest, false)
}

fn start_with(
    program: &Path,
    args: &[OsString],
    bequest: &Bequest,
    holds_signals: bool,
) -> io::Result<Process> {
    process::spawn(Spawn {
        holds_signals,
        program: program.to_owned(),
        args: args.to_vec(),
        env: bequest.variables(),
        pid_variable: bequest.pid_variable(),
        fds: bequest.descriptors(),
        new_group: true,
        ..Spawn::default()
    })
}

/// Forwards signals and reaps strangers until the master has ended.
async fn attend(master: &Process, signals: &mut Signals, restarts: &mut Restarts) -> Exit {
    loop {
        tokio::select! {
            exit = master.exited() => return exit,
            signal = signals.next() => match signal {
                Signal::CHILD => {
                    process::reap_strangers(|_| false);
                }
                signal => {
                    if signal != Signal::HUP {
                        restarts.stop();
                    }
                    let name = signal_name(signal.as_raw()).unwrap_or("signal");
                    debug!(signal = name, "forwarded to the master");
                    // One that is gone has no need of it, and is noticed at once.
                    if let Err(e) = master.signal(signal)
                        && e.kind() != io::ErrorKind::NotFound
                    {
                        warn!(signal = name, error = %e, "not forwarded to the master");
                    }
                }
            },
        }
    }
}

/// Waits so long; true when a signal to stop comes before that.
async fn told_to_stop(after: Duration, signals: &mut Signals) -> bool {
    let mut pause = std::pin::pin!(tokio::time::sleep(after));
    loop {
        tokio::select! {
            () = &mut pause => return false,
            signal = signals.next() => match signal {
                Signal::TERM | Signal::INT => return true,
                Signal::CHILD => {
                    process::reap_strangers(|_| false);
                }
                _ => {}
            },
        }
    }
}
