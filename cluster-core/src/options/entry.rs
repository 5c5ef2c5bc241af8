//! What one line of the table says of a key, and the spellings that follow from its path.

use std::ffi::OsStr;
use std::path::Path;

use super::field::Field;
use super::{Origin, Place};

/// One key: everything that is known of it.
pub(super) struct Key {
    /// The path, such as `ecv.mark-up`: the flag without its dashes and the place in `cluster.toml`.
    pub(super) path: &'static str,
    /// The heading in `--help`.
    pub(super) heading: &'static str,
    /// The value if nobody sets one.
    pub(super) default: Unset,
    /// What `--help` says.
    pub(super) help: &'static str,
    /// Flags accepted beside the path and its camelCase spelling, and not shown.
    pub(super) aliases: &'static [&'static str],
    /// Where the value goes and what it may be.
    pub(super) field: &'static dyn Field,
}

/// The value of a key that nobody sets.
pub(super) enum Unset {
    /// This text.
    Is(&'static str),
    /// None, which means what the words say.
    Means(&'static str),
    /// What the function makes of the program's path; the words say how.
    Derived(&'static str, fn(&OsStr) -> String),
}

impl Unset {
    /// The texts to set the field to, unless it stays unset.
    pub(super) fn values(&self, program: &OsStr) -> Option<Vec<String>> {
        match self {
            Unset::Is(text) => Some(vec![(*text).to_owned()]),
            Unset::Means(_) => None,
            Unset::Derived(_, derive) => Some(vec![derive(program)]),
        }
    }

    /// The words for `--help`.
    pub(super) fn words(&self) -> &'static str {
        match self {
            Unset::Is(words) | Unset::Means(words) | Unset::Derived(words, _) => words,
        }
    }
}

impl Key {
    /// The environment variable: `CLUSTER_ECV_MARK_UP`.
    pub(super) fn variable(&self) -> String {
        format!("CLUSTER_{}", screaming(self.path))
    }

    /// Every flag it answers to, without dashes; the first is the one that is shown.
    pub(super) fn flags(&self) -> Vec<String> {
        let mut flags = vec![self.path.to_owned()];
        let others = self.aliases.iter().map(|alias| (*alias).to_owned());
        for flag in std::iter::once(camel(self.path)).chain(others) {
            if !flags.contains(&flag) {
                flags.push(flag);
            }
        }
        flags
    }
}

/// A value that some source gives to some key.
#[derive(Debug)]
pub(super) struct Given {
    /// Whose value it is.
    pub(super) target: Target,
    /// Where it stands.
    pub(super) origin: Origin,
    /// The texts, several only for a list.
    pub(super) values: Vec<String>,
}

/// Whose value is given.
#[derive(Clone, Copy)]
pub(super) enum Target {
    /// A key of the cluster's.
    Key(&'static Key),
    /// A flag of the application's, by its number in the order of registration.
    App(usize),
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Key(key) => f.write_str(key.path),
            Target::App(number) => write!(f, "app flag {number}"),
        }
    }
}

/// A flag that the application registered.
#[derive(Clone, Debug)]
pub(super) struct AppFlag {
    pub(super) name: String,
    pub(super) help: String,
    pub(super) default: Option<String>,
}

impl AppFlag {
    /// The place in `cluster.toml`.
    pub(super) fn path(&self) -> String {
        format!("app.{}", self.name)
    }

    /// The environment variable: `CLUSTER_APP_BACKEND_MS`.
    pub(super) fn variable(&self) -> String {
        format!("CLUSTER_{}", screaming(&self.path()))
    }

    pub(super) fn place(&self, origin: Origin) -> Place {
        Place::new(self.path(), origin)
    }
}

/// `ecv.mark-up` as `ECV_MARK_UP`.
fn screaming(path: &str) -> String {
    path.replace(['.', '-'], "_").to_ascii_uppercase()
}

/// `ecv.mark-up` as `ecv.markUp`.
pub(super) fn camel(path: &str) -> String {
    let mut words = path.split('-');
    let mut flag = words.next().unwrap_or_default().to_owned();
    for word in words {
        flag.extend(word.chars().take(1).map(|c| c.to_ascii_uppercase()));
        flag.extend(word.chars().skip(1));
    }
    flag
}

/// The file stem of the program, made into a name that a cluster may have.
pub(super) fn name_of(program: &OsStr) -> String {
    let stem = Path::new(program).file_stem().unwrap_or_default();
    let stem = stem.to_string_lossy();
    let first = |c: &char| !c.is_ascii_alphanumeric() && *c != '_';
    let name: String = stem
        .chars()
        .map(|c| if is_name_char(c) { c } else { '_' })
        .skip_while(first)
        .take(64)
        .collect();
    if name.is_empty() {
        "cluster".to_owned()
    } else {
        name
    }
}

/// Whether a cluster's name may hold the character.
pub(super) fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}
