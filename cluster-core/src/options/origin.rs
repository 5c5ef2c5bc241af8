//! Where a value comes from.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::quote::{bare, escaped};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of a file, counted from 1.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// The environment variable of this name.
    Variable(String),
    /// The flag in this spelling, dashes included.
    Flag(String),
    /// The program itself, after the options were loaded.
    Code,
}

/// A key and where its value comes from: the first words of every message about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The path of the key, such as `ecv.mark-up`.
    pub key: String,
    /// Where its value comes from.
    pub origin: Origin,
}

impl Place {
    pub(super) fn new(key: impl Into<String>, origin: Origin) -> Self {
        Self {
            key: key.into(),
            origin,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            // These two name the key by themselves.
            Origin::Variable(name) | Origin::Flag(name) => f.write_str(&bare(name)),
            Origin::File { path, line } => {
                let path = escaped(&path.to_string_lossy());
                write!(f, "{path}:{line} ({})", bare(&self.key))
            }
            Origin::Default => write!(f, "default ({})", bare(&self.key)),
            Origin::Code => write!(f, "code ({})", bare(&self.key)),
        }
    }
}

/// A value as a layer set it, kept so that a later check knows whether code has changed it since.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settled {
    pub(super) origin: Origin,
    pub(super) values: Vec<String>,
}

impl fmt::Debug for Settled {
    /// Without the values: one of them may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.origin.fmt(f)
    }
}
