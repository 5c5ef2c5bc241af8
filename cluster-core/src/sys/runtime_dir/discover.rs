//! Which clusters run on this machine.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::RuntimeDirError;
use super::lock;
use super::place::Surroundings;
use crate::sys::process::user_id;

/// Entries of one base directory that are looked at.
const ENTRY_LIMIT: usize = 4096;

/// A cluster that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Running {
    /// Its name, as its directory has it.
    pub name: String,
    /// Its runtime directory.
    pub path: PathBuf,
    /// The master's process id.
    pub pid: u32,
}

/// What a search has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Discovery {
    /// The clusters that run, sorted by path.
    pub running: Vec<Running>,
    /// What this user may not look into: other users' clusters may be running there.
    pub denied: Vec<PathBuf>,
}

/// The directories in which clusters of this user may have theirs.
#[must_use]
pub fn candidates(user: u32) -> Vec<PathBuf> {
    let own = Surroundings::of_this_process();
    // Another user's variable is not ours to know; where logind sets it, it has this value.
    let usual = Some(PathBuf::from(format!("/run/user/{user}")));
    let mut bases = Vec::new();
    for xdg in [own.xdg.clone().filter(|_| own.user == user), usual] {
        let around = Surroundings {
            xdg,
            run: own.run.clone(),
            tmp: own.tmp.clone(),
            user,
        };
        bases.extend(around.bases());
    }
    let mut seen = std::collections::BTreeSet::new();
    bases.retain(|base| seen.insert(base.clone()));
    bases
}

/// Looks for running clusters in these base directories.
///
/// A base that belongs to neither this user nor root is passed over, unless this user is root: whoever owns it could
/// tell tales.
#[must_use]
pub fn discover<P: AsRef<Path>>(bases: impl IntoIterator<Item = P>) -> Discovery {
    let user = user_id();
    let mut found = Discovery::default();
    for base in bases {
        let base = base.as_ref();
        let trusted = |owner: u32| user == 0 || owner == user || owner == 0;
        let Ok(metadata) = std::fs::symlink_metadata(base) else {
            continue;
        };
        if !metadata.is_dir() || !trusted(metadata.uid()) {
            continue;
        }
        match std::fs::read_dir(base) {
            Ok(entries) => entries
                .take(ENTRY_LIMIT)
                .flatten()
                .for_each(|entry| found.look_at(&entry)),
            Err(source) if source.kind() == io::ErrorKind::PermissionDenied => {
                found.denied.push(base.into())
            }
            Err(_) => {}
        }
    }
    found.running.sort_by(|a, b| a.path.cmp(&b.path));
    found.denied.sort();
    found
}

impl Discovery {
    fn look_at(&mut self, entry: &std::fs::DirEntry) {
        // Not followed: a link is no runtime directory.
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            return;
        }
        let Ok(name) = entry.file_name().into_string() else {
            return;
        };
        match lock::holder(&entry.path()) {
            Ok(Some(pid)) => self.running.push(Running {
                name,
                path: entry.path(),
                pid,
            }),
            Err(RuntimeDirError::Permission { .. }) => self.denied.push(entry.path()),
            Ok(None) | Err(_) => {}
        }
    }
}
