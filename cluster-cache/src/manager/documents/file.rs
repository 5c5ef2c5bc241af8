//! The file of a document: plain JSON, written by nobody but the manager that keeps the document.
//!
//! Of a document of the name `flags` there are `flags.json` and, beside it, `.flags.json.state`, which holds what JSON has no place for: how far
//! the document is, and until when paths are there that have a time. A state holds for the file whose length and checksum it names: one that
//! somebody else has edited is read as it is, and its paths have no times. `.flags.json.lock` is locked by who keeps it, and there only
//! for so long.
//!
//! A new file is written aside, and takes the old one's place when the disk has it; its state before it, as a state to come. So whatever a
//! crash leaves behind, one of the two states fits the file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::{error, warn};

use crate::document::keeper::Keeper;
use crate::document::ledger::{Ledger, read_path};
use crate::document::limits::{MOST_DOCUMENT_BYTES, MOST_NESTING};
use crate::document::tree::{self, Tree};
use crate::protocol::Version;
use crate::store::StoreError;
use crate::table::Millis;

/// A file is no longer: what is within bounds takes no more with its spaces and escapes.
const LONGEST: u64 = 8 * MOST_DOCUMENT_BYTES as u64;
/// How long to wait for another manager to let go of it: one that hands over, or dies.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(10);
/// The format of states.
const FORMAT: u32 = 1;

/// The file of a document, held by this process.
#[derive(Debug)]
pub(super) struct DocumentFile {
    path: PathBuf,
    lock: PathBuf,
    _locked: File,
    /// How far the document is in the file.
    written: Version,
    removed: bool,
}

/// What is kept beside a document.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    format: u32,
    /// Of the file that it belongs to.
    length: u64,
    crc32: u32,
    epoch: u64,
    sequence: u64,
    /// Until when paths are there, in milliseconds since the Unix epoch.
    deadlines: Vec<(String, Millis)>,
    /// Processes, the numbers of their last changes, and those in the document's order.
    origins: Vec<(u64, u64, u64)>,
}

fn failed<'a>(path: &'a Path, action: &'static str) -> impl Fn(io::Error) -> StoreError + use<'a> {
    move |source| StoreError::Io {
        path: path.to_owned(),
        action,
        source,
    }
}

impl DocumentFile {
    /// Takes hold of the file of a document, and reads it: it need not be there. To be called where it may block.
    pub(super) fn open(directory: &Path, name: &str) -> Result<(Self, Keeper), StoreError> {
        fs::create_dir_all(directory).map_err(failed(directory, "made"))?;
        let path = directory.join(format!("{name}.json"));
        let lock = hidden(&path, "lock");
        let mut file = DocumentFile {
            _locked: take_lock(&lock)?,
            lock,
            written: Version::default(),
            removed: false,
            path,
        };
        let keeper = file.read()?;
        file.written = keeper.version();
        Ok((file, keeper))
    }

