//! The directory of log files: what their names say, and which of them are kept.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::id::{ProcessId, WorkerId};

/// Files of each process: the one that is written, and those before it.
pub(super) const FILES: u32 = 4;

/// Entries of a directory that are looked at.
const ENTRY_LIMIT: usize = 65_536;

/// Workers that have ended, whose files are kept: at least so many, and at least as many as there are to be workers.
const ENDED: usize = 16;

/// The name of a log file: `NAME.PROCESS.log` for the one that is written, `NAME.PROCESS.log.1` for the one before it, and so on to
/// `.3`, where `PROCESS` is the number of a worker, `master` or `cache-manager`.
///
/// ```
/// use cluster_core::{LogName, ProcessId, WorkerId};
///
/// let name = LogName::parse("hello.7.log.2").expect("it is one");
/// assert_eq!(name.cluster, "hello");
/// assert_eq!((name.process, name.age), (ProcessId::Worker(WorkerId(7)), 2));
/// assert_eq!(name.to_string(), "hello.7.log.2");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogName {
    /// The name of the cluster.
    pub cluster: String,
    /// The process that writes it.
    pub process: ProcessId,
    /// How many files the process has begun since this one, 0 to 3.
    pub age: u32,
}

impl LogName {
    /// The name of the file that a process writes.
    pub fn of(cluster: &str, process: ProcessId) -> Self {
        LogName {
            cluster: cluster.to_owned(),
            process,
            age: 0,
        }
    }

    /// The same process's file of another age.
    #[must_use]
    pub fn aged(&self, age: u32) -> Self {
        LogName {
            age,
            ..self.clone()
        }
    }

    /// All names that the files of this process may have, that of the newest first.
    pub fn ages(&self) -> impl DoubleEndedIterator<Item = Self> + use<'_> {
        (0..FILES).map(|age| self.aged(age))
    }

    /// What the name of a file says, if it is that of a log file.
    pub fn parse(file: &str) -> Option<Self> {
        let (stem, age) = match file.strip_suffix(".log") {
            Some(stem) => (stem, 0),
            None => {
                let (rest, age) = file.rsplit_once('.')?;
                let age = number(age).filter(|age| (1..FILES).contains(age))?;
                (rest.strip_suffix(".log")?, age)
            }
        };
        let (cluster, process) = stem.rsplit_once('.')?;
        let process = match process {
            "master" => ProcessId::Master,
            "cache-manager" => ProcessId::CacheManager,
            id => ProcessId::Worker(WorkerId(number(id)?)),
        };
        (!cluster.is_empty()).then(|| LogName {
            cluster: cluster.to_owned(),
            process,
            age,
        })
    }

    /// The log files in a directory, in no order. What cannot be read is left out.
    pub fn all_in(directory: &Path) -> Vec<Self> {
        let entries = fs::read_dir(directory).into_iter().flatten();
        let names = entries.take(ENTRY_LIMIT).filter_map(Result::ok);
        names
            .filter_map(|entry| Self::parse(entry.file_name().to_str()?))
            .collect()
    }

    /// The path of the file in a directory.
    pub fn path(&self, directory: &Path) -> PathBuf {
        directory.join(self.to_string())
    }
}

/// A number as it is written here: without a sign, without zeroes before it.
fn number(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cluster = &self.cluster;
        match self.process {
            ProcessId::Worker(id) => write!(f, "{cluster}.{id}.log"),
            ProcessId::CacheManager => write!(f, "{cluster}.cache-manager.log"),
            ProcessId::Master => write!(f, "{cluster}.master.log"),
            // It has no log; whoever asks is told a name that nobody else has.
            ProcessId::Operator(n) => write!(f, "{cluster}.operator-{n}.log"),
        }?;
        match self.age {
            0 => Ok(()),
            age => write!(f, ".{age}"),
        }
    }
}

