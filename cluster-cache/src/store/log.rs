//! A log of changes: one file, appended to, read from its beginning when the manager starts.
//!
//! The file begins with [`MAGIC`]. Then come records: the length of the change (4 bytes, little-endian), the CRC-32 of the change, the
//! CRC-32 of these eight bytes, and the change itself as MessagePack. A record that the end of the file cuts short is what a kill or a
//! loss of power leaves behind: it was never answered, and is cut off. Anything else that does not fit is damage: the file is set
//! aside under another name, and the cache begins empty.
//!
//! Where more than half of it is no longer true, what is true is written to a second file, a part at a time, while changes go to
//! both; then the second takes the place of the first.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::{error, info};

use super::{Change, Handed, Store, StoreError};

const MAGIC: &[u8; 16] = b"cluster cache 1\n";
/// Bytes before each change.
const HEAD: usize = 12;
/// No change is longer: a value of the longest kind, its key and its namespace.
const LONGEST: usize = 17 * 1024 * 1024;
/// Leftovers that are not worth writing afresh.
const FEW: u64 = 16 * 1024 * 1024;
/// Gathered before it is written, while the file is written afresh.
const GATHERED: usize = 256 * 1024;

struct Renewal {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    length: u64,
}

/// A log in a file.
pub(crate) struct Log {
    path: PathBuf,
    file: File,
    /// Of what is whole.
    length: u64,
    sync: bool,
    buffer: Vec<u8>,
    renewal: Option<Renewal>,
    /// A write failed half-way: the file is cut to its length before the next.
    torn: bool,
    /// Something was written and not synced, though it is to be.
    unsynced: bool,
    /// A sync failed: what the disk has is not known, and is to be written afresh.
    doubtful: bool,
    /// A renewal failed: none is begun before the file has this length.
    no_renewal_before: u64,
}

fn failed<'a>(path: &'a Path, action: &'static str) -> impl Fn(io::Error) -> StoreError + use<'a> {
    move |source| StoreError::Io {
        path: path.to_owned(),
        action,
        source,
    }
}

impl Log {
    /// Opens the log at a path, or makes it. Where it `sync`s, a change that was written survives a loss of power.
    pub(crate) fn open(path: &Path, sync: bool) -> Result<Self, StoreError> {
        let open = failed(path, "opened");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(open)?;
        lock(&file, path)?;
        // What a renewal left behind that did not come to its end.
        let _ = std::fs::remove_file(beside(path, "new"));
        Ok(Log::resume(Handed {
            path: path.to_owned(),
            file,
            length: 0,
            torn: false,
            doubtful: false,
            sync,
        }))
    }

    /// Writes on where another has let go.
    pub(crate) fn resume(handed: Handed) -> Self {
        let Handed {
            path,
            file,
            length,
            torn,
            doubtful,
            sync,
        } = handed;
        Log {
            path,
            file,
            length,
            sync,
            buffer: Vec::new(),
            renewal: None,
            torn,
            unsynced: false,
            doubtful,
            no_renewal_before: 0,
        }
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .and_then(|_| self.file.write_all(MAGIC))
            .map_err(failed(&self.path, "written"))?;
        if self.sync {
            let synced = self.file.sync_all();
            synced.map_err(failed(&self.path, "written"))?;
            self.sync_directory();
        }
        self.length = MAGIC.len() as u64;
        self.torn = false;
        Ok(())
    }

    /// The name of a file is lost with the power where its directory was not synced. Not all systems can.
    fn sync_directory(&self) {
        let directory = self.path.parent().filter(|p| !p.as_os_str().is_empty());
        if let Ok(directory) = File::open(directory.unwrap_or(Path::new("."))) {
            let _ = directory.sync_all();
        }
    }