    fn read(&self) -> Result<Keeper, StoreError> {
        let bytes = match read_bounded(&self.path, LONGEST) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return self.set_aside(format!("it has more than {LONGEST} bytes")),
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Keeper::default()),
            Err(e) => return Err(failed(&self.path, "read")(e)),
        };
        let tree = match parse(&bytes) {
            Ok(tree) => tree,
            Err(damage) => return self.set_aside(damage),
        };
        let ledger = self.ledger(&bytes);
        Ok(Keeper { tree, ledger })
    }

    /// What is kept beside the file, where it belongs to it.
    fn ledger(&self, bytes: &[u8]) -> Ledger {
        let (mut best, mut there) = (Ledger::default(), false);
        for kind in ["state", "state.new"] {
            let Ok(Some(state)) = read_bounded(&hidden(&self.path, kind), LONGEST) else {
                continue;
            };
            there = true;
            if let Some(ledger) = ledger_of(&state, bytes)
                && ledger.version >= best.version
            {
                best = ledger;
            }
        }
        if there && best.version == Version::default() {
            warn!(path = %self.path.display(), "the file of a document was edited: it is taken as it is, and its paths have no times any more");
        }
        best
    }

    /// Puts a damaged file under another name.
    fn set_aside(&self, damage: String) -> Result<Keeper, StoreError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = now.unwrap_or_default().as_secs();
        let names = (0..).map(|n| match n {
            0 => beside(&self.path, &format!("damaged-{seconds}")),
            n => beside(&self.path, &format!("damaged-{seconds}-{n}")),
        });
        let mut names = names.skip_while(|aside| aside.exists());
        let aside = names
            .next()
            .unwrap_or_else(|| beside(&self.path, "damaged"));
        fs::rename(&self.path, &aside).map_err(failed(&self.path, "set aside"))?;
        error!(
            path = %self.path.display(),
            set_aside = %aside.display(),
            damage,
            "the file of a document is damaged: it is set aside, and the document is what processes have of it, or empty"
        );
        Ok(Keeper::default())
    }

    /// Writes the document, unless it is in the file already. To be called where it may block.
    pub(super) fn write(&mut self, keeper: &Keeper) -> Result<(), StoreError> {
        if self.removed || keeper.version() <= self.written {
            return Ok(());
        }
        let (next, state) = (hidden(&self.path, "new"), hidden(&self.path, "state"));
        let next_state = hidden(&self.path, "state.new");
        let bytes = shown(keeper.root());
        let beside = State {
            format: FORMAT,
            length: bytes.len() as u64,
            crc32: crc32fast::hash(&bytes),
            epoch: keeper.version().epoch,
            sequence: keeper.version().sequence,
            deadlines: keeper.ledger.deadlines(),
            origins: keeper.ledger.origins.iter().collect(),
        };
        let beside = serde_json::to_vec(&beside).unwrap_or_default();
        let written = write_synced(&next, &bytes).and_then(|()| write_synced(&next_state, &beside));
        if let Err(e) = written {
            // Room for others, where there was too little.
            let _ = fs::remove_file(&next);
            return Err(e);
        }
        fs::rename(&next, &self.path).map_err(failed(&self.path, "replaced"))?;
        fs::rename(&next_state, &state).map_err(failed(&state, "replaced"))?;
        self.sync_directory();
        self.written = keeper.version();
        Ok(())
    }

    /// The name of a file is lost with the power where its directory was not synced. Not all systems can.
    fn sync_directory(&self) {
        if let Some(directory) = self.path.parent()
            && let Ok(directory) = File::open(directory)
        {
            let _ = directory.sync_all();
        }
    }

    /// Removes it: there is no such document any more.
    pub(super) fn remove(&mut self) -> Result<(), StoreError> {
        self.removed = true;
        for path in [
            self.path.clone(),
            hidden(&self.path, "state"),
            hidden(&self.path, "state.new"),
            hidden(&self.path, "new"),
        ] {
            match fs::remove_file(&path) {
                Err(e) if e.kind() != ErrorKind::NotFound => {
                    return Err(failed(&path, "removed")(e));
                }
                _ => {}
            }
        }
        self.sync_directory();
        Ok(())
    }
}

impl Drop for DocumentFile {
    fn drop(&mut self) {
        // While it is still locked: who waits for it looks whether it is the one at the path.
        let _ = fs::remove_file(&self.lock);
    }
}

/// A document as it is written: for people, with a line for each member.
pub(super) fn shown(root: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(root).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

fn parse(bytes: &[u8]) -> Result<Tree, String> {
    let root: Value = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if tree::depth(&root) > MOST_NESTING {
        return Err(format!("it is nested deeper than {MOST_NESTING} levels"));
    }
    let tree = Tree::of(root);
    match tree.bytes() {
        0..=MOST_DOCUMENT_BYTES => Ok(tree),
        bytes => Err(format!(
            "the document takes {bytes} bytes (allowed: up to {MOST_DOCUMENT_BYTES})"
        )),
    }
}

fn ledger_of(state: &[u8], bytes: &[u8]) -> Option<Ledger> {
    let state: State = serde_json::from_slice(state).ok()?;
    let belongs = state.format == FORMAT
        && state.length == bytes.len() as u64
        && state.crc32 == crc32fast::hash(bytes);
    if !belongs {
        return None;
    }
    let mut ledger = Ledger {
        version: Version {
            epoch: state.epoch,
            sequence: state.sequence,
        },
        ..Ledger::default()
    };
    let mut deadlines = Vec::new();
    for (path, at) in &state.deadlines {
        deadlines.push((read_path(path).ok()?, *at));
    }
    // What is below another comes after it.
    deadlines.sort();
    for (path, at) in deadlines {
        ledger.deadlines.renew(&path, Some(at));
    }
    for (origin, number, sequence) in state.origins {
        ledger.origins.note(origin, number, sequence);
    }
    Some(ledger)
}

/// The bytes of a file; nothing where there are more.
fn read_bounded(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(failed(path, "written"))
}

/// Waits for the lock, for a while.
fn take_lock(path: &Path) -> Result<File, StoreError> {
    let since = Instant::now();
    loop {
        let open = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path);
        let file = open.map_err(failed(path, "opened"))?;
        match file.try_lock() {
            // It may have been removed since it was opened.
            Ok(()) if is_at(&file, path) => return Ok(file),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if since.elapsed() < PATIENCE => thread::sleep(LOOK),
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Busy {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(e)) => return Err(failed(path, "locked")(e)),
        }
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(held), Ok(there)) = (file.metadata(), fs::symlink_metadata(path)) else {
        return false;
    };
    (held.dev(), held.ino()) == (there.dev(), there.ino())
}

fn beside(path: &Path, kind: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(kind);
    name.into()
}

/// The same, hidden from a listing.
fn hidden(path: &Path, kind: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{kind}"))
}

#[cfg(test)]
mod tests;
