//! The threads of a process.

use std::fs;
use std::io;

/// Threads that are looked at, at most.
pub(super) const MOST: usize = 1024;

/// The threads of a process, in the order of their numbers.
pub(super) fn of(pid: u32) -> io::Result<Vec<i32>> {
    let mut threads: Vec<i32> = fs::read_dir(format!("/proc/{pid}/task"))?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    threads.sort_unstable();
    threads.truncate(MOST);
    Ok(threads)
}

/// The name of a thread, and the letter of its state (`R` runs, `S` sleeps, `D` waits for a device, `T` is stopped).
pub(super) fn about(pid: u32, thread: i32) -> Option<(String, char)> {
    read(&fs::read_to_string(format!("/proc/{pid}/task/{thread}/stat")).ok()?)
}

fn read(stat: &str) -> Option<(String, char)> {
    // The name stands in parentheses, and may have such in it.
    let (_, rest) = stat.split_once('(')?;
    let (name, rest) = rest.rsplit_once(')')?;
    let state = rest.trim_start().chars().next()?;
    Some((name.to_owned(), state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_anything() {
        let read = read("12 (a) R (b) S 1 2 3").unwrap();
        assert_eq!(read, ("a) R (b".to_owned(), 'S'));
    }

    #[test]
    fn this_one_runs() {
        let all = of(std::process::id()).unwrap();
        let states: Vec<_> = all
            .iter()
            .filter_map(|t| about(std::process::id(), *t))
            .collect();
        assert!(states.iter().any(|(_, state)| *state == 'R'), "{states:?}");
    }
}