    /// Puts the damaged file under another name, and begins anew.
    fn set_aside(&mut self, damage: &str) -> Result<(), StoreError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = now.unwrap_or_default().as_secs();
        let aside = (0..)
            .map(|n| match n {
                0 => beside(&self.path, &format!("damaged-{seconds}")),
                n => beside(&self.path, &format!("damaged-{seconds}-{n}")),
            })
            .find(|aside| !aside.exists())
            .unwrap_or_else(|| beside(&self.path, "damaged"));
        std::fs::rename(&self.path, &aside).map_err(failed(&self.path, "set aside"))?;
        error!(
            path = %self.path.display(),
            set_aside = %aside.display(),
            damage,
            "what the cache had kept is damaged: it is set aside, and the cache begins empty"
        );
        *self = Log::open(&self.path, self.sync)?;
        self.begin()
    }

    /// Reads the file to its end; says what is wrong with it, where something is.
    fn read(&mut self, each: &mut dyn FnMut(Change<'_>)) -> Result<Option<String>, StoreError> {
        let fail = failed(&self.path, "read");
        let end = self.file.metadata().map_err(&fail)?.len();
        let mut reader = BufReader::with_capacity(1 << 20, &self.file);
        let mut magic = [0; MAGIC.len()];
        let short = (end as usize).min(MAGIC.len());
        reader.read_exact(&mut magic[..short]).map_err(&fail)?;
        if magic[..short] != MAGIC[..short] {
            return Ok(Some("it does not begin as such a file does".to_owned()));
        }
        let (mut at, mut body) = (MAGIC.len() as u64, Vec::new());
        while at + HEAD as u64 <= end {
            let mut head = [0; HEAD];
            reader.read_exact(&mut head).map_err(&fail)?;
            let word =
                |n: usize| u32::from_le_bytes([head[n], head[n + 1], head[n + 2], head[n + 3]]);
            let (length, sum) = (word(0) as usize, word(4));
            if crc32fast::hash(&head[..8]) != word(8) || length > LONGEST {
                return Ok(Some(format!("the record at byte {at} has a broken head")));
            }
            if at + (HEAD + length) as u64 > end {
                break;
            }
            body.resize(length, 0);
            reader.read_exact(&mut body).map_err(&fail)?;
            if crc32fast::hash(&body) != sum {
                return Ok(Some(format!(
                    "the record at byte {at} is not what was written"
                )));
            }
            match rmp_serde::from_slice(&body) {
                Ok(change) => each(change),
                Err(e) => return Ok(Some(format!("the record at byte {at} cannot be read: {e}"))),
            }
            at += (HEAD + length) as u64;
        }
        if at < end {
            info!(path = %self.path.display(), bytes = end - at, "the last record was cut short, and is cut off");
        }
        self.length = at.min(end);
        Ok(None)
    }

    /// Cuts the file to what is whole, and goes to its end.
    fn trim(&mut self) -> Result<(), StoreError> {
        if self.length < MAGIC.len() as u64 {
            return self.begin();
        }
        self.file
            .set_len(self.length)
            .and_then(|()| self.file.seek(SeekFrom::Start(self.length)))
            .map_err(failed(&self.path, "written"))?;
        self.torn = false;
        Ok(())
    }
}

fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(what);
    name.into()
}

fn lock(file: &File, path: &Path) -> Result<(), StoreError> {
    file.try_lock().map_err(|e| match e {
        TryLockError::WouldBlock => StoreError::Busy {
            path: path.to_owned(),
        },
        TryLockError::Error(source) => failed(path, "locked")(source),
    })
}

/// Appends a record to a buffer.
fn append(buffer: &mut Vec<u8>, change: &Change<'_>) -> Result<(), StoreError> {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; HEAD]);
    rmp_serde::encode::write(buffer, change).inspect_err(|_| buffer.truncate(start))?;
    let body = start + HEAD;
    let length = u32::try_from(buffer.len() - body).unwrap_or(u32::MAX);
    let sum = crc32fast::hash(&buffer[body..]);
    buffer[start..start + 4].copy_from_slice(&length.to_le_bytes());
    buffer[start + 4..start + 8].copy_from_slice(&sum.to_le_bytes());
    let head = crc32fast::hash(&buffer[start..start + 8]);
    buffer[start + 8..body].copy_from_slice(&head.to_le_bytes());
    Ok(())
}

