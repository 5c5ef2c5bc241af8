//! The last lines of this process's log, for whoever looks at it from outside while it runs.

use std::collections::VecDeque;

use parking_lot::Mutex;

/// What is kept, in bytes; beyond it the oldest lines give way.
const KEPT: usize = 256 * 1024;
/// A longer line is kept in part.
const LONGEST_LINE: usize = 8 * 1024;
/// What is given at once, in bytes, or one line.
const PART: usize = 48 * 1024;

/// The last lines.
pub(super) static RECENT: Mutex<Recent> = Mutex::new(Recent::new());

pub(super) struct Recent {
    lines: VecDeque<String>,
    /// Bytes in them.
    bytes: usize,
    /// The number of the first one: how many were written before it.
    first: u64,
}

/// A part of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its lines.
    pub(crate) lines: Vec<String>,
    /// Where the next part begins.
    pub(crate) next: u64,
    /// Where the log ends at present.
    pub(crate) end: u64,
    /// Lines between what was asked for and what is here, which nobody has any more.
    pub(crate) missed: u64,
}

impl Recent {
    const fn new() -> Self {
        Recent {
            lines: VecDeque::new(),
            bytes: 0,
            first: 0,
        }
    }

    /// Keeps what has just been written: one line or several.
    pub(super) fn note(&mut self, written: &[u8]) {
        for line in written.split(|byte| *byte == b'\n') {
            if line.is_empty() {
                continue;
            }
            let line = String::from_utf8_lossy(&line[..line.len().min(LONGEST_LINE)]).into_owned();
            self.bytes += line.len();
            self.lines.push_back(line);
        }
        while self.bytes > KEPT {
            let Some(oldest) = self.lines.pop_front() else {
                break;
            };
            self.bytes -= oldest.len();
            self.first += 1;
        }
    }

    /// What was written from line `from` on.
    fn part(&self, from: u64) -> Part {
        let end = self.first + self.lines.len() as u64;
        // One that is ahead has seen another process of this name.
        let begin = if from > end {
            self.first
        } else {
            from.max(self.first)
        };
        let skipped = usize::try_from(begin - self.first).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let fits = |line: &&String| {
            let first = bytes == 0;
            bytes += line.len();
            first || bytes <= PART
        };
        let rest = self.lines.iter().skip(skipped);
        let lines: Vec<String> = rest.take_while(fits).cloned().collect();
        Part {
            next: begin + lines.len() as u64,
            lines,
            end,
            missed: begin.saturating_sub(from),
        }
    }
}

/// What this process has written to its log from line `from` on, as far as it is kept: some 256 KiB, at most 48 KiB at once.
pub(crate) fn recent(from: u64) -> Part {
    RECENT.lock().part(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_part_by_part_and_says_what_is_gone() {
        let mut recent = Recent::new();
        recent.note(b"one\ntwo\n");
        let part = recent.part(0);
        assert_eq!((part.lines.len(), part.next, part.missed), (2, 2, 0));
        assert_eq!(recent.part(2).lines, Vec::<String>::new());
        let long = vec![b'x'; 3 * LONGEST_LINE];
        for _ in 0..KEPT / LONGEST_LINE {
            recent.note(&long);
        }
        assert!(recent.bytes <= KEPT);
        let part = recent.part(0);
        assert_eq!((part.lines.len(), part.missed), (PART / LONGEST_LINE, 2));
        assert_eq!(part.next, 2 + part.lines.len() as u64);
        // A process that began anew has fewer lines than were seen of the one before.
        assert_eq!(recent.part(1_000_000).next, part.next);
    }
}