/// Removes the files of workers that have ended, but for those that were written last. Where that fails, they are kept: there is no harm
/// in it but the room they take.
pub(crate) fn prune(
    directory: &Path,
    cluster: &str,
    workers: u32,
    is_living: impl Fn(WorkerId) -> bool,
) {
    let mut ended: BTreeMap<WorkerId, (SystemTime, Vec<PathBuf>)> = BTreeMap::new();
    for name in LogName::all_in(directory) {
        let ProcessId::Worker(id) = name.process else {
            continue;
        };
        if name.cluster != cluster || is_living(id) {
            continue;
        }
        let path = name.path(directory);
        let written = fs::symlink_metadata(&path).and_then(|found| found.modified());
        let (last, paths) = ended
            .entry(id)
            .or_insert((SystemTime::UNIX_EPOCH, Vec::new()));
        *last = (*last).max(written.unwrap_or(SystemTime::UNIX_EPOCH));
        paths.push(path);
    }
    let mut ended: Vec<_> = ended.into_iter().collect();
    // Of two that were written at the same moment, the younger worker's are kept.
    ended.sort_by_key(|(id, (written, _))| std::cmp::Reverse((*written, *id)));
    let kept = ENDED.max(workers as usize);
    for path in ended
        .into_iter()
        .skip(kept)
        .flat_map(|(_, (_, paths))| paths)
    {
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn process() -> impl Strategy<Value = ProcessId> {
        prop_oneof![
            Just(ProcessId::Master),
            Just(ProcessId::CacheManager),
            any::<u32>().prop_map(|id| ProcessId::Worker(WorkerId(id)))
        ]
    }

    proptest! {
        #[test]
        fn a_name_that_is_written_is_read(cluster in "[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", process in process(), age in 0..FILES) {
            let name = LogName { cluster, process, age };
            prop_assert_eq!(LogName::parse(&name.to_string()), Some(name));
        }

        #[test]
        fn what_is_read_is_what_was_written(text in "[a-c.0-4log]{0,16}") {
            if let Some(name) = LogName::parse(&text) {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }

    #[test]
    fn what_is_no_log_file_is_passed_over() {
        for name in [
            "",
            "log",
            "hello.log",
            ".1.log",
            "hello.1.log.0",
            "hello.1.log.4",
            "hello.01.log",
            "hello.+1.log",
            "hello.1.log.gz",
            "hello.boss.log",
            "hello.1.txt",
        ] {
            assert_eq!(LogName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn of_the_ended_those_that_were_written_last_are_kept() {
        let home = tempfile::tempdir().unwrap();
        let begun = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        let file = |name: &str, age: u64| {
            let file = fs::File::create(home.path().join(name)).unwrap();
            file.set_modified(begun - std::time::Duration::from_secs(age))
                .unwrap();
        };
        for id in 1..=20_u32 {
            file(&format!("hello.{id}.log"), 100 - u64::from(id));
            file(&format!("hello.{id}.log.1"), 200);
        }
        // The first was written to last, the second lives, and these are others'.
        file("hello.1.log.2", 0);
        for name in ["hello.master.log", "hello.cache-manager.log", "shop.1.log"] {
            file(name, 1000);
        }
        prune(home.path(), "hello", 3, |id| id == WorkerId(2));
        let names = LogName::all_in(home.path());
        let mut workers: Vec<u32> = names
            .iter()
            .filter(|name| name.cluster == "hello" && name.age == 0)
            .filter_map(|name| match name.process {
                ProcessId::Worker(id) => Some(id.0),
                _ => None,
            })
            .collect();
        workers.sort_unstable();
        let expected: Vec<u32> = [1, 2].into_iter().chain(6..=20).collect();
        assert_eq!(workers, expected);
        assert_eq!(names.len(), 17 * 2 + 1 + 3);
        prune(home.path(), "hello", 512, |_| false);
        assert_eq!(LogName::all_in(home.path()).len(), names.len());
        prune(Path::new("/nowhere/at/all"), "hello", 1, |_| false);
    }
}
