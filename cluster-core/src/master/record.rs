//! What a master writes down for the one that comes after it, should it die: what operators have decided, and how far it was.
//!
//! One small file in the runtime directory, replaced as a whole on each change. It is read only where processes of the dead master
//! still live, and is gone with a cluster that stops in order.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::death_queue::Kept;
use super::proxy_state::State;
use super::wanted::Wanted;
use crate::id::{Generation, ProcessId, WorkerId};
use crate::node::{Mark, UpgradeState};

/// The file's name in a runtime directory.
pub(super) const FILE: &str = "record.json";
/// The file while it is written.
const DRAFT: &str = "record.draft";
/// A record is no longer than this: 512 workers take a fifth of it.
const LONGEST: u64 = 1024 * 1024;

/// The record. A field that an older master did not write has its default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) wanted: Wanted,
    /// How many workers the options named when an operator may have scaled them: where they name another number, that one holds.
    pub(super) workers_option: u32,
    pub(super) mark: Mark,
    pub(super) next_worker: u32,
    #[serde(default)]
    pub(super) workers: Vec<Remembered>,
    #[serde(default)]
    pub(super) queue: Kept,
    #[serde(default)]
    pub(super) upgrade: Option<UpgradeState>,
    /// The runtime directory was made by this cluster, and is to be gone with it.
    #[serde(default)]
    pub(super) made_directory: bool,
    /// The filters of the log that operators have set, and the pid of whom each was set for.
    #[serde(default)]
    pub(super) filters: Vec<(ProcessId, u32, String)>,
    /// The workers that somebody debugs.
    #[serde(default)]
    pub(super) debugged: BTreeSet<WorkerId>,
}

/// A worker as its master last saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remembered {
    pub(super) id: WorkerId,
    pub(super) state: State,
    pub(super) generation: Generation,
    pub(super) slots: Vec<usize>,
    #[serde(default)]
    pub(super) build: String,
}

impl Remembered {
    /// A worker that was started after the record was written.
    pub(super) fn just_born(id: WorkerId) -> Self {
        Remembered {
            id,
            state: State::Forked,
            generation: Generation(1),
            slots: Vec::new(),
            build: String::new(),
        }
    }
}

/// The file of a record.
pub(super) struct RecordFile {
    directory: PathBuf,
    /// What was last written.
    written: Option<Record>,
    /// The last attempt failed, and that has been said.
    failing: bool,
}

impl RecordFile {
    pub(super) fn new(directory: &Path) -> Self {
        RecordFile {
            directory: directory.to_owned(),
            written: None,
            failing: false,
        }
    }

    /// What the last master wrote; none where there is nothing, or nothing that can be read, which is said.
    pub(super) fn read(directory: &Path) -> Option<Record> {
        let path = directory.join(FILE);
        let read = || -> io::Result<Record> {
            if fs::metadata(&path)?.len() > LONGEST {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            Ok(serde_json::from_slice(&fs::read(&path)?)?)
        };
        match read() {
            Ok(record) => Some(record),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => {
                warn!(path = %path.display(), error = %e, "what the last master wrote down cannot be read");
                None
            }
        }
    }

    /// Writes the record down, where it has changed. It survives the death of every process, and is not meant to survive the machine's:
    /// nothing is synced.
    pub(super) fn keep(&mut self, record: Record) {
        if self.written.as_ref() == Some(&record) {
            return;
        }
        let (draft, path) = (self.directory.join(DRAFT), self.directory.join(FILE));
        let write = || -> io::Result<()> {
            fs::write(&draft, serde_json::to_vec(&record)?)?;
            fs::rename(&draft, &path)
        };
        match write() {
            Ok(()) => {
                self.written = Some(record);
                self.failing = false;
            }
            Err(e) if !std::mem::replace(&mut self.failing, true) => {
                warn!(path = %path.display(), error = %e, "what the next master has to know cannot be written down; it is tried again at every change");
            }
            Err(_) => {}
        }
    }

    /// Removes what was written: there is nothing to go on from.
    pub(super) fn remove(directory: &Path) {
        for name in [DRAFT, FILE] {
            match fs::remove_file(directory.join(name)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    warn!(file = name, error = %e, "a file of the runtime directory was not removed");
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::death_queue::{DeathQueue, Reason};
    use super::*;

    fn record() -> Record {
        let mut queue = DeathQueue::default();
        queue.push(WorkerId(3), Reason::Operator, Instant::now());
        queue.started(WorkerId(4));
        Record {
            wanted: Wanted::new(2),
            workers_option: 2,
            mark: Mark::Down,
            next_worker: 5,
            workers: vec![Remembered {
                id: WorkerId(3),
                state: State::Paused,
                generation: Generation(2),
                slots: vec![7],
                build: "b".into(),
            }],
            queue: queue.kept(),
            upgrade: None,
            made_directory: true,
            filters: vec![(ProcessId::Worker(WorkerId(3)), 9, "debug".into())],
            debugged: BTreeSet::from([WorkerId(3)]),
        }
    }

    #[test]
    fn what_was_kept_is_read() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(RecordFile::read(directory.path()), None);
        let mut file = RecordFile::new(directory.path());
        file.keep(record());
        assert_eq!(RecordFile::read(directory.path()), Some(record()));
        let mut other = record();
        other.next_worker = 6;
        file.keep(other.clone());
        assert_eq!(RecordFile::read(directory.path()), Some(other));
        RecordFile::remove(directory.path());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_cannot_be_read_is_none() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), "{\"wanted\":").unwrap();
        assert_eq!(RecordFile::read(directory.path()), None);
        let long = fs::File::create(directory.path().join(FILE)).unwrap();
        long.set_len(LONGEST + 1).unwrap();
        assert_eq!(RecordFile::read(directory.path()), None);
    }
}
