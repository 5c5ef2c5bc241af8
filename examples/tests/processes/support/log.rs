//! What a cluster says on standard error, line by line as it comes.

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) at: Instant,
}

impl Line {
    /// The value of `key=VALUE`, without quotation marks.
    pub(crate) fn field(&self, key: &str) -> Option<&str> {
        let (_, value) = self.text.split_once(&format!(" {key}="))?;
        match value.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next(),
            None => value.split(' ').next(),
        }
    }

    /// The pid that the line names.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.field("pid")?.parse().ok()
    }

    /// Whether the process named (`master`, `worker 1`) says this.
    pub(crate) fn is(&self, process: &str, says: &str) -> bool {
        self.text.contains(&format!(" {process} ")) && self.text.contains(says)
    }
}

#[derive(Default)]
struct Lines {
    lines: Mutex<(Vec<Line>, bool)>,
    more: Condvar,
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, (Vec<Line>, bool)> {
        self.lines
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The log so far, growing by itself.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Lines>);

impl Log {
    /// Reads until all writers have closed their end.
    pub(crate) fn read(stream: impl Read + Send + 'static) -> Self {
        let log = Log::default();
        let lines = Arc::clone(&log.0);
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut raw = Vec::new();
            while matches!(stream.read_until(b'\n', &mut raw), Ok(n) if n > 0) {
                let text = String::from_utf8_lossy(&raw).trim_end().to_owned();
                lines.lock().0.push(Line {
                    text,
                    at: Instant::now(),
                });
                lines.more.notify_all();
                raw.clear();
            }
            lines.lock().1 = true;
            lines.more.notify_all();
        });
        log
    }

    /// How many lines there are: where a later look may begin.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().0.len()
    }

    /// The lines from one on.
    pub(crate) fn since(&self, first: usize) -> Vec<Line> {
        self.0.lock().0.get(first..).unwrap_or_default().to_vec()
    }

    /// Everything, for a failure's message.
    pub(crate) fn text(&self) -> String {
        let lines: Vec<String> = self.since(0).into_iter().map(|line| line.text).collect();
        lines.join("\n")
    }

    /// The first line from `first` on that fits, once it is there; none if the log ends or the time is over before.
    pub(crate) fn find(
        &self,
        first: usize,
        limit: Duration,
        fits: impl Fn(&Line) -> bool,
    ) -> Option<Line> {
        let until = Instant::now() + limit;
        let mut next = first;
        let mut lines = self.0.lock();
        loop {
            if let Some(line) = lines
                .0
                .get(next..)
                .unwrap_or_default()
                .iter()
                .find(|line| fits(line))
            {
                return Some(line.clone());
            }
            next = next.max(lines.0.len());
            let left = until.saturating_duration_since(Instant::now());
            if lines.1 || left.is_zero() {
                return None;
            }
            let waited = self.0.more.wait_timeout(lines, left);
            lines = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    /// Waits for the end of the log: then no process is left that could write to it.
    pub(crate) fn has_ended(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let mut lines = self.0.lock();
        while !lines.1 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.0.more.wait_timeout(lines, left);
            lines = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        true
    }
}
