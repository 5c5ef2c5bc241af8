//! The layers, one over the other.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::entry::{AppFlag, Given, Target};
use super::flags::{self, Asked, Flags};
use super::origin::Settled;
use super::rule::MAX_VALUE;
use super::table::KEYS;
use crate::sys::inherit;

use super::{AppFlagProblem, Options, OptionsError, Origin, Place, file, variables};

/// The file that is read when none is named.
const FILE: &str = "cluster.toml";
/// Bytes that the file may have.
const MAX_FILE: u64 = 1 << 20;

/// Everything that options are read from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The configuration file: its name, for messages, and its text.
    pub file: Option<(PathBuf, String)>,
    /// The environment; what does not begin with `CLUSTER_` is passed over.
    pub env: Vec<(OsString, OsString)>,
    /// The arguments; the first is the program, as in [`std::env::args_os`].
    pub args: Vec<OsString>,
}

/// What the sources ask for.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// To run with these options.
    Run(Box<Options>),
    /// To print this (`--help`, `--version`) and end.
    Print(String),
}

/// Reads [`Options`], for an application that has something of its own to say.
///
/// ```
/// use cluster_core::{Options, Outcome, Sources};
///
/// let outcome = Options::loader()
///     .flag("backend-ms", "How long the backend takes, in ms", "20")
///     .read(Sources {
///         args: ["shop", "--backend-ms", "35", "--", "more"].map(Into::into).to_vec(),
///         ..Sources::default()
///     })?;
/// let Outcome::Run(options) = outcome else { unreachable!("neither --help nor --version") };
/// assert_eq!(options.app("backend-ms"), Some("35"));
/// assert_eq!(options.rest(), ["more"]);
/// # Ok::<(), cluster_core::OptionsError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Loader {
    pub(super) program: Option<String>,
    pub(super) version: Option<String>,
    pub(super) about: Option<String>,
    pub(super) flags: Vec<AppFlag>,
}

impl Loader {
    /// The program's name in `--help` and `--version`. Default: its file name.
    pub fn program(mut self, name: impl Into<String>) -> Self {
        self.program = Some(name.into());
        self
    }

    /// The version that `--version` prints. Default: that of the cluster, named as such.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// What the program does, for the top of `--help`.
    pub fn about(mut self, text: impl Into<String>) -> Self {
        self.about = Some(text.into());
        self
    }

