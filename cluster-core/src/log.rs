//! The log of a process: tracing's events, and whatever else it prints, on standard error or in files.
//!
//! With `--log files` the process has its standard output and error lead to a file of its own, so that prints, panics and the output of
//! C code are in it as well. What a line is made of is the subscriber's affair, which the application may set; where it goes is this
//! module's.

mod directory;
mod filter;
mod output;
mod recent;
mod rotation;
mod target;

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tracing::Dispatch;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

pub use directory::LogName;
pub use output::LogWriter;

pub(crate) use directory::prune;
pub(crate) use filter::{FilterError, set_filter};
pub(crate) use recent::{Part, recent};
pub(crate) use target::settle;

use crate::id::ProcessId;
use crate::options::{LogTarget, Options};
use crate::sys;
use output::{Account, OUTPUT};
use rotation::LogFile;

/// The longest time between two looks at the file of a process.
const RAREST: Duration = Duration::from_secs(1);

/// Why the log cannot go where it is to go.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The file of the log cannot be written.
    #[error("--log files: {} cannot be written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Standard error cannot be kept for the last word.
    #[error("--log files: standard error cannot be kept")]
    Stderr(#[source] io::Error),
}

/// What an application's own subscriber is made for: a process of the cluster, and where its lines go.
#[derive(Clone, Debug)]
pub struct ProcessLog {
    process: ProcessId,
    ansi: bool,
}

impl ProcessLog {
    /// The process.
    pub fn process(&self) -> ProcessId {
        self.process
    }

    /// Where its lines go.
    pub fn writer(&self) -> LogWriter {
        LogWriter(())
    }

    /// Whether that is a terminal which may have colours.
    pub fn ansi(&self) -> bool {
        self.ansi
    }
}

/// Gives each process its subscriber.
pub(crate) type GetLogger = Box<dyn FnOnce(&ProcessLog) -> Dispatch>;

/// Puts the process beside the time of each line.
struct Stamp {
    process: String,
}

impl FormatTime for Stamp {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        SystemTime.format_time(w)?;
        write!(w, " {:<13}", self.process)
    }
}

static BELOW_THE_MASTER: AtomicBool = AtomicBool::new(false);

/// The standard error that the master was started with, where the log goes to files.
static IN_FRONT: OnceLock<File> = OnceLock::new();

/// The last word of a process that ends badly. The master's is a line for the operator, in one piece, where the master was started, and
/// in its file; that of a process below it is one more line of the log: the operator hears of it by the master.
pub(crate) fn last_word(cause: &str) {
    if BELOW_THE_MASTER.load(Ordering::Relaxed) {
        tracing::warn!(%cause, "ending");
        return;
    }
    let line = format!("error: {cause}\n");
    // Where nobody reads it, there is nobody to tell.
    let _ = io::stderr().write_all(line.as_bytes());
    if let Some(mut front) = IN_FRONT.get() {
        let _ = front.write_all(line.as_bytes());
    }
}

/// Leads the output of this process where it is to go, looks after it from now on, and sets a subscriber, unless the application has set one of its own: that of
/// `get_logger`, or else levels by `RUST_LOG`, "info" without it.
///
/// # Errors
///
/// In the master: its file cannot be written. A process below it says so, and serves all the same.
///
/// # Panics
///
/// Outside of an actix system.
pub(crate) fn init(
    process: ProcessId,
    options: &Options,
    get_logger: Option<GetLogger>,
) -> Result<(), LogError> {
    BELOW_THE_MASTER.store(process != ProcessId::Master, Ordering::Relaxed);
    if options.log == Some(LogTarget::Files) {
        begin_file(process, options)?;
        actix_rt::spawn(look_after(options.heartbeat_interval));
    }
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = ProcessLog {
        process,
        ansi: colours,
    };
    if let Some(get_logger) = get_logger {
        // An error only says that the application has set another before, here and below.
        let _ = tracing::dispatcher::set_global_default(get_logger(&log));
        return Ok(());
    }
    let (levels, text) = filter::first();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(levels)
        .with_target(false)
        .with_timer(stamp(process))
        .with_ansi(log.ansi())
        .with_writer(log.writer())
        .with_filter_reloading();
    let handle = subscriber.reload_handle();
    if subscriber.try_init().is_ok() {
        filter::keep(handle, text);
    }
    Ok(())
}

fn stamp(process: ProcessId) -> Stamp {
    Stamp {
        process: process.to_string(),
    }
}

fn begin_file(process: ProcessId, options: &Options) -> Result<(), LogError> {
    let name = LogName::of(&options.name, process);
    let file = || LogFile::new(&options.log_dir, name.clone());
    let front = match process {
        ProcessId::Master => Some(sys::output::keep_stderr().map_err(LogError::Stderr)?),
        _ => None,
    };
    match (OUTPUT.begin(file(), stamp(process)), front) {
        (Ok(()), Some(front)) => {
            let others = options.log_dir.join(format!("{}.*.log", options.name));
            let _ = writeln!(&front, "logging to {}", others.display());
            let _ = IN_FRONT.set(front);
        }
        (Ok(()), None) => {}
        (Err(source), Some(_)) => {
            let path = name.path(&options.log_dir);
            return Err(LogError::File { path, source });
        }
        (Err(why), None) => OUTPUT.begin_adrift(file(), stamp(process), &why),
    }
    Ok(())
}

/// Looks after the file of this process for as long as it runs, for what is printed by other means than tracing: with each heartbeat, or
/// each second where that is rarer.
async fn look_after(heartbeat: Duration) {
    let mut looks = tokio::time::interval(heartbeat.min(RAREST));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        OUTPUT.look(0);
    }
}

/// How the log of this process does.
pub(crate) fn account() -> Account {
    OUTPUT.account()
}
