//! Lines of log files: when they were written, in which order they are shown, and how. Pure.

use cluster_core::ProcessId;
use serde_json::{Value, json};

use crate::output;

/// A line, and its place among others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    process: ProcessId,
    text: String,
    /// The latest time that was seen in the file up to here.
    at: String,
}

/// The lines of one process, in the order in which they stand: each is given a time that is never before that of the one above it.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    process: ProcessId,
    latest: String,
}

impl Clock {
    pub(super) fn of(process: ProcessId) -> Self {
        Clock {
            process,
            latest: String::new(),
        }
    }

    pub(super) fn line(&mut self, text: &[u8]) -> Line {
        let text = String::from_utf8_lossy(text).into_owned();
        if let Some(time) = time(&text)
            && time > self.latest.as_str()
        {
            time.clone_into(&mut self.latest);
        }
        Line {
            process: self.process,
            text,
            at: self.latest.clone(),
        }
    }
}

/// The time that a line begins with, as `2026-01-31T12:00:00.000000Z`: such times are in the order of their texts.
fn time(text: &str) -> Option<&str> {
    let time = text.split(' ').next()?;
    let fits = |(n, byte): (usize, u8)| match n {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        19 => byte == b'.',
        26 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    (time.len() == 27 && time.bytes().enumerate().all(fits)).then_some(time)
}

/// Puts lines of several processes in the order of their times; those of one process stay as they stood.
pub(super) fn in_order(lines: &mut [Line]) {
    lines.sort_by(|a, b| a.at.cmp(&b.at));
}

impl Line {
    /// The line for people. `named` says to name its process, where it does not by itself as the cluster's own lines do.
    pub(super) fn text(&self, named: bool, harmless: bool) -> String {
        let text = match harmless {
            true => output::plain_but_tabs(&self.text),
            false => self.text.as_str().into(),
        };
        let stamp = format!(" {:<13} ", self.process.to_string());
        let says_so = || {
            let rest = time(&self.text).and_then(|time| self.text.get(time.len()..));
            rest.is_some_and(|rest| rest.starts_with(&stamp))
        };
        if named && !says_so() {
            format!("{:<13} | {text}", self.process.to_string())
        } else {
            text.into_owned()
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "process": self.process.to_string(),
            "time": time(&self.text),
            "line": self.text,
        })
    }
}

#[cfg(test)]
mod tests {
    use cluster_core::WorkerId;

    use super::*;

    fn lines(process: ProcessId, texts: &[&str]) -> Vec<Line> {
        let mut clock = Clock::of(process);
        texts
            .iter()
            .map(|text| clock.line(text.as_bytes()))
            .collect()
    }

    const WORKER: ProcessId = ProcessId::Worker(WorkerId(7));

    #[test]
    fn lines_are_put_in_the_order_of_their_times_and_others_follow_the_one_above() {
        let mut all = lines(
            ProcessId::Master,
            &[
                "2026-01-31T12:00:01.000000Z master         INFO a",
                "2026-01-31T12:00:03.000000Z master         INFO d",
            ],
        );
        all.extend(lines(
            WORKER,
            &[
                "before any time",
                "2026-01-31T12:00:02.000000Z worker 7       INFO b",
                "a print",
                // Noted before the lock of the stream was had: it stays where it stands.
                "2026-01-31T12:00:01.500000Z worker 7       INFO c",
                "2026-01-31T12:00:03.000000Z worker 7       INFO e",
            ],
        ));
        in_order(&mut all);
        let shown: Vec<String> = all.iter().map(|line| line.text(true, true)).collect();
        let ends: Vec<&str> = shown
            .iter()
            .map(|line| line.rsplit(' ').next().unwrap())
            .collect();
        assert_eq!(ends, ["time", "a", "b", "print", "c", "d", "e"]);
        assert_eq!(shown[0], "worker 7      | before any time");
        assert!(shown[1].starts_with("2026"), "it names its process itself");
        assert_eq!(all[3].text(false, true), "a print");
    }

    #[test]
    fn what_is_no_time_is_none() {
        assert_eq!(
            time("2026-01-31T12:00:00.000000Z x"),
            Some("2026-01-31T12:00:00.000000Z")
        );
        for text in [
            "",
            "x",
            "2026-01-31T12:00:00.00000ZZ x",
            "2026-01-31T12:00:00Z",
            "é026-01-31T12:00:00.000000 ",
        ] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn on_a_terminal_a_line_moves_no_cursor() {
        let line = &lines(WORKER, &["a\tb\x1b[2J"])[0];
        assert_eq!(line.text(false, true), "a\tb\u{fffd}[2J");
        assert_eq!(line.text(false, false), "a\tb\x1b[2J");
        assert_eq!(
            line.json(),
            json!({ "process": "worker 7", "time": null, "line": "a\tb\x1b[2J" })
        );
    }
}
