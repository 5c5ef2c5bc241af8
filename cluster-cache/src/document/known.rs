//! The documents of this process: one for each socket, directory and name, whoever asks for it.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

use super::error::DocumentError;
use super::link::keep_connected;
use super::name::is_name;
use super::options::DocumentOptions;
use super::shared::Shared;
use crate::options::millis;

/// Documents that one process may use at once, by as many paths.
const MOST: usize = 256;

type Known = HashMap<(PathBuf, PathBuf, String), Arc<Shared>>;

static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);

/// The document of a name at a socket; the options of the first call hold.
pub(super) fn open(
    socket: &Path,
    name: &str,
    options: &DocumentOptions,
    wait: Duration,
) -> Result<Arc<Shared>, DocumentError> {
    if !is_name(name) {
        return Err(DocumentError::Name(name.chars().take(64).collect()));
    }
    let named = options.dir.as_deref().unwrap_or(Path::new("."));
    let absolute = std::path::absolute(named).unwrap_or_else(|_| named.to_owned());
    let key = (socket.to_owned(), absolute, name.to_owned());
    // By its path as it is named: who opens it for each request waits for no disk.
    let mut known = KNOWN.lock();
    if let Some(shared) = known.get(&key) {
        return Ok(Arc::clone(shared));
    }
    let directory = directory(named)?;
    let mut same = known.values().filter(|shared| {
        shared.socket == socket && shared.directory == directory && shared.name == name
    });
    if let Some(shared) = same.next().cloned() {
        known.insert(key, Arc::clone(&shared));
        return Ok(shared);
    }
    if known.len() >= MOST {
        let name = name.to_owned();
        return Err(DocumentError::Documents { name, most: MOST });
    }
    let shared = Arc::new(Shared::new(
        name,
        directory,
        socket.to_owned(),
        millis(options.gc_interval),
        options.wait.unwrap_or(wait),
        origin(),
    ));
    known.insert(key, Arc::clone(&shared));
    drop(known);
    keep_connected(&shared);
    Ok(shared)
}

/// The directory, by the one path that it has for all processes.
fn directory(directory: &Path) -> Result<PathBuf, DocumentError> {
    let made = std::fs::create_dir_all(directory);
    let found = made.and_then(|()| directory.canonicalize());
    let found = found.and_then(|path| match path.to_str() {
        Some(_) => Ok(path),
        None => Err(std::io::ErrorKind::InvalidFilename.into()),
    });
    found.map_err(|source| DocumentError::Directory {
        path: directory.to_owned(),
        source: Arc::new(source),
    })
}

/// A number that no other process has for a document: each of these hashers has a seed of its own.
fn origin() -> u64 {
    let this = (std::process::id(), SystemTime::now());
    RandomState::new().hash_one(this).max(1)
}

/// Forgets a document, so that the next one who opens it begins anew.
pub(super) fn forget(shared: &Arc<Shared>) {
    let mut known = KNOWN.lock();
    known.retain(|_, other| !Arc::ptr_eq(other, shared));
}
