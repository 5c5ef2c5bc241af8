//! The log file of this process: opened, looked after, and set aside when it is full.
//!
//! Whoever writes appends to it, past this module: what is here is told now and then to look. Two processes may have one file (a worker
//! whose master was killed, and the worker of the same number below the next master), so each asks the directory, not its memory.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::directory::{FILES, LogName};
use crate::sys::output::{self, Turn};

/// Bytes that a file may have. What is printed by other means than tracing is noticed late, and may make it longer.
pub(super) const LIMIT: u64 = 4 << 20;

/// Bytes that may be written between two looks.
const STEP: u64 = 32 << 10;

/// Bytes that are set aside beyond the end, so that what is printed between two looks finds its room though the disk is full by then.
const AHEAD: u64 = 1 << 20;

/// The file, or the wish for one.
#[derive(Debug)]
pub(super) struct LogFile {
    directory: PathBuf,
    name: LogName,
    path: PathBuf,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// How far room is set aside.
    reserved: u64,
}

/// What a look came to.
#[derive(Debug)]
pub(super) struct Look {
    /// Bytes that may be written before the next one.
    pub(super) room: u64,
    /// The file is another than at the last look: standard output and error are to lead to it.
    pub(super) another: bool,
    /// It is full, and cannot be set aside.
    pub(super) stuck: Option<io::Error>,
}

