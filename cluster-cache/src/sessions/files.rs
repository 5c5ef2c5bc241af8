//! A store of files: one for each entry, JSON that a person can read.
//!
//! ```text
//! DIRECTORY/version              "1"
//! DIRECTORY/3f/3f9a…c2.json      the entry whose key has this SHA-256 (a file's name may show in listings: it is no key)
//! DIRECTORY/3f/3f9a…c2.new       one that is being written
//! DIRECTORY/cleared/3f.0/…       what was cleared, and is yet to be removed from the disk
//! ```
//!
//! ```json
//! {"version":1,"key":"…","changed_ms":1700000000000,"expires_ms":1700000600000,"value":{"user":"ada"}}
//! ```
//!
//! `expires_ms` is null where an entry has no end; times are milliseconds since the Unix epoch. A file is written beside its place,
//! synced where the store syncs, and renamed: whoever reads it finds the old entry or the new one. One that is damaged is set aside as
//! `….damaged`, and counts as none. To clear the store, directories are moved aside, however much is in them; with it goes what is
//! damaged.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use tracing::error;

use super::backend::{BackendError, Operations, Record, RecordPage, SessionBackend};
use crate::protocol::When;

/// The version of the layout and of each file.
const VERSION: u32 = 1;
/// A file is no longer: the longest value, the longest key with every byte escaped, and the rest.
const LONGEST: u64 = 17 * 1024 * 1024;
/// The directories that entries are spread over.
const SHARDS: u64 = 256;

/// The directory of what was cleared.
const CLEARED: &str = "cleared";

/// Nobody writes one file for so long.
const LEFT_OVER: Duration = Duration::from_secs(60);

/// An entry as it is in its file.
#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    version: u32,
    #[serde(borrow)]
    key: std::borrow::Cow<'a, str>,
    changed_ms: u64,
    expires_ms: Option<u64>,
    #[serde(borrow)]
    value: &'a RawValue,
}

pub(super) struct Files {
    directory: PathBuf,
    sync: bool,
    /// Where the sweep goes on: the directory, and after which file in it.
    swept: (u64, String),
}

fn failed<'a>(path: &'a Path, done: &'static str) -> impl Fn(io::Error) -> BackendError + use<'a> {
    move |source| BackendError::File {
        path: path.to_owned(),
        done,
        source,
    }
}

/// Nothing, where there is no such file.
fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// What there is in a directory; nothing where there is none.
fn entries(directory: &Path) -> Result<impl Iterator<Item = PathBuf> + use<>, BackendError> {
    let read = if_there(fs::read_dir(directory)).map_err(failed(directory, "read"))?;
    // One that cannot be told now is met the next time.
    Ok(read.into_iter().flatten().flatten().map(|one| one.path()))
}

/// The name of an entry's file, without its ending.
fn stem(key: &str) -> String {
    use std::fmt::Write;
    let mut stem = String::with_capacity(64);
    for byte in Sha256::digest(key) {
        // A text takes whatever is written.
        let _ = write!(stem, "{byte:02x}");
    }
    stem
}

