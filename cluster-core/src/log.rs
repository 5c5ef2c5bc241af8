//! The log of a process: through tracing, to standard error, unless the application has set a subscriber of its own.

use std::fmt;
use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use crate::id::ProcessId;

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

/// Sets the subscriber, if there is none: levels by `RUST_LOG`, "info" without it.
pub(crate) fn init(process: ProcessId) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false)
        .with_timer(Stamp { process: process.to_string() });
    // An error only says that the application was first, as it may be.
    let _ = subscriber.try_init();
}
