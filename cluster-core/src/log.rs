//! The log of a process: through tracing, unless the application has set a subscriber of its own.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use crate::id::ProcessId;
use crate::options::{LogTarget, Options};

/// The directory of log files, below the working directory.
const DIRECTORY: &str = "log";

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

/// The last word of a process that ends badly. The master's is a line for the operator, in one piece; that of a process
/// below it is one more line of the log: the operator hears of it by the master.
pub(crate) fn last_word(cause: &str) {
    if BELOW_THE_MASTER.load(Ordering::Relaxed) {
        tracing::warn!(%cause, "ending");
    } else {
        let line = format!("error: {cause}\n");
        // Where nobody reads it, there is nobody to tell.
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

/// Sets the subscriber, if there is none: levels by `RUST_LOG`, "info" without it; to standard error or, with `--log files`,
/// to `log/NAME.PROCESS.log`. Where the file cannot be opened, that is said on standard error, which is used then.
pub(crate) fn init(process: ProcessId, options: &Options) {
    BELOW_THE_MASTER.store(process != ProcessId::Master, Ordering::Relaxed);
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_timer(Stamp {
            process: process.to_string(),
        });
    let file = match options.log {
        LogTarget::Files => open(process, options),
        LogTarget::Stderr => None,
    };
    // An error only says that the application was first, as it may be.
    let _ = match file {
        Some(file) => subscriber
            .with_ansi(false)
            .with_writer(Mutex::new(file))
            .try_init(),
        None => {
            let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            subscriber
                .with_ansi(colour)
                .with_writer(io::stderr)
                .try_init()
        }
    };
}

fn open(process: ProcessId, options: &Options) -> Option<File> {
    let who = match process {
        ProcessId::Worker(id) => id.to_string(),
        ProcessId::CacheManager => "cache-manager".to_owned(),
        other => other.role().to_string(),
    };
    let path = PathBuf::from(DIRECTORY).join(format!("{}.{who}.log", options.name));
    let opened = fs::create_dir_all(DIRECTORY)
        .and_then(|()| OpenOptions::new().create(true).append(true).open(&path));
    opened
        .map_err(|e| eprintln!("--log files: {} cannot be opened: {e}", path.display()))
        .ok()
}
