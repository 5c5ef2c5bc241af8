//! `cluster top`

mod deed;
mod draw;
mod feed;
mod happenings;
mod keys;
mod model;
mod screen;
mod terminal;
mod track;
mod typed;

use std::path::{Path, PathBuf};
use std::time::Instant;

use cluster_core::operator::{Operator, OperatorError, find};
use cluster_core::{Debugging, Operation, OperationError, Subject};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use tokio::sync::mpsc::{Receiver, channel};

use crate::args::{Common, Top};
use crate::error::{CliError, line};
use crate::output::{self, plain};
use deed::Deed;
use draw::Look;
use feed::Heard;
use keys::{Act, press};
use model::Model;
use screen::{Front, Screen};
use terminal::{Ends, Keyboard, Terminal};

/// What can be under way at once; more is refused.
const UNDER_WAY: usize = 8;
/// Parts of a log that are asked for: more than a process keeps.
const LOG_PARTS: usize = 32;
/// What a shell says of a process that a signal has ended, and so says one that it has ended in good order.
const SIGNALLED: u8 = 128;
/// The number of the signal that goes with a terminal that is gone.
const HANGUP: u8 = 1;

pub(super) async fn top(common: &Common, top: &Top) -> Result<u8, CliError> {
    if !top.once {
        terminal::check()?;
    }
    let name = top.name.as_deref().or(common.name.as_deref());
    let place = find(name, common.runtime_dir.as_deref())?;
    let (operator, state) = feed::begin(&place).await?;
    let mut model = Model::default();
    model
        .hear(state, Instant::now())
        .map_err(CliError::Answer)?;
    if top.once {
        let text = draw::once(&model, Instant::now());
        output::print(&format!("{text}\n")).map_err(CliError::Output)?;
        return Ok(0);
    }
    let ends = Ends::listen()?;
    let terminal = Terminal::take()?;
    let (tell, heard) = channel(1);
    // All of it is one task, so that a panic anywhere ends the command, and the terminal is given back.
    tokio::select! {
        code = watch(&place, model, heard, ends, terminal) => code,
        () = feed::follow(place.clone(), operator, tell) => Ok(0),
    }
}

/// Draws what is known, and takes in whatever comes: keys, states, outcomes, signals.
async fn watch(
    place: &Path,
    mut model: Model,
    mut heard: Receiver<Heard>,
    mut ends: Ends,
    mut terminal: Terminal,
) -> Result<u8, CliError> {
    let mut screen = Screen::default();
    let mut keyboard = Keyboard::open();
    let mut sizes = terminal::sizes()?;
    let mut deeds = FuturesUnordered::new();
    let colours = output::colours(&std::io::stdout());
    loop {
        screen.settle(&model);
        let look = Look {
            colours,
            now: Instant::now(),
        };
        let mut page = 0;
        terminal.draw(|frame| {
            page = draw::draw(&screen, &model, look, frame.area(), frame.buffer_mut());
        })?;
        screen.page = page;
        tokio::select! {
            keys = keyboard.next() => {
                let Some(keys) = keys else { return Ok(SIGNALLED + HANGUP) };
                for key in keys {
                    match press(&mut screen, key, &model) {
                        Some(Act::Leave) => return Ok(0),
                        Some(Act::Do(_)) if deeds.len() >= UNDER_WAY => {
                            screen.say(format!("{UNDER_WAY} things are under way: wait for one of them"), true);
                        }
                        Some(Act::Do(deed)) => {
                            screen.say(deed.under_way(), false);
                            deeds.push(perform(place.to_owned(), deed));
                        }
                        None => {}
                    }
                }
            }
            // It is drawn at its new size.
            _ = sizes.recv() => {}
            Some(heard) = heard.recv() => hear(&mut model, heard),
            Some((deed, outcome)) = deeds.next(), if !deeds.is_empty() => {
                tell(&mut screen, deed, outcome);
            }
            number = ends.next() => return Ok(SIGNALLED + number),
        }
    }
}

fn hear(model: &mut Model, heard: Heard) {
    let now = Instant::now();
    match heard {
        Ok(state) => {
            if let Err(e) = model.hear(state, now) {
                model.lose(&line(&CliError::Answer(e)), now);
            }
        }
        Err(error) => model.lose(&line(&error), now),
    }
}

/// Has the master do it, over a link of its own.
async fn perform(place: PathBuf, deed: Deed) -> (Deed, Result<Value, CliError>) {
    let doing = async {
        let mut operator = Operator::connect(&place).await?;
        if let Deed::Log { of } = deed {
            return log(&mut operator, of).await;
        }
        let mut answer = operator.operate(deed.operation(), |_| {}).await?;
        if let Deed::Profile { file, .. } = &deed {
            super::profile::write(&mut answer, file)?;
        }
        Ok(answer)
    };
    let outcome = doing.await;
    (deed, outcome)
}

/// All lines that a process still has, part by part.
async fn log(operator: &mut Operator, of: Subject) -> Result<Value, CliError> {
    let (mut lines, mut from) = (Vec::new(), 0);
    for _ in 0..LOG_PARTS {
        let operation = Operation::Debug(Debugging::RecentLog { of, from });
        let mut part = operator.operate(operation, |_| {}).await?;
        if let Value::Array(more) = part["lines"].take() {
            lines.extend(more);
        }
        match part["next"].as_u64() {
            Some(next) if next > from && part["end"].as_u64() > Some(next) => from = next,
            _ => break,
        }
    }
    Ok(json!({ "lines": lines }))
}

/// Says what has come of it.
fn tell(screen: &mut Screen, deed: Deed, outcome: Result<Value, CliError>) {
    let shown = outcome.and_then(|answer| {
        let done = deed.done(&answer);
        screen.say(done.clone(), false);
        // What somebody is in the middle of is not covered.
        if screen.front != Front::Rows {
            return Ok(());
        }
        match deed {
            Deed::Stacks { .. } => {
                let text = super::stacks::read(&answer)?;
                screen.show(done, text.lines().map(str::to_owned).collect());
            }
            Deed::Log { .. } => {
                let lines = answer["lines"].as_array().into_iter().flatten();
                let lines = lines.filter_map(Value::as_str);
                screen.show_end(done, lines.map(|line| plain(line).into_owned()).collect());
            }
            _ => {}
        }
        Ok(())
    });
    let Err(error) = shown else { return };
    if let (
        CliError::Operator(OperatorError::Operation(OperationError::LastActive(_))),
        Deed::Pause {
            worker,
            force: false,
        },
        Front::Rows,
    ) = (&error, &deed, &screen.front)
    {
        screen.front = Front::Question(Deed::Pause {
            worker: *worker,
            force: true,
        });
        return;
    }
    screen.say(plain(&line(&error)).into_owned(), true);
}
