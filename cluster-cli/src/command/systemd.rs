//! `cluster systemd`

mod quote;
mod units;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use cluster_core::{Options, OptionsError, Outcome, Sources};
use serde_json::json;

use crate::args::{Common, Systemd};
use crate::error::CliError;
use crate::output;
use units::Units;

/// Why there are no units for it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnitError {
    #[error(transparent)]
    Options(#[from] OptionsError),
    #[error(
        "--port 0 takes any free port, but a socket unit has to name one (allowed: 1 to 65535)"
    )]
    AnyPort,
    #[error("the program has no absolute path here")]
    NoPath(#[source] std::io::Error),
}

/// The flags of an application that its units depend on.
const HEEDED: &[&str] = &[
    "name",
    "runtime-dir",
    "host",
    "port",
    "start-timeout",
    "warm-up-timeout",
    "stop-timeout",
];

pub(super) fn systemd(common: &Common, systemd: &Systemd) -> Result<(), CliError> {
    let units = units(common, systemd)?;
    let value = json!({
        "service": { "file": units.service_file(), "text": units.service() },
        "socket": { "file": units.socket_file(), "text": units.socket() },
    });
    output::result(common.json, &value, || Ok(units.to_string()))
}

fn units(common: &Common, systemd: &Systemd) -> Result<Units, UnitError> {
    let name = common.name.as_deref();
    let program = match &systemd.path {
        Some(path) => found(path)?,
        None => Path::new("/usr/local/bin").join(name.unwrap_or("app")),
    };
    let mut args = Vec::new();
    for (flag, value) in [
        ("--name", name.map(OsString::from)),
        ("--runtime-dir", common.runtime_dir.clone().map(Into::into)),
    ] {
        args.extend(value.into_iter().flat_map(|value| [flag.into(), value]));
    }
    args.extend(systemd.args.iter().cloned());
    let options = options(&program, &args)?;
    if options.port == 0 {
        return Err(UnitError::AnyPort);
    }
    Ok(Units {
        program,
        args,
        options,
    })
}

/// The options that the flags make, as far as they are heeded: those of the application itself are unknown here.
fn options(program: &Path, args: &[OsString]) -> Result<Options, UnitError> {
    let sources = Sources {
        args: std::iter::once(program.into())
            .chain(heeded(args))
            .collect(),
        ..Sources::default()
    };
    match Options::from_sources(sources)? {
        Outcome::Run(options) => Ok(*options),
        // Neither --help nor --version is heeded.
        _ => Ok(Options::default()),
    }
}

/// The heeded flags among the application's own, each with its value.
fn heeded(args: &[OsString]) -> Vec<OsString> {
    let known = |arg: &OsStr| {
        let flag = arg.to_str()?.strip_prefix("--")?;
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (flag, None),
        };
        let heeded = HEEDED.iter().any(|key| name == *key || name == camel(key));
        heeded.then_some(value.is_none())
    };
    let mut flags = Vec::new();
    let mut args = args.iter().take_while(|arg| *arg != "--");
    while let Some(arg) = args.next() {
        if let Some(has_value_behind_it) = known(arg) {
            flags.push(arg.clone());
            if has_value_behind_it {
                flags.extend(args.next().cloned());
            }
        }
    }
    flags
}

/// `stop-timeout` as `stopTimeout`, which flags may be spelled too.
fn camel(key: &str) -> String {
    let mut words = key.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |all, word| {
        let (initial, rest) = word.split_at(1);
        all + &initial.to_ascii_uppercase() + rest
    })
}

/// The absolute path of a program, links unresolved; one without a slash is looked for in `PATH`, and is left as it is where it is not there.
fn found(path: &Path) -> Result<PathBuf, UnitError> {
    if path.components().nth(1).is_none() && !path.is_absolute() {
        let directories = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&directories)
            .map(|directory| directory.join(path))
            .find(|path| path.is_absolute() && path.is_file());
        return Ok(found.unwrap_or_else(|| path.to_owned()));
    }
    std::path::absolute(path).map_err(UnitError::NoPath)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(Into::into).collect()
    }

    #[test]
    fn flags_of_the_application_are_passed_over() {
        let args = words("--own 7 --port 80 --host=::1 --workers 4 --stopTimeout 5s -- --port 81");
        let expected = words("--port 80 --host=::1 --stopTimeout 5s");
        assert_eq!(heeded(&args), expected);
        let options = options(Path::new("/opt/shop"), &args).unwrap();
        assert_eq!((options.name.as_str(), options.port), ("shop", 80));
        assert_eq!(options.stop_timeout.as_secs(), 5);
    }

    #[test]
    fn a_program_has_an_absolute_path() {
        let sh = found(Path::new("sh")).unwrap();
        assert!(sh.is_absolute() && sh.ends_with("sh"), "{sh:?}");
        assert!(found(Path::new("./sh")).unwrap().is_absolute());
        let unknown = found(Path::new("no-such-program")).unwrap();
        assert_eq!(unknown, Path::new("no-such-program"));
    }
}
