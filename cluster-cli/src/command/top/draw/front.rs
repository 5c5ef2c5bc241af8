//! What is in front of the picture: keys, a question, a line to type in; and a text in its place.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Padding, Paragraph, Widget, Wrap};

use super::{BOLD, DIM, short};
use crate::command::top::keys::KEYS;
use crate::command::top::screen::{Front, Text, Typing, Wanted};

/// The keys that are always in view.
pub(super) const HINT: &str =
    "p pause  r resume  c recycle  s stacks  f flame graph  + - scale  ? all keys  q leave";

/// The widest that a box is.
const WIDEST: u16 = 70;

pub(super) fn popup(front: &Front, area: Rect, buffer: &mut Buffer) {
    match front {
        Front::Rows | Front::Text(_) => {}
        Front::Help => {
            let mut lines: Vec<Line<'_>> = KEYS
                .iter()
                .map(|(keys, what)| {
                    Line::from(vec![
                        Span::styled(format!("{keys:<13}"), BOLD),
                        Span::raw(*what),
                    ])
                })
                .collect();
            // What gives way where all of it has no room is at the end.
            lines.truncate(usize::from(area.height.saturating_sub(2)));
            boxed("Keys", lines, area, buffer);
        }
        Front::Question(deed) => {
            let question = deed.question().unwrap_or_default();
            let answers = Line::styled("y: yes    any other key: no", BOLD);
            boxed("Sure?", vec![Line::from(question), answers], area, buffer);
        }
        Front::Typing(typing) => typed(typing, area, buffer),
    }
}

fn typed(typing: &Typing, area: Rect, buffer: &mut Buffer) {
    let (title, about) = match typing.what {
        Wanted::Filter { worker } => (
            format!("What worker {worker} logs"),
            "Levels per target, such as info,shop::orders=trace; nothing: as it was started.",
        ),
        Wanted::File { worker } => (
            format!("Flame graph of worker {worker}"),
            "The file that is written, in 10 s.",
        ),
    };
    // Of a long line its end is shown, where one types.
    let room = usize::from(area.width.min(WIDEST).saturating_sub(8));
    let skipped = typing.line.chars().count().saturating_sub(room);
    let end: String = typing.line.chars().skip(skipped).collect();
    let lines = vec![
        Line::from(about),
        Line::styled(format!("> {end}_"), BOLD),
        Line::styled("Enter: do it    Esc: leave it", DIM),
    ];
    boxed(&title, lines, area, buffer);
}

fn boxed(title: &str, lines: Vec<Line<'_>>, area: Rect, buffer: &mut Buffer) {
    let width = area.width.min(WIDEST);
    let inner = usize::from(width.saturating_sub(4)).max(1);
    let heights = lines.iter().map(|line| line.width().div_ceil(inner).max(1));
    // A line that is broken between words may take one more.
    let spare = lines.iter().filter(|line| line.width() > inner).count();
    let height = short(heights.sum::<usize>() + spare + 2).min(area.height);
    let place = Rect::new(
        area.x + (area.width - width) / 2,
        area.y + (area.height - height) / 2,
        width,
        height,
    );
    Clear.render(place, buffer);
    let block = Block::bordered()
        .title(format!(" {title} "))
        .padding(Padding::horizontal(1));
    Paragraph::new(lines)
        .block(block)
        .wrap(Wrap { trim: false })
        .render(place, buffer);
}

/// A text, from the line that it was scrolled to.
pub(super) fn text(text: &Text, area: Rect, buffer: &mut Buffer) {
    let page = usize::from(area.height.saturating_sub(2));
    let shown = text.lines.iter().skip(text.top).take(page);
    let end = (text.top + page).min(text.lines.len());
    let mut lines = vec![Line::styled(
        format!(
            "{}: lines {} to {end} of {}",
            text.title,
            text.top + 1,
            text.lines.len()
        ),
        BOLD,
    )];
    lines.extend(shown.map(|line| Line::raw(line.as_str())));
    Paragraph::new(lines).render(area, buffer);
    let last = Rect::new(area.x, area.bottom().saturating_sub(1), area.width, 1);
    let hint = "Up Down, Space, g, G: scroll    q: back";
    Line::styled(hint, DIM).render(last, buffer);
}