    /// Registers a flag of the application's own, which takes a value: `--NAME`, `CLUSTER_APP_NAME` and
    /// `[app] NAME` set it, [`Options::app`] reads it.
    ///
    /// The name is 1 to 64 of `a-z`, `0-9` and `-`, the first of them a letter; a value has up to 4096 bytes.
    pub fn flag<'a>(
        mut self,
        name: impl Into<String>,
        help: impl Into<String>,
        default: impl Into<Option<&'a str>>,
    ) -> Self {
        self.flags.push(AppFlag {
            name: name.into(),
            help: help.into(),
            default: default.into().map(str::to_owned),
        });
        self
    }

    /// Reads the options of this process; see [`Options::load`]. A process that a master has started has its master's
    /// options, whatever has become of their sources since.
    ///
    /// # Errors
    ///
    /// As [`Options::load`].
    pub fn load(&self) -> Result<Options, OptionsError> {
        if let Some(options) = inherited() {
            return Ok(options);
        }
        let env: Vec<_> = std::env::vars_os().collect();
        let args: Vec<_> = std::env::args_os().collect();
        let flags = match self.ask(&args)? {
            Asked::Flags(flags) => flags,
            Asked::Print(text) => {
                // Whoever closed the other end does not want to read it.
                let _ = io::stdout().write_all(text.as_bytes());
                std::process::exit(0);
            }
        };
        let file = match config(flags.config.clone(), &env) {
            Some((path, origin)) => Some(read_file(path, origin)?),
            None => match read_file(FILE.into(), Origin::Default) {
                Err(OptionsError::Read { source, .. })
                    if source.kind() == io::ErrorKind::NotFound =>
                {
                    None
                }
                read => Some(read?),
            },
        };
        let check = flags.check;
        let options = self.layer(Sources { file, env, args }, flags)?;
        if check {
            let _ = writeln!(
                io::stdout(),
                "{}: the options are in order (build {})",
                options.name,
                crate::build::id()
            );
            std::process::exit(0);
        }
        Ok(options)
    }

    /// Reads the options out of `sources`, and nothing else: `--config` and `CLUSTER_CONFIG` are passed over.
    ///
    /// # Errors
    ///
    /// As [`Options::load`].
    pub fn read(&self, sources: Sources) -> Result<Outcome, OptionsError> {
        match self.ask(&sources.args)? {
            Asked::Print(text) => Ok(Outcome::Print(text)),
            Asked::Flags(flags) => Ok(Outcome::Run(Box::new(self.layer(sources, flags)?))),
        }
    }

    fn ask(&self, args: &[OsString]) -> Result<Asked, OptionsError> {
        self.check_flags()?;
        flags::read(self, args)
    }

    fn layer(&self, sources: Sources, flags: Flags) -> Result<Options, OptionsError> {
        let program = sources.args.first().cloned().unwrap_or_default();
        let mut options = Options::with_defaults(&program);
        for flag in &self.flags {
            if let Some(default) = &flag.default {
                options.app.insert(flag.name.clone(), default.clone());
            }
        }
        let file = match &sources.file {
            Some((path, text)) => file::read(path, text, &self.flags)?,
            None => Vec::new(),
        };
        let env = variables::read(&sources.env, &self.flags)?;
        for given in file.into_iter().chain(env).chain(flags.given) {
            self.apply(given, &mut options)?;
        }
        options.rest = flags.rest;
        options.validate()?;
        Ok(options)
    }

    fn apply(&self, given: Given, options: &mut Options) -> Result<(), OptionsError> {
        match given.target {
            Target::App(number) => {
                let flag = &self.flags[number];
                let value = given.values.into_iter().next_back().unwrap_or_default();
                if value.len() > MAX_VALUE {
                    return Err(OptionsError::TooLong {
                        place: Box::new(flag.place(given.origin)),
                        length: value.len(),
                        limit: MAX_VALUE,
                    });
                }
                options.app.insert(flag.name.clone(), value);
            }
            Target::Key(key) => {
                let place = Place::new(key.path, given.origin);
                if let Some(why) = key.field.ignored() {
                    options.warnings.push(format!("{place}: ignored, {why}"));
                    return Ok(());
                }
                key.field
                    .set(options, &given.values)
                    .map_err(|fault| fault.at(place.clone(), key.field.allowed()))?;
                let values = key.field.show(options);
                let origin = place.origin;
                options
                    .settled
                    .insert(place.key, Settled { origin, values });
            }
        }
        Ok(())
    }

    fn check_flags(&self) -> Result<(), OptionsError> {
        for (number, flag) in self.flags.iter().enumerate() {
            let name = &flag.name;
            let spelled = (1..=64).contains(&name.len())
                && name.starts_with(|c: char| c.is_ascii_lowercase())
                && name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            let taken = KEYS.iter().any(|key| key.flags().contains(name))
                || flags::OTHERS.contains(&name.as_str())
                || self.flags[..number].iter().any(|other| other.name == *name);
            let problem = match (spelled, taken) {
                (false, _) => AppFlagProblem::Name,
                (true, true) => AppFlagProblem::Taken,
                (true, false) => continue,
            };
            return Err(OptionsError::AppFlag {
                name: name.clone(),
                problem,
            });
        }
        Ok(())
    }

    pub(super) fn program_name(&self, args: &[OsString]) -> String {
        let file_name = || {
            let program = args.first().map(Path::new).and_then(Path::file_name);
            let name = program.unwrap_or(OsStr::new("cluster"));
            name.to_string_lossy().into_owned()
        };
        self.program.clone().unwrap_or_else(file_name)
    }

    pub(super) fn version_line(&self) -> String {
        let cluster = || concat!("(cluster ", env!("CARGO_PKG_VERSION"), ")").to_owned();
        self.version.clone().unwrap_or_else(cluster)
    }
}

/// The options that the master handed to this process. A record that cannot be read is the launcher's to complain of.
fn inherited() -> Option<Options> {
    #[derive(serde::Deserialize)]
    struct Record {
        options: Options,
    }
    let bytes = inherit::peek_boot().ok()??;
    let record: Record = serde_json::from_slice(&bytes).ok()?;
    Some(record.options)
}

/// The file that a flag names, or else a variable.
pub(super) fn config(
    flag: Option<PathBuf>,
    env: &[(OsString, OsString)],
) -> Option<(PathBuf, Origin)> {
    let flag = flag.map(|path| (path, Origin::Flag("--config".to_owned())));
    let variable = || {
        let (name, path) = env.iter().find(|(name, _)| name == variables::CONFIG)?;
        let origin = Origin::Variable(name.to_string_lossy().into_owned());
        Some((path.into(), origin))
    };
    flag.or_else(variable)
}

pub(super) fn read_file(path: PathBuf, origin: Origin) -> Result<(PathBuf, String), OptionsError> {
    let mut text = String::new();
    let read = std::fs::File::open(&path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text));
    match read {
        Err(source) => Err(OptionsError::Read {
            place: Box::new(Place::new("config", origin)),
            path,
            source,
        }),
        Ok(length) if length as u64 > MAX_FILE => Err(OptionsError::FileTooLarge {
            path,
            limit: MAX_FILE,
        }),
        Ok(_) => Ok((path, text)),
    }
}
