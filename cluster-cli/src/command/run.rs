//! `cluster run`

pub(crate) mod package;

use std::ffi::OsString;
use std::{fmt, io};

use cluster_core::parent;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use crate::args::{Common, Run};
use crate::error::CliError;
use crate::output;

pub(super) async fn run(common: &Common, run: &Run) -> Result<u8, CliError> {
    let program = match &run.path {
        Some(path) => path.clone(),
        None => package::build(run.bin.as_deref(), run.release)?,
    };
    log();
    Ok(parent::run(program, args(common, run)).await?)
}

/// What the application is given: which cluster is meant goes before its own flags.
fn args(common: &Common, run: &Run) -> Vec<OsString> {
    let mut args = Vec::new();
    if let Some(name) = &common.name {
        args.extend(["--name".into(), name.into()]);
    }
    if let Some(runtime_dir) = &common.runtime_dir {
        args.extend(["--runtime-dir".into(), runtime_dir.into()]);
    }
    args.extend(run.args.iter().cloned());
    args
}

/// Puts who speaks beside the time of each line, as the cluster's own processes do.
struct Stamp;

impl FormatTime for Stamp {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        SystemTime.format_time(w)?;
        write!(w, " {:<13}", "parent")
    }
}

/// The parent's log goes where the master's goes: levels by `RUST_LOG`, "info" without it.
fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(output::colours(&io::stderr()))
        .with_target(false)
        .with_timer(Stamp)
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_application_is_told_which_cluster_it_is() {
        let common = Common {
            name: Some("shop".to_owned()),
            runtime_dir: Some("/r".into()),
            json: false,
        };
        let run = Run {
            path: Some("./shop".into()),
            bin: None,
            release: false,
            args: vec!["--port".into(), "80".into()],
        };
        let expected = ["--name", "shop", "--runtime-dir", "/r", "--port", "80"];
        assert_eq!(args(&common, &run), expected);
    }
}
