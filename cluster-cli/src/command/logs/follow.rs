//! Following the files of processes: what was appended since the last look, over the files that are set aside meanwhile.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use cluster_core::{LogName, ProcessId};

use super::line::{Clock, Line};

/// Bytes that are read of all processes in one look, and those of one at most and at least; what is left is read in the next.
const PER_LOOK: usize = 64 << 20;
const PER_PROCESS: (usize, usize) = (64 << 10, 4 << 20);

/// Bytes of a line that has no end yet; a longer one is shown in parts.
const LONGEST: usize = 64 << 10;

/// A file, whatever its name.
pub(super) type Inode = (u64, u64);

/// Opens a file, if it is there.
pub(super) fn open(path: &Path) -> io::Result<Option<(File, Inode)>> {
    match File::open(path) {
        Ok(file) => {
            let found = file.metadata()?;
            Ok(Some((file, (found.dev(), found.ino()))))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn inode_at(path: &Path) -> Option<Inode> {
    let found = path.metadata().ok()?;
    Some((found.dev(), found.ino()))
}

/// How far a process's files have been read.
#[derive(Debug, Default)]
pub(super) struct Reader {
    open: Option<Open>,
    /// A line that has no end yet.
    unended: Vec<u8>,
    /// Files that were older than the open one at the last look.
    older: Vec<Inode>,
    /// So much was written that the open file was gone before it was read.
    missed: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    inode: Inode,
    at: u64,
    /// It was set aside before the last look, by which its process has left it.
    left: bool,
}

impl Open {
    fn new(file: File, inode: Inode, at: u64) -> Self {
        Open {
            file,
            inode,
            at,
            left: false,
        }
    }
}

impl Reader {
    pub(super) fn at(file: File, inode: Inode, at: u64, unended: Vec<u8>) -> Self {
        Reader {
            open: Some(Open::new(file, inode, at)),
            unended,
            older: Vec::new(),
            missed: false,
        }
    }

    /// The line that has no end, if there is one.
    pub(super) fn rest(&self) -> impl Iterator<Item = &[u8]> {
        Some(self.unended.as_slice())
            .filter(|line| !line.is_empty())
            .into_iter()
    }

    /// Reads what there is since the last look, up to so many bytes; false if the process has no files any more.
    fn look(
        &mut self,
        directory: &Path,
        name: &LogName,
        mut left: usize,
        mut tell: impl FnMut(&[u8]),
    ) -> io::Result<bool> {
        let path = |age| name.aged(age).path(directory);
        loop {
            if !self.read(&mut left, &mut tell)? {
                return Ok(true);
            }
            let ages: Vec<Option<Inode>> = name
                .ages()
                .map(|name| inode_at(&name.path(directory)))
                .collect();
            let here = self
                .open
                .as_ref()
                .and_then(|open| ages.iter().position(|inode| *inode == Some(open.inode)));
            let next = match (here, &mut self.open) {
                (Some(0), _) => {
                    self.older = ages.into_iter().skip(1).flatten().collect();
                    return Ok(true);
                }
                // Just set aside: its process may still be writing to it.
                (Some(1), Some(open)) if !open.left => {
                    open.left = true;
                    return Ok(true);
                }
                (Some(age), Some(open)) => {
                    let mut next = None;
                    for younger in (0..age).rev() {
                        next = open_at(&path(younger as u32))?;
                        if next.is_some() {
                            break;
                        }
                    }
                    // The oldest is renamed first: if this one has still its name, so had the other when it was opened.
                    let steady = inode_at(&path(age as u32)) == Some(open.inode);
                    match next.filter(|_| steady) {
                        Some(next) => next,
                        None => return Ok(true),
                    }
                }
                // It was removed, or so much was written since that it is gone. What was older is known.
                (None, _) => {
                    let newer = |age: &usize| {
                        ages[*age].is_some_and(|inode| *age == 0 || !self.older.contains(&inode))
                    };
                    let Some(age) = (0..ages.len()).rev().find(newer) else {
                        self.end_line(&mut tell);
                        return Ok(ages.iter().any(Option::is_some));
                    };
                    match open_at(&path(age as u32))? {
                        Some(next) => {
                            self.missed |= self.open.is_some() && age + 1 == ages.len();
                            next
                        }
                        None => return Ok(true),
                    }
                }
                (Some(_), None) => return Ok(true),
            };
            self.end_line(&mut tell);
            self.older.extend(self.open.take().map(|open| open.inode));
            self.open = Some(next);
        }
    }

    /// Reads the open file on, to its end unless that is too much at once; true at the end.
    fn read(&mut self, left: &mut usize, tell: &mut impl FnMut(&[u8])) -> io::Result<bool> {
        let Some(open) = &mut self.open else {
            return Ok(true);
        };
        let mut block = [0; 16 << 10];
        while *left > 0 {
            let length = match open.file.read_at(&mut block, open.at) {
                Ok(0) => return Ok(true),
                Ok(length) => length,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            open.at += length as u64;
            *left = left.saturating_sub(length);
            let mut rest = &block[..length];
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                self.unended.extend_from_slice(&rest[..end]);
                tell(&self.unended);
                self.unended.clear();
                rest = &rest[end + 1..];
            }
            self.unended.extend_from_slice(rest);
            if self.unended.len() > LONGEST {
                tell(&self.unended);
                self.unended.clear();
            }
        }
        Ok(false)
    }

    fn end_line(&mut self, tell: &mut impl FnMut(&[u8])) {
        if !self.unended.is_empty() {
            tell(&self.unended);
            self.unended.clear();
        }
    }
}

fn open_at(path: &Path) -> io::Result<Option<Open>> {
    Ok(open(path)?.map(|(file, inode)| Open::new(file, inode, 0)))
}

/// Everything that is followed.
#[derive(Debug, Default)]
pub(super) struct Following(BTreeMap<ProcessId, (LogName, Reader, Clock)>);

impl Following {
    /// Follows a process from where its files have been read to.
    pub(super) fn add(&mut self, name: LogName, reader: Reader, clock: Clock) {
        self.0.insert(name.process, (name, reader, clock));
    }

    /// Follows a process from the beginning of its files, unless it is followed already.
    pub(super) fn begin(&mut self, name: LogName) {
        self.0.entry(name.process).or_insert_with(|| {
            let clock = Clock::of(name.process);
            (name, Reader::default(), clock)
        });
    }

    /// What was written since the last look; `missed` is told whose lines are gone. Who has no files any more is followed no longer.
    pub(super) fn look(
        &mut self,
        directory: &Path,
        missed: impl Fn(ProcessId),
    ) -> io::Result<Vec<Line>> {
        let mut lines = Vec::new();
        let mut gone = Vec::new();
        let each = (PER_LOOK / self.0.len().max(1)).clamp(PER_PROCESS.0, PER_PROCESS.1);
        for (process, (name, reader, clock)) in &mut self.0 {
            if !reader.look(directory, name, each, |text| lines.push(clock.line(text)))? {
                gone.push(*process);
            }
            if std::mem::take(&mut reader.missed) {
                missed(*process);
            }
        }
        for process in gone {
            self.0.remove(&process);
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use cluster_core::WorkerId;
    use tempfile::TempDir;

    use super::*;

    /// A directory with the files of one worker, and what is read of them.
    struct Files {
        home: TempDir,
        name: LogName,
        reader: Reader,
        read: Vec<String>,
        here: bool,
    }

    impl Files {
        fn new() -> Self {
            Files {
                home: tempfile::tempdir().unwrap(),
                name: LogName::of("hello", ProcessId::Worker(WorkerId(1))),
                reader: Reader::default(),
                read: Vec::new(),
                here: false,
            }
        }

        fn path(&self, age: u32) -> std::path::PathBuf {
            self.name.aged(age).path(self.home.path())
        }

        fn open(&self) -> File {
            let mut options = fs::OpenOptions::new();
            options.append(true).create(true);
            options.open(self.path(0)).unwrap()
        }

        fn write(&self, text: &str) {
            self.open().write_all(text.as_bytes()).unwrap();
        }

        fn set_aside(&self) {
            for age in (0..3).rev() {
                let _ = fs::rename(self.path(age), self.path(age + 1));
            }
        }

        #[track_caller]
        fn look(&mut self, expected: &[&str]) {
            let read = &mut self.read;
            let tell = |text: &[u8]| read.push(String::from_utf8(text.to_vec()).unwrap());
            self.here = self
                .reader
                .look(self.home.path(), &self.name, 1 << 20, tell)
                .unwrap();
            assert_eq!(std::mem::take(&mut self.read), expected);
        }
    }

    #[test]
    fn lines_are_read_when_they_have_ended() {
        let mut files = Files::new();
        files.look(&[]);
        assert!(!files.here);
        files.write("a\nb");
        files.look(&["a"]);
        files.look(&[]);
        files.write("c\n");
        files.look(&["bc"]);
        assert!(files.here);
    }

    #[test]
    fn no_line_is_lost_over_files_that_are_set_aside() {
        let mut files = Files::new();
        files.write("a\n");
        files.look(&["a"]);
        let mut old = files.open();
        files.set_aside();
        // The process has begun its new file, and has a last word for the old one.
        files.write("c\n");
        files.look(&[]);
        old.write_all(b"b\n").unwrap();
        files.look(&["b", "c"]);
        // Twice between two looks.
        files.write("d\n");
        files.set_aside();
        files.write("e\n");
        files.set_aside();
        files.write("f\n");
        files.look(&["d", "e"]);
        files.look(&["f"]);
        // Renamed, and the new file not made yet.
        files.set_aside();
        files.look(&[]);
        files.look(&[]);
        files.write("g\n");
        files.look(&["g"]);
    }

    #[test]
    fn that_lines_are_gone_is_noticed() {
        let mut files = Files::new();
        files.write("a\n");
        files.look(&["a"]);
        files.write("b\n");
        for text in ["c\n", "d\n", "e\n", "f\n", "g\n"] {
            files.set_aside();
            files.write(text);
        }
        // What is open is read, though it has no name any more; what came next is gone.
        files.look(&["b", "d", "e", "f"]);
        assert!(files.reader.missed);
        files.look(&["g"]);
    }

    #[test]
    fn a_new_process_is_read_from_its_oldest_file_on() {
        let mut files = Files::new();
        for text in ["a\n", "b\n", "c\n"] {
            files.set_aside();
            files.write(text);
        }
        files.look(&["a", "b"]);
        files.look(&["c"]);
    }

    #[test]
    fn what_was_read_is_not_read_again_where_a_file_is_removed() {
        let mut files = Files::new();
        files.write("a\n");
        files.look(&["a"]);
        files.set_aside();
        files.write("b\n");
        files.look(&[]);
        files.look(&["b"]);
        fs::remove_file(files.path(0)).unwrap();
        files.look(&[]);
        files.write("c\n");
        files.look(&["c"]);
        for age in 0..2 {
            fs::remove_file(files.path(age)).unwrap();
        }
        files.look(&[]);
        assert!(!files.here);
    }
}
