//! How far something long has come: one moving line on a terminal, plain lines elsewhere, both on standard error.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::output;

/// How often the line on a terminal shows that somebody is alive.
const TICK: Duration = Duration::from_millis(120);

/// Where progress is shown.
#[derive(Debug)]
pub(crate) enum Progress {
    Terminal(ProgressBar),
    Lines,
    Silent,
}

impl Progress {
    /// Begins with this text. With JSON asked for, nothing is shown.
    pub(crate) fn begin(text: &str, json: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let progress = if json {
            Self::Silent
        } else if io::stderr().is_terminal() && !dumb {
            // Without colours, so that NO_COLOR has nothing to forbid.
            let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = ProgressBar::new_spinner().with_style(style);
            bar.enable_steady_tick(TICK);
            Self::Terminal(bar)
        } else {
            Self::Lines
        };
        progress.say(text);
        progress
    }

    /// Shows what has just happened.
    pub(crate) fn say(&self, text: &str) {
        let text = output::plain(text);
        match self {
            Self::Terminal(bar) => bar.set_message(text.into_owned()),
            Self::Lines => eprintln!("{text}"),
            Self::Silent => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Self::Terminal(bar) = self {
            bar.finish_and_clear();
        }
    }
}