impl Store for Log {
    fn write(&mut self, change: &Change<'_>) -> Result<(), StoreError> {
        if self.torn {
            self.trim()?;
        }
        self.buffer.clear();
        append(&mut self.buffer, change)?;
        if let Err(e) = self.file.write_all(&self.buffer) {
            self.torn = true;
            return Err(failed(&self.path, "written")(e));
        }
        self.unsynced = self.sync;
        self.length += self.buffer.len() as u64;
        if let Some(renewal) = &mut self.renewal {
            renewal.buffer.extend_from_slice(&self.buffer);
        }
        self.buffer.shrink_to(GATHERED);
        Ok(())
    }

    fn syncs(&self) -> bool {
        self.sync
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        if !std::mem::take(&mut self.unsynced) {
            return Ok(());
        }
        self.file.sync_data().map_err(|e| {
            self.doubtful = true;
            failed(&self.path, "synced")(e)
        })
    }

    fn load(
        &mut self,
        each: &mut dyn FnMut(Change<'_>),
        restart: &mut dyn FnMut(),
    ) -> Result<(), StoreError> {
        match self.read(each)? {
            None => self.trim(),
            Some(damage) => {
                restart();
                self.set_aside(&damage)
            }
        }
    }

    fn is_due(&self, live_bytes: usize) -> bool {
        let enough = match self.doubtful {
            true => 0,
            false => 2 * live_bytes as u64 + FEW,
        };
        self.renewal.is_none() && self.length > enough.max(self.no_renewal_before)
    }

    fn begin_renewal(&mut self) -> Result<(), StoreError> {
        // Until it has come to its end.
        self.no_renewal_before = self.length + FEW;
        let path = beside(&self.path, "new");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .map_err(failed(&path, "made"))?;
        lock(&file, &path)?;
        self.renewal = Some(Renewal {
            path,
            file,
            buffer: MAGIC.to_vec(),
            length: 0,
        });
        Ok(())
    }

    fn renew(&mut self, change: &Change<'_>) -> Result<(), StoreError> {
        let Some(renewal) = &mut self.renewal else {
            return Ok(());
        };
        let written = append(&mut renewal.buffer, change).and_then(|()| {
            match renewal.buffer.len() >= GATHERED {
                true => renewal.flush(),
                false => Ok(()),
            }
        });
        if written.is_err() {
            self.give_up_renewal();
        }
        written
    }

    fn end_renewal(&mut self) -> Result<(), StoreError> {
        let Some(mut renewal) = self.renewal.take() else {
            return Ok(());
        };
        let done = renewal.flush().and_then(|()| {
            let fail = failed(&renewal.path, "put in place");
            if self.sync {
                renewal.file.sync_data().map_err(&fail)?;
            }
            std::fs::rename(&renewal.path, &self.path).map_err(&fail)
        });
        if let Err(e) = done {
            let _ = std::fs::remove_file(&renewal.path);
            return Err(e);
        }
        if self.sync {
            self.sync_directory();
        }
        info!(
            path = %self.path.display(),
            before = self.length,
            after = renewal.length,
            "what the cache keeps was written afresh"
        );
        self.file = renewal.file;
        self.length = renewal.length;
        self.no_renewal_before = 0;
        self.unsynced = false;
        self.doubtful = false;
        Ok(())
    }

    fn give_up_renewal(&mut self) {
        if let Some(renewal) = self.renewal.take() {
            let _ = std::fs::remove_file(renewal.path);
        }
    }

    fn hand_over(mut self: Box<Self>) -> Handed {
        self.give_up_renewal();
        Handed {
            path: self.path,
            file: self.file,
            length: self.length,
            torn: self.torn,
            doubtful: self.doubtful || self.unsynced,
            sync: self.sync,
        }
    }
}

impl Renewal {
    fn flush(&mut self) -> Result<(), StoreError> {
        self.file
            .write_all(&self.buffer)
            .map_err(failed(&self.path, "written"))?;
        self.length += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
