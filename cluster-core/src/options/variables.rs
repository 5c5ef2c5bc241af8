//! The `CLUSTER_*` variables as a list of values. Pure: the environment is given.

use std::ffi::{OsStr, OsString};

use super::entry::{AppFlag, Given, Target};
use super::nearest::nearest;
use super::table::KEYS;
use super::{OptionsError, Origin, Place};

/// What every variable of ours begins with.
const PREFIX: &str = "CLUSTER_";
/// The path of the file to read.
pub(super) const CONFIG: &str = "CLUSTER_CONFIG";
/// What a process of the cluster is handed by the one that starts it.
const BOOT: &str = "CLUSTER_BOOT";
/// What a process is told that is to look at another.
const LOOK: &str = "CLUSTER_LOOK";

/// The values in `env`, in the order of the variables' names.
pub(super) fn read(
    env: &[(OsString, OsString)],
    app: &[AppFlag],
) -> Result<Vec<Given>, OptionsError> {
    let mut ours: Vec<_> = env.iter().filter(|(name, _)| is_ours(name)).collect();
    ours.sort();
    let mut given = Vec::with_capacity(ours.len());
    for (name, value) in ours {
        let name = name.to_string_lossy();
        let origin = Origin::Variable(name.to_string());
        let target = if let Some(key) = KEYS.iter().find(|key| key.variable() == name) {
            Target::Key(key)
        } else if let Some(number) = app.iter().position(|flag| flag.variable() == name) {
            Target::App(number)
        } else {
            return Err(unknown(&name, app));
        };
        let Some(value) = value.to_str() else {
            return Err(OptionsError::NotUtf8 {
                place: Box::new(Place::new(name, origin)),
            });
        };
        let values = match target {
            Target::Key(key) if key.field.is_list() => value
                .split(',')
                .map(|one| one.trim_matches(' ').to_owned())
                .collect(),
            _ => vec![value.to_owned()],
        };
        given.push(Given {
            target,
            origin,
            values,
        });
    }
    Ok(given)
}

fn is_ours(name: &OsStr) -> bool {
    let is_another = [CONFIG, BOOT, LOOK].iter().any(|other| name == *other);
    name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) && !is_another
}

fn unknown(name: &str, app: &[AppFlag]) -> OptionsError {
    let known: Vec<String> = KEYS
        .iter()
        .filter(|key| key.field.ignored().is_none())
        .map(|key| key.variable())
        .chain(app.iter().map(AppFlag::variable))
        .chain([CONFIG.to_owned()])
        .collect();
    // All begin alike, which would make the far look near.
    let tails = known.iter().filter_map(|name| name.strip_prefix(PREFIX));
    let nearest = nearest(name.strip_prefix(PREFIX).unwrap_or(name), tails);
    OptionsError::Unknown {
        place: Box::new(Place::new(name, Origin::Variable(name.to_owned()))),
        nearest: nearest.map(|tail| format!("{PREFIX}{tail}")),
    }
}
