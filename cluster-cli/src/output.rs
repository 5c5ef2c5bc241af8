//! What is printed: text or JSON on standard output, complaints on standard error.

pub(crate) mod human;
pub(crate) mod status;

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;

use serde_json::{Value, json};

use crate::error::{CliError, Code};

/// Prints a result: as JSON, or as the text made of it.
pub(crate) fn result(
    json: bool,
    value: &Value,
    text: impl FnOnce() -> Result<String, CliError>,
) -> Result<(), CliError> {
    let text = match (json, io::stdout().is_terminal()) {
        (false, _) => text()?,
        (true, true) => format!("{value:#}"),
        (true, false) => value.to_string(),
    };
    print(&format!("{}\n", text.trim_end())).map_err(CliError::Output)
}

/// Prints to standard output. A reader that has gone away has seen enough.
pub(crate) fn print(text: &str) -> io::Result<()> {
    stream(text).map(drop)
}

/// Prints a part of what has no end. It breaks off where the reader has gone away.
pub(crate) fn stream(text: &str) -> io::Result<ControlFlow<()>> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(e) => Err(e),
    }
}

/// Says in one line why it failed, and in JSON as well where that was asked for.
pub(crate) fn complain(json: bool, code: Code, message: &str) {
    let message = plain(message);
    // If nobody can be told, the exit code is all that is left.
    let _ = writeln!(io::stderr(), "error: {message}");
    if json {
        let error = json!({ "error": { "code": code as u8, "message": message } });
        let _ = print(&format!("{error}\n"));
    }
}

/// Says in one line what is not as it should be, and goes on.
pub(crate) fn note(message: &str) {
    // If nobody can be told, nobody is.
    let _ = writeln!(io::stderr(), "note: {}", plain(message));
}

/// The same for a wrong command line, whose lines say what would be right.
pub(crate) fn complain_of_usage(json: bool, error: &clap::Error) {
    let _ = error.print();
    if json {
        let text = error.render().to_string();
        let first = text.lines().next().unwrap_or_default();
        let message = first.strip_prefix("error: ").unwrap_or(first);
        let error = json!({ "error": { "code": Code::Usage as u8, "message": message } });
        let _ = print(&format!("{error}\n"));
    }
}

/// Whether colours are wanted there.
pub(crate) fn colours(stream: &impl IsTerminal) -> bool {
    let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !forbidden
}

/// A text of the cluster's as one harmless line: what would move the cursor is replaced.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    without(text, char::is_control)
}

/// The same, but with its tabs.
pub(crate) fn plain_but_tabs(text: &str) -> Cow<'_, str> {
    without(text, |c| c.is_control() && c != '\t')
}

fn without(text: &str, is_harmful: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.contains(&is_harmful) {
        Cow::Owned(text.replace(is_harmful, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_outside_cannot_move_the_cursor() {
        assert_eq!(plain("a\x1b[2Jb\nc"), "a\u{fffd}[2Jb\u{fffd}c");
        assert!(matches!(plain("plain ✓"), Cow::Borrowed("plain ✓")));
    }
}