impl LogFile {
    pub(super) fn new(directory: &Path, name: LogName) -> Self {
        LogFile {
            directory: directory.to_owned(),
            path: name.path(directory),
            name,
            open: None,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file that was open at the last look.
    pub(super) fn file(&self) -> Option<&File> {
        self.open.as_ref().map(|open| &open.file)
    }

    /// Lets go of the file: it is opened anew by the next look.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// Sees to it that the file is there, is the one at its path, is not full, and has room on the disk for what comes next; `needed`
    /// bytes are about to be written.
    ///
    /// # Errors
    /// Why nothing can be written: it cannot be opened, or the disk is full.
    pub(super) fn look(&mut self, needed: u64) -> io::Result<Look> {
        let mut look = Look {
            room: 0,
            another: false,
            stuck: None,
        };
        if !self.is_at_path()? {
            self.reopen()?;
            look.another = true;
        }
        let mut size = self.size()?;
        if size > 0 && size.saturating_add(needed) > LIMIT {
            match self.set_aside() {
                Ok(()) if !self.is_at_path()? => {
                    self.reopen()?;
                    look.another = true;
                    size = self.size()?;
                }
                // Another process is about it: by the next look it is done.
                Ok(()) => {}
                Err(e) => look.stuck = Some(e),
            }
        }
        self.reserve(size)?;
        look.room = match LIMIT.checked_sub(size) {
            Some(left @ 1..) => left.min(STEP),
            _ => STEP,
        };
        Ok(look)
    }

    fn is_at_path(&self) -> io::Result<bool> {
        let Some(open) = &self.open else {
            return Ok(false);
        };
        Ok(output::inode_at(&self.path) == Some(output::inode(&open.file)?))
    }

    fn size(&self) -> io::Result<u64> {
        self.file().map_or(Ok(0), |file| Ok(file.metadata()?.len()))
    }

    fn reopen(&mut self) -> io::Result<()> {
        output::make_directory(&self.directory)?;
        let mut file = output::open_to_append(&self.path)?;
        let size = file.metadata()?.len();
        output::set_aside(&file, size, ahead(size))?;
        end_the_last_line(&mut file, size)?;
        self.open = Some(Open {
            file,
            reserved: size + ahead(size),
        });
        Ok(())
    }

    /// Sets room aside once half of what was is used up.
    fn reserve(&mut self, size: u64) -> io::Result<()> {
        match &mut self.open {
            Some(open) if open.reserved < size + ahead(size) / 2 => {
                output::set_aside(&open.file, size, ahead(size))?;
                open.reserved = size + ahead(size);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Gives the file the name of the one before, and so on; the oldest is gone. Without effect if another process is about it, or has
    /// done it already.
    fn set_aside(&self) -> io::Result<()> {
        let Some(_turn) = self.file().and_then(Turn::take) else {
            return Ok(());
        };
        if !self.is_at_path()? {
            return Ok(());
        }
        // The oldest first: a reader who finds a file under its name knows that all younger ones still have theirs.
        for age in (1..FILES).rev() {
            let from = self.name.aged(age - 1).path(&self.directory);
            match fs::rename(from, self.name.aged(age).path(&self.directory)) {
                Err(e) if age > 1 && e.kind() == io::ErrorKind::NotFound => {}
                renamed => renamed?,
            }
        }
        Ok(())
    }
}

/// Bytes that are set aside beyond this size: no more than the file may still grow, or it would keep them for ever once it is full.
fn ahead(size: u64) -> u64 {
    LIMIT.saturating_sub(size).clamp(2 * STEP, AHEAD)
}

/// A process that was killed, or a disk that was full, may have left half a line.
fn end_the_last_line(file: &mut File, size: u64) -> io::Result<()> {
    let mut last = [b'\n'];
    if size > 0 {
        file.read_exact_at(&mut last, size - 1)?;
    }
    if last == [b'\n'] {
        return Ok(());
    }
    file.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::id::{ProcessId, WorkerId};

    fn here() -> (TempDir, LogFile) {
        let home = tempfile::tempdir().unwrap();
        let file = another(&home);
        (home, file)
    }

    fn another(home: &TempDir) -> LogFile {
        let name = LogName::of("hello", ProcessId::Worker(WorkerId(1)));
        LogFile::new(&home.path().join("log"), name)
    }

    fn write(file: &LogFile, text: &[u8]) {
        file.file().unwrap().write_all(text).unwrap();
    }

    fn contents(home: &TempDir, suffix: &str) -> Option<String> {
        let path = home.path().join(format!("log/hello.1.log{suffix}"));
        fs::read_to_string(path).ok()
    }

    #[test]
    fn a_full_file_is_set_aside_and_the_oldest_is_gone() {
        let (home, mut file) = here();
        assert!(file.look(0).unwrap().another);
        for round in 1..=6_u8 {
            write(&file, &[b'0' + round, b'\n']);
            file.file().unwrap().set_len(LIMIT - 1).unwrap();
            let look = file.look(1).unwrap();
            assert_eq!((look.another, look.room), (false, 1));
            let look = file.look(2).unwrap();
            assert_eq!((look.another, look.room), (true, STEP));
        }
        let first = |suffix: &str| contents(&home, suffix).map(|text| text[..1].to_owned());
        for (suffix, expected) in [(".1", "6"), (".2", "5"), (".3", "4")] {
            assert_eq!(first(suffix).as_deref(), Some(expected));
        }
        assert_eq!(contents(&home, "").unwrap(), "");
        assert_eq!(contents(&home, ".4"), None);
    }

    #[test]
    fn two_processes_with_one_file_set_it_aside_once() {
        let (home, mut one) = here();
        let mut other = another(&home);
        one.look(0).unwrap();
        other.look(0).unwrap();
        write(&one, b"one\n");
        write(&other, b"other\n");
        one.file().unwrap().set_len(LIMIT).unwrap();
        assert!(one.look(1).unwrap().another);
        write(&one, b"new\n");
        assert!(other.look(1).unwrap().another);
        write(&other, b"newer\n");
        assert_eq!(contents(&home, "").unwrap(), "new\nnewer\n");
        assert!(contents(&home, ".1").unwrap().starts_with("one\nother\n"));
        assert_eq!(contents(&home, ".2"), None);
    }

    #[test]
    fn nobody_waits_for_another_who_is_about_it() {
        let (_home, mut file) = here();
        file.look(0).unwrap();
        file.file().unwrap().set_len(LIMIT).unwrap();
        let other = output::open_to_append(file.path()).unwrap();
        let turn = Turn::take(&other).unwrap();
        let look = file.look(1).unwrap();
        assert_eq!((look.another, look.room), (false, STEP));
        drop(turn);
        assert!(file.look(1).unwrap().another);
    }

    #[test]
    fn a_file_that_was_removed_or_renamed_is_begun_anew() {
        let (home, mut file) = here();
        file.look(0).unwrap();
        assert!(!file.look(0).unwrap().another);
        fs::remove_dir_all(home.path().join("log")).unwrap();
        assert!(file.look(0).unwrap().another);
        let aside = home.path().join("aside");
        fs::rename(file.path(), &aside).unwrap();
        assert!(file.look(0).unwrap().another);
        write(&file, b"here\n");
        assert_eq!(contents(&home, "").unwrap(), "here\n");
        assert_eq!(fs::read_to_string(aside).unwrap(), "");
    }

    #[test]
    fn half_a_line_is_ended_before_another_begins() {
        let (home, mut file) = here();
        fs::create_dir(home.path().join("log")).unwrap();
        fs::write(file.path(), "half").unwrap();
        file.look(0).unwrap();
        write(&file, b"whole\n");
        file.close();
        file.look(0).unwrap();
        assert_eq!(contents(&home, "").unwrap(), "half\nwhole\n");
    }

    #[test]
    fn what_is_no_plain_file_is_refused() {
        let (home, mut file) = here();
        fs::create_dir(home.path().join("log")).unwrap();
        let refused = |file: &mut LogFile| {
            let error = file.look(0).unwrap_err();
            assert_eq!(error.to_string(), "it is no plain file");
            fs::remove_file(file.path()).unwrap();
        };
        std::os::unix::fs::symlink("/dev/null", file.path()).unwrap();
        refused(&mut file);
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, file.path(), fifo, 0o600.into(), 0).unwrap();
        refused(&mut file);
        file.look(0).unwrap();
    }

    #[test]
    fn room_is_set_aside_up_to_the_limit() {
        use std::os::unix::fs::MetadataExt;
        let (_home, mut file) = here();
        file.look(0).unwrap();
        let mut size = 0;
        while size < LIMIT - STEP {
            write(&file, &[b'\n'; STEP as usize]);
            size += STEP;
            assert!(!file.look(0).unwrap().another);
            let found = file.file().unwrap().metadata().unwrap();
            assert_eq!(found.len(), size);
            let taken = found.blocks() * 512;
            assert!(taken <= LIMIT + 2 * STEP, "{taken} at {size}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_renamed_is_written_on() {
        let (home, mut file) = here();
        file.look(0).unwrap();
        file.file().unwrap().set_len(LIMIT).unwrap();
        // A directory in the place of the file before, with something in it.
        fs::create_dir_all(home.path().join("log/hello.1.log.1/x")).unwrap();
        fs::create_dir_all(home.path().join("log/hello.1.log.2/x")).unwrap();
        fs::create_dir_all(home.path().join("log/hello.1.log.3/x")).unwrap();
        let look = file.look(1).unwrap();
        assert!(look.stuck.is_some() && !look.another);
        assert_eq!(look.room, STEP);
    }
}
