//! The last lines of a process's files, read from their end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use cluster_core::LogName;

use super::follow::{Inode, Reader, open};

/// Bytes that are read at a time.
const BLOCK: u64 = 64 << 10;

/// Bytes of one file that are looked through: the process itself keeps its files far below it.
const MOST: u64 = 64 << 20;

/// The last lines, and what is to be read on.
pub(super) struct Tail {
    /// The lines, the oldest first.
    pub(super) lines: Vec<Vec<u8>>,
    /// At the end of the newest file, with the line that has no end yet.
    pub(super) reader: Reader,
}

/// Reads the last `most` lines.
pub(super) fn read(directory: &Path, name: &LogName, most: usize) -> io::Result<Tail> {
    let mut tail = Tail {
        lines: Vec::new(),
        reader: Reader::default(),
    };
    let mut parts: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut count = 0;
    let mut seen: Vec<Inode> = Vec::new();
    for name in name.ages() {
        let Some((file, inode)) = open(&name.path(directory))? else {
            continue;
        };
        // Set aside since the look before: the same once more.
        if seen.contains(&inode) {
            continue;
        }
        let length = file.metadata()?.len();
        let mut lines = last_lines(&file, length, most - count)?;
        // What was read to the end ends with a line, or with the beginning of one.
        let unended = lines.pop().unwrap_or_default();
        match seen.is_empty() {
            true => tail.reader = Reader::at(file, inode, length, unended),
            false if unended.is_empty() => {}
            false => lines.push(unended),
        }
        seen.push(inode);
        count += lines.len();
        parts.push(lines);
        if count >= most {
            break;
        }
    }
    tail.lines = parts.into_iter().rev().flatten().collect();
    Ok(tail)
}

/// The last lines of a file up to `end`, and what stands behind the last of them.
fn last_lines(file: &File, end: u64, most: usize) -> io::Result<Vec<Vec<u8>>> {
    let begin = begin_of(file, end, most)?;
    let mut bytes = vec![0; usize::try_from(end - begin).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, begin)?;
    Ok(bytes
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect())
}

/// Where the last lines begin.
fn begin_of(file: &File, end: u64, most: usize) -> io::Result<u64> {
    let mut block = vec![0; BLOCK as usize];
    let mut at = end;
    let mut ends = 0;
    while at > end.saturating_sub(MOST) {
        let from = at.saturating_sub(BLOCK);
        let block = &mut block[..(at - from) as usize];
        file.read_exact_at(block, from)?;
        for (n, _) in block.iter().enumerate().rev().filter(|(_, b)| **b == b'\n') {
            // So many lines end behind this one.
            if ends == most {
                return Ok(from + n as u64 + 1);
            }
            ends += 1;
        }
        at = from;
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use cluster_core::{ProcessId, WorkerId};

    use super::*;

    fn texts(lines: &[Vec<u8>]) -> Vec<&str> {
        lines
            .iter()
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect()
    }

    #[test]
    fn the_last_lines_are_read_over_files_and_blocks() {
        let home = tempfile::tempdir().unwrap();
        let name = LogName::of("hello", ProcessId::Worker(WorkerId(1)));
        let long = "x".repeat(BLOCK as usize);
        let write = |age: u32, text: &str| {
            std::fs::write(name.aged(age).path(home.path()), text).unwrap();
        };
        write(3, "a\nb\n");
        write(2, &format!("c\n{long}\n"));
        write(1, "\nd\n");
        write(0, "e\nhalf");
        let all = ["a", "b", "c", &long, "", "d", "e"];
        for most in 0..=8 {
            let tail = read(home.path(), &name, most).unwrap();
            let expected = &all[all.len().saturating_sub(most)..];
            assert_eq!(texts(&tail.lines), expected, "{most}");
            let rest: Vec<&[u8]> = tail.reader.rest().collect();
            assert_eq!(rest, [b"half"]);
        }
    }

    #[test]
    fn where_there_is_nothing_nothing_is_read() {
        let home = tempfile::tempdir().unwrap();
        let name = LogName::of("hello", ProcessId::Master);
        assert!(read(home.path(), &name, 10).unwrap().lines.is_empty());
        std::fs::write(name.path(home.path()), "").unwrap();
        let tail = read(home.path(), &name, 10).unwrap();
        assert!(tail.lines.is_empty() && tail.reader.rest().next().is_none());
    }
}
