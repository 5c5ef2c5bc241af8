//! The processes that are to see changes.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use cluster_web::{Error, Result};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// Processes that are to see a change.
pub(crate) const OTHERS: usize = 3;

pub(crate) fn clock() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// A process that sees changes; gone when it is dropped.
pub(crate) struct Other {
    child: Child,
    orders: ChildStdin,
    lines: BufReader<ChildStdout>,
}

impl Other {
    /// Starts one, and waits until it has the document.
    pub(crate) fn start(what: &str, directory: &str) -> Result<Self> {
        let program = std::env::current_exe()?;
        let mut child = Command::new(program)
            .args([what, directory])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(orders), Some(out)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::msg("a process has no input or output"));
        };
        let mut other = Other {
            child,
            orders,
            lines: BufReader::new(out),
        };
        match other.line()?.as_str() {
            "ready\n" => Ok(other),
            said => Err(Error::msg(format!("a process said {said:?}"))),
        }
    }

    pub(crate) fn order(&mut self, order: &impl Serialize) -> Result<()> {
        Ok(writeln!(self.orders, "{}", serde_json::to_string(order)?)?)
    }

    pub(crate) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        Ok(line)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