impl Files {
    /// Opens the store in a directory, or makes it. Where it `sync`s, what was answered survives a loss of power.
    pub(super) fn open(directory: &Path, sync: bool) -> Result<Self, BackendError> {
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory);
        made.map_err(failed(directory, "made"))?;
        let store = Files {
            directory: directory.to_owned(),
            sync,
            swept: (0, String::new()),
        };
        store.settle()?;
        Ok(store)
    }

    fn settle(&self) -> Result<(), BackendError> {
        let path = self.directory.join("version");
        let found = if_there(fs::read_to_string(&path)).map_err(failed(&path, "read"))?;
        let foreign = |why| BackendError::Foreign {
            path: self.directory.clone(),
            why,
        };
        match found.map(|text| text.trim().parse::<i64>()) {
            Some(Ok(found)) if found == i64::from(VERSION) => Ok(()),
            Some(Ok(found)) => Err(BackendError::Version {
                path,
                found,
                known: VERSION.into(),
            }),
            Some(Err(_)) => Err(foreign("its file `version` holds no number")),
            None => {
                let mut files =
                    fs::read_dir(&self.directory).map_err(failed(&self.directory, "read"))?;
                if files.next().is_some() {
                    return Err(foreign("it is not empty, and has no file `version`"));
                }
                self.write(&path, format!("{VERSION}\n").as_bytes())
            }
        }
    }

    fn shard(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{number:02x}"))
    }

    fn path(&self, key: &str) -> PathBuf {
        let stem = stem(key);
        self.directory.join(&stem[..2]).join(stem + ".json")
    }

    /// Puts a file in its place as a whole.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), BackendError> {
        let aside = path.with_extension("new");
        let open = || {
            let mut options = File::options();
            options.write(true).create(true).truncate(true).mode(0o600);
            options.open(&aside)
        };
        let file = match (open(), path.parent()) {
            (Err(e), Some(parent)) if e.kind() == ErrorKind::NotFound => {
                let made = fs::DirBuilder::new().mode(0o700).create(parent);
                made.map_err(failed(parent, "made"))?;
                self.sync_directory(&self.directory)?;
                open()
            }
            (opened, _) => opened,
        };
        let mut file = file.map_err(failed(&aside, "made"))?;
        let written = file.write_all(bytes).and_then(|()| match self.sync {
            true => file.sync_data(),
            false => Ok(()),
        });
        let placed = written
            .map_err(failed(&aside, "written"))
            .and_then(|()| fs::rename(&aside, path).map_err(failed(path, "written")));
        if placed.is_err() {
            let _ = fs::remove_file(&aside);
            return placed;
        }
        path.parent()
            .map_or(Ok(()), |parent| self.sync_directory(parent))
    }

    fn sync_directory(&self, directory: &Path) -> Result<(), BackendError> {
        if !self.sync {
            return Ok(());
        }
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(failed(directory, "written"))
    }

    /// Removes a file; says whether it was there.
    fn remove(&self, path: &Path) -> Result<bool, BackendError> {
        let removed = if_there(fs::remove_file(path)).map_err(failed(path, "removed"))?;
        if removed.is_some()
            && let Some(parent) = path.parent()
        {
            self.sync_directory(parent)?;
        }
        Ok(removed.is_some())
    }

    /// Reads the entry in a file, whether or not its time is over; one that is damaged is set aside.
    fn read(&self, path: &Path) -> Result<Option<(String, Record)>, BackendError> {
        let read = failed(path, "read");
        let Some(file) = if_there(File::open(path)).map_err(&read)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        let length = file.metadata().map_err(&read)?.len();
        let taken = io::Read::read_to_end(&mut io::Read::take(file, LONGEST + 1), &mut bytes);
        taken.map_err(&read)?;
        match serde_json::from_slice::<Kept<'_>>(&bytes) {
            Ok(kept) if length <= LONGEST && kept.version == VERSION => {
                let record = Record {
                    value: kept.value.get().to_owned(),
                    expires_ms: kept.expires_ms,
                };
                Ok(Some((kept.key.into_owned(), record)))
            }
            Ok(kept) if length <= LONGEST => Err(BackendError::Version {
                path: path.to_owned(),
                found: kept.version.into(),
                known: VERSION.into(),
            }),
            _ => {
                let aside = path.with_extension("damaged");
                error!(path = %path.display(), aside = %aside.display(), "an entry of a session store is damaged, and is set aside");
                fs::rename(path, &aside).map_err(failed(path, "set aside"))?;
                Ok(None)
            }
        }
    }

    fn read_fresh(
        &self,
        path: &Path,
        now_ms: u64,
    ) -> Result<Option<(String, Record)>, BackendError> {
        let found = self.read(path)?;
        Ok(found.filter(|(_, record)| record.expires_ms.is_none_or(|at| at > now_ms)))
    }

    fn put(&self, key: &str, record: &Record, now_ms: u64) -> Result<(), BackendError> {
        let value = serde_json::from_str(&record.value).map_err(BackendError::other)?;
        let kept = Kept {
            version: VERSION,
            key: key.into(),
            changed_ms: now_ms,
            expires_ms: record.expires_ms,
            value,
        };
        let mut bytes = serde_json::to_vec(&kept).map_err(BackendError::other)?;
        bytes.push(b'\n');
        self.write(&self.path(key), &bytes)
    }

    fn remove_if_over(&self, path: &Path, now_ms: u64) -> Result<bool, BackendError> {
        let found = self.read(path)?;
        let end = found.and_then(|(_, record)| record.expires_ms);
        match end.is_some_and(|at| at <= now_ms) {
            true => self.remove(path),
            false => Ok(false),
        }
    }

    /// Moves the directory of a shard to those that were cleared.
    fn move_aside(&self, shard: u64, cleared: &Path) -> Result<(), BackendError> {
        let directory = self.shard(shard);
        // What was cleared earlier may be there still.
        for time in 0_u64.. {
            let aside = cleared.join(format!("{shard:02x}.{time}"));
            match if_there(fs::rename(&directory, aside)) {
                Err(e) if e.kind() == ErrorKind::DirectoryNotEmpty => {}
                moved => return moved.map(drop).map_err(failed(&directory, "removed")),
            }
        }
        Ok(())
    }

    /// Removes so many of the files that were cleared at most; says how many it removed.
    fn remove_cleared(&self, most: usize) -> Result<usize, BackendError> {
        let cleared = self.directory.join(CLEARED);
        let mut removed = 0;
        for directory in entries(&cleared)? {
            for file in entries(&directory)? {
                if removed == most {
                    return Ok(removed);
                }
                if_there(fs::remove_file(&file)).map_err(failed(&file, "removed"))?;
                removed += 1;
            }
            if_there(fs::remove_dir(&directory)).map_err(failed(&directory, "removed"))?;
        }
        Ok(removed)
    }

    /// Removes what was being written when its process was killed.
    fn remove_leftovers(&self, shard: u64) -> Result<(), BackendError> {
        for name in self.names(shard, ".new")? {
            let path = self.shard(shard).join(name);
            let written = fs::metadata(&path).and_then(|file| file.modified());
            let age = written.ok().and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age > LEFT_OVER) {
                if_there(fs::remove_file(&path)).map_err(failed(&path, "removed"))?;
            }
        }
        Ok(())
    }

    /// The names of the files in a directory that have this ending, in their order.
    fn names(&self, shard: u64, ending: &str) -> Result<Vec<String>, BackendError> {
        let directory = self.shard(shard);
        let read = failed(&directory, "read");
        let Some(files) = if_there(fs::read_dir(&directory)).map_err(&read)? else {
            return Ok(Vec::new());
        };
        let mut names = Vec::new();
        for file in files {
            let name = file.map_err(&read)?.file_name();
            if let Some(name) = name.to_str().filter(|name| name.ends_with(ending)) {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// The place of a file in a listing: the first 64 bits of its name.
fn place(name: &str) -> u64 {
    name.get(..16)
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .unwrap_or(u64::MAX)
}

impl SessionBackend for Files {
    fn operations(&self) -> Operations {
        Operations::ALL
    }

    fn get(&mut self, key: &str, now_ms: u64) -> Result<Option<Record>, BackendError> {
        let found = self.read_fresh(&self.path(key), now_ms)?;
        Ok(found.map(|(_, record)| record))
    }

    fn set(
        &mut self,
        key: &str,
        new: Record,
        when: When,
        now_ms: u64,
    ) -> Result<bool, BackendError> {
        if when != When::Always {
            let there = self.read_fresh(&self.path(key), now_ms)?.is_some();
            if !when.allows(there) {
                return Ok(false);
            }
        }
        self.put(key, &new, now_ms)?;
        Ok(true)
    }

    fn destroy(&mut self, key: &str, now_ms: u64) -> Result<bool, BackendError> {
        let path = self.path(key);
        let there = self.read_fresh(&path, now_ms)?.is_some();
        self.remove(&path)?;
        Ok(there)
    }

    fn touch(
        &mut self,
        key: &str,
        expires_ms: Option<u64>,
        now_ms: u64,
    ) -> Result<bool, BackendError> {
        let Some((_, mut record)) = self.read_fresh(&self.path(key), now_ms)? else {
            return Ok(false);
        };
        record.expires_ms = expires_ms;
        self.put(key, &record, now_ms)?;
        Ok(true)
    }

    fn all(
        &mut self,
        from: u64,
        most_bytes: usize,
        now_ms: u64,
    ) -> Result<RecordPage, BackendError> {
        let mut page = RecordPage::default();
        let mut bytes = 0;
        for shard in (from >> 56)..SHARDS {
            for name in self.names(shard, ".json")? {
                if place(&name) < from {
                    continue;
                }
                if bytes >= most_bytes {
                    page.next = Some(place(&name));
                    return Ok(page);
                }
                let path = self.shard(shard).join(&name);
                if let Some((key, record)) = self.read_fresh(&path, now_ms)? {
                    bytes += key.len() + record.value.len();
                    page.records.push((key, record));
                }
            }
        }
        Ok(page)
    }

    fn clear(&mut self) -> Result<(), BackendError> {
        let cleared = self.directory.join(CLEARED);
        let made = fs::DirBuilder::new().mode(0o700).create(&cleared);
        if let Err(e) = made
            && e.kind() != ErrorKind::AlreadyExists
        {
            return Err(failed(&cleared, "made")(e));
        }
        for shard in 0..SHARDS {
            self.move_aside(shard, &cleared)?;
        }
        self.sync_directory(&cleared)?;
        self.sync_directory(&self.directory)
    }

    fn length(&mut self, _: u64) -> Result<u64, BackendError> {
        let mut length = 0;
        for shard in 0..SHARDS {
            length += self.names(shard, ".json")?.len() as u64;
        }
        Ok(length)
    }

    fn sweep(&mut self, most: usize, now_ms: u64) -> Result<usize, BackendError> {
        let (mut removed, mut shards, mut trouble) = (self.remove_cleared(most)?, 0, None);
        let mut looked = removed;
        while looked < most && shards < SHARDS {
            let (shard, after) = self.swept.clone();
            if after.is_empty() {
                self.remove_leftovers(shard)?;
            }
            let names = self.names(shard, ".json")?;
            let rest = names.into_iter().filter(|name| *name > after);
            let mut last = None;
            for name in rest.take(most - looked) {
                looked += 1;
                // One that cannot be read or removed keeps nobody from the others.
                match self.remove_if_over(&self.shard(shard).join(&name), now_ms) {
                    Ok(gone) => removed += usize::from(gone),
                    Err(e) => trouble = Some(e),
                }
                last = Some(name);
            }
            self.swept = match last {
                Some(name) if looked >= most => (shard, name),
                _ => {
                    shards += 1;
                    ((shard + 1) % SHARDS, String::new())
                }
            };
        }
        trouble.map_or(Ok(removed), Err)
    }
}
