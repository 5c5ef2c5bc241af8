//! What this process says: *owns* where its standard output and error lead.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use super::Stamp;
use super::recent::RECENT;
use super::rotation::{LogFile, Look};
use crate::sys::output;

/// Where a line of the log is written: to standard error, which leads to the file of this process where the log goes to files.
///
/// Each write is to be a whole line or several, as tracing's are: it is one write to the system, which no other line of this process is
/// mixed with. A line that cannot be written is counted, and is no error: what is lost of a log must not end what the log is about.
#[derive(Clone, Copy, Debug)]
pub struct LogWriter(pub(super) ());

impl Write for LogWriter {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        OUTPUT.write(lines);
        RECENT.lock().note(lines);
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogWriter {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

/// The one output of this process.
pub(super) static OUTPUT: Output = Output {
    file: Mutex::new(None),
    room: AtomicI64::new(i64::MAX),
    adrift: AtomicBool::new(false),
    lost: AtomicU64::new(0),
};

pub(super) struct Output {
    file: Mutex<Option<Filed>>,
    /// Bytes that may be written before the file is to be looked at.
    room: AtomicI64,
    /// The file cannot be written at present: what is said goes nowhere.
    adrift: AtomicBool,
    /// Lines that were lost since that was last told.
    lost: AtomicU64,
}

/// The file, where the log goes to files.
struct Filed {
    file: LogFile,
    stamp: Stamp,
    /// It has been told that the file can grow no older, or why nothing can be written to it.
    told: bool,
    /// Lines that were lost in all.
    lost: u64,
}

/// How the log of this process does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// The file, where it goes to files.
    pub(crate) file: Option<PathBuf>,
    /// Lines that could not be written.
    pub(crate) lost: u64,
}

impl Output {
    /// From now on all goes to the file.
    ///
    /// # Errors
    /// Why it cannot be written. Then all goes on as it was.
    pub(super) fn begin(&self, mut file: LogFile, stamp: Stamp) -> io::Result<()> {
        let look = file.look(0)?;
        lead_to(&file)?;
        self.room.store(signed(look.room), Relaxed);
        *self.file.lock() = Some(Filed::new(file, stamp));
        Ok(())
    }

    /// From now on all goes to the file as soon as it can be written, and nowhere until then; that is said where things go now.
    pub(super) fn begin_adrift(&self, file: LogFile, stamp: Stamp, why: &io::Error) {
        let mut filed = Filed::new(file, stamp);
        self.set_adrift(&mut filed, why);
        *self.file.lock() = Some(filed);
    }

    fn write(&self, lines: &[u8]) {
        let length = lines.len();
        let left = self.room.fetch_sub(signed(length as u64), Relaxed);
        if left < signed(length as u64) {
            self.look(length as u64);
        }
        if self.adrift.load(Relaxed) {
            self.lost.fetch_add(1, Relaxed);
        } else if let Err(e) = io::stderr().write_all(lines) {
            self.lost.fetch_add(1, Relaxed);
            if let Some(Some(filed)) = self.file.try_lock().as_deref_mut() {
                self.set_adrift(filed, &e);
            }
        }
    }

    /// Looks after the file, before so many bytes are written. Whoever finds another thread at it goes on.
    pub(super) fn look(&self, needed: u64) {
        let Some(mut filed) = self.file.try_lock() else {
            return;
        };
        let Some(filed) = filed.as_mut() else {
            return;
        };
        let looked = filed.file.look(needed).and_then(|look| {
            if look.another {
                lead_to(&filed.file)?;
            }
            Ok(look)
        });
        match looked {
            Ok(look) => self.looked(filed, look),
            Err(e) => self.set_adrift(filed, &e),
        }
    }

    fn looked(&self, filed: &mut Filed, look: Look) {
        self.room.store(signed(look.room), Relaxed);
        if self.adrift.swap(false, Relaxed) {
            let lost = self.lost.swap(0, Relaxed);
            filed.lost += lost;
            filed.told = false;
            filed.say(&format!(
                "the log is written again; {lost} lines of it were lost, and whatever else was printed"
            ));
        }
        match look.stuck {
            Some(e) if !filed.told => {
                filed.told = true;
                let path = filed.file.path().display().to_string();
                filed.say(&format!(
                    "{path} is full and cannot be renamed: it grows on: {e}"
                ));
            }
            Some(_) => {}
            None => filed.told = false,
        }
    }

    /// The file cannot be written: nothing is, so that nobody who prints fails or waits. The next look tries again.
    fn set_adrift(&self, filed: &mut Filed, why: &io::Error) {
        if !self.adrift.swap(true, Relaxed) {
            let path = filed.file.path().display().to_string();
            filed.say(&format!(
                "{path} cannot be written; what this process says is lost until it can: {why}"
            ));
            // Where even this fails, prints may fail too.
            let _ = output::lead_nowhere();
        }
        filed.file.close();
        self.room.store(i64::MAX, Relaxed);
    }

    pub(super) fn account(&self) -> Account {
        let filed = self.file.lock();
        let lost = self.lost.load(Relaxed);
        Account {
            file: filed.as_ref().map(|filed| filed.file.path().to_owned()),
            lost: lost + filed.as_ref().map_or(0, |filed| filed.lost),
        }
    }
}

impl Filed {
    fn new(file: LogFile, stamp: Stamp) -> Self {
        Filed {
            file,
            stamp,
            told: false,
            lost: 0,
        }
    }

    /// A line of the log about the log itself: past tracing, as it may be in the middle of a line of its own.
    fn say(&self, text: &str) {
        let mut line = String::new();
        // Writing to a string fails nowhere.
        let _ = self.stamp.format_time(&mut Writer::new(&mut line));
        line.push_str("  WARN ");
        line.push_str(text);
        line.push('\n');
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

fn lead_to(file: &LogFile) -> io::Result<()> {
    file.file().map_or(Ok(()), output::lead_to)
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
