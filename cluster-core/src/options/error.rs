//! What can be wrong with the options: one line each, naming the key, its source and what is allowed.

use std::path::{Path, PathBuf};

use super::quote::{bare, escaped, quoted};
use super::{Host, Place};

/// What is wrong with the options.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// A value of the right kind, outside its bounds.
    #[error("{place}: {} is out of range (allowed: {allowed})", bare(value))]
    #[non_exhaustive]
    OutOfRange {
        /// The key and its source.
        place: Box<Place>,
        /// The value.
        value: String,
        /// The bounds.
        allowed: String,
    },
    /// A value that does not read as what the key takes.
    #[error("{place}: {} is not {noun} (allowed: {allowed})", quoted(value))]
    #[non_exhaustive]
    Malformed {
        /// The key and its source.
        place: Box<Place>,
        /// The value.
        value: String,
        /// What the key takes.
        noun: &'static str,
        /// What it takes in detail.
        allowed: String,
    },
    /// A value longer than any may be.
    #[error("{place}: a value of {length} bytes is too long (allowed: up to {limit} bytes)")]
    #[non_exhaustive]
    TooLong {
        /// The key and its source.
        place: Box<Place>,
        /// Bytes of the value.
        length: usize,
        /// Bytes a value may have.
        limit: usize,
    },
    /// Too many values for a key, or none.
    #[error("{place}: {count} values are given (allowed: {allowed})")]
    #[non_exhaustive]
    Count {
        /// The key and its source.
        place: Box<Place>,
        /// How many there are.
        count: usize,
        /// How many of what there may be.
        allowed: String,
    },
    /// A value in the file of a type that the key does not take.
    #[error("{place}: {found} is not allowed here (allowed: {allowed})")]
    #[non_exhaustive]
    Type {
        /// The key and its source.
        place: Box<Place>,
        /// The type in the file.
        found: &'static str,
        /// What the key takes.
        allowed: String,
    },
    /// A flag without the value it needs.
    #[error("{place}: a value is missing (allowed: {allowed})")]
    #[non_exhaustive]
    MissingValue {
        /// The key and its source.
        place: Box<Place>,
        /// What the flag takes.
        allowed: String,
    },
    /// Text that is no UTF-8.
    #[error("{place}: the value is not valid UTF-8 (allowed: UTF-8 text)")]
    #[non_exhaustive]
    NotUtf8 {
        /// The key and its source.
        place: Box<Place>,
    },
    /// A name that no key has.
    #[error("{place}: unknown option ({})", advice(nearest.as_deref()))]
    #[non_exhaustive]
    Unknown {
        /// The name and where it stands.
        place: Box<Place>,
        /// The known name most like it, spelled for the same source.
        nearest: Option<String>,
    },
    /// An argument that is no flag.
    #[error(
        "{}: unexpected argument (allowed: --flags, --switch or --switch=false, and after -- what the application takes)",
        quoted(argument)
    )]
    #[non_exhaustive]
    UnexpectedArgument {
        /// The argument.
        argument: String,
    },
    /// An argument that cannot be taken, for a reason of its own.
    #[error("{}: {reason} (allowed: see --help)", bare(argument))]
    #[non_exhaustive]
    RefusedArgument {
        /// The argument.
        argument: String,
        /// Why.
        reason: &'static str,
    },
    /// Two ports that cannot both be bound.
    #[error(
        "{first} and {second} are both {port} (allowed: two different ports, or 0 for any free one)"
    )]
    #[non_exhaustive]
    EqualPorts {
        /// One key and its source.
        first: Box<Place>,
        /// The other key and its source.
        second: Box<Place>,
        /// The port.
        port: u16,
    },
    /// Two paths of the monitor that cannot both be served.
    #[error(
        "{first} and {second} are both {} (allowed: two different paths)",
        quoted(path)
    )]
    #[non_exhaustive]
    EqualPaths {
        /// One key and its source.
        first: Box<Place>,
        /// The other key and its source.
        second: Box<Place>,
        /// The path.
        path: String,
    },
    /// The same listening place twice.
    #[error("{place}: {} is given twice (allowed: each once)", quoted(&host.to_string()))]
    #[non_exhaustive]
    RepeatedHost {
        /// The key and its source.
        place: Box<Place>,
        /// What is given twice.
        host: Host,
    },
    /// A key that means nothing without another.
    #[error("{place}: {needs} is missing (allowed: {allowed})")]
    #[non_exhaustive]
    Needs {
        /// The key that is set, and its source.
        place: Box<Place>,
        /// The key that is not.
        needs: &'static str,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A file that is no TOML.
    #[error("{}:{line}: {cause} (allowed: TOML)", shown(path))]
    #[non_exhaustive]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What the TOML reader says, on one line.
        cause: String,
    },
    /// A file that cannot be read.
    #[error(
        "{place}: \"{}\" cannot be read (allowed: a file of UTF-8 text)",
        shown(path)
    )]
    #[non_exhaustive]
    Read {
        /// Who named the file.
        place: Box<Place>,
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A file larger than a configuration can be.
    #[error(
        "{}: the file is too large (allowed: up to {limit} bytes)",
        shown(path)
    )]
    #[non_exhaustive]
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes it may have.
        limit: u64,
    },
    /// A flag that the application may not register.
    #[error("{}: cannot be a flag of the application: {problem}", quoted(name))]
    #[non_exhaustive]
    AppFlag {
        /// The name.
        name: String,
        /// Why not.
        problem: AppFlagProblem,
    },
}

/// Why a flag of the application cannot be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppFlagProblem {
    /// The name is not spelled as one.
    #[error("not a name (allowed: 1 to 64 of a-z, 0-9 and -, the first of them a letter)")]
    Name,
    /// The cluster has a flag of that name, or the application registered it before.
    #[error("the name is taken (allowed: one that --help does not show)")]
    Taken,
}

fn shown(path: &Path) -> String {
    escaped(&path.to_string_lossy())
}

fn advice(nearest: Option<&str>) -> String {
    match nearest {
        Some(name) => format!("did you mean {name}?"),
        None => "allowed: see --help".to_owned(),
    }
}
