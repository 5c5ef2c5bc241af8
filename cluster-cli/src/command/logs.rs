//! `cluster logs`

mod follow;
mod line;
mod place;
mod tail;

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use crate::args::{Common, Logs};
use crate::error::CliError;
use crate::output;
use follow::Following;
use line::{Clock, Line};
use place::Place;

/// Between two looks at the files, while they are followed.
///
/// It looks, and does not wait to be told by inotify: what the kernel tells says too little of renames to do without the look, is dropped
/// where it is too much, and does not come from a file system of another machine. Ten times a second no person sees a delay, and 500
/// processes take a hundredth of a core.
const LOOK: Duration = Duration::from_millis(100);

pub(super) async fn logs(common: &Common, logs: &Logs) -> Result<(), CliError> {
    // Before anything is shown: whoever has seen something may press ctrl-C.
    let told_to_end = logs.follow.then(|| signal(SignalKind::interrupt()));
    let told_to_end = told_to_end.transpose().map_err(CliError::Runtime)?;
    let place = place::find(common, logs).await?;
    let shown = Shown {
        json: common.json,
        named: place.process.is_none(),
        harmless: std::io::stdout().is_terminal(),
    };
    let most = logs.lines as usize;
    let mut following = Following::default();
    let mut lines = Vec::new();
    for name in place.names()? {
        let tail = tail::read(&place.directory, &name, most).map_err(|e| place.unreadable(e))?;
        let mut clock = Clock::of(name.process);
        lines.extend(tail.lines.iter().map(|text| clock.line(text)));
        match &told_to_end {
            Some(_) => following.add(name, tail.reader, clock),
            None => lines.extend(tail.reader.rest().map(|text| clock.line(text))),
        }
        // No more is held than is shown, however many processes there are.
        line::in_order(&mut lines);
        lines.drain(..lines.len().saturating_sub(most));
    }
    let first = shown.print(&lines)?;
    match told_to_end {
        Some(told) if first.is_continue() => follow(&place, following, &shown, told).await,
        _ => Ok(()),
    }
}

/// Until it is told to end, or nobody reads what it prints.
async fn follow(
    place: &Place,
    mut following: Following,
    shown: &Shown,
    mut told_to_end: Signal,
) -> Result<(), CliError> {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = told_to_end.recv() => return Ok(()),
            _ = looks.tick() => {}
        }
        // A directory that is away may come back: it is looked at again.
        for name in place.names().unwrap_or_default() {
            following.begin(name);
        }
        let mut lines = following
            .look(&place.directory, |process| {
                output::note(&format!(
                    "lines of the {process} are missing: its files were filled faster than they were read"
                ));
            })
            .map_err(|e| place.unreadable(e))?;
        line::in_order(&mut lines);
        if shown.print(&lines)?.is_break() {
            return Ok(());
        }
    }
}

/// How lines are shown.
struct Shown {
    json: bool,
    /// With the process, as there are several.
    named: bool,
    /// On a terminal, whose cursor no line may move.
    harmless: bool,
}

impl Shown {
    fn print(&self, lines: &[Line]) -> Result<ControlFlow<()>, CliError> {
        let mut text = String::new();
        for line in lines {
            match self.json {
                true => text.push_str(&line.json().to_string()),
                false => text.push_str(&line.text(self.named, self.harmless)),
            }
            text.push('\n');
        }
        output::stream(&text).map_err(CliError::Output)
    }
}
