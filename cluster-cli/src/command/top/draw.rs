//! The picture: head, workers, who is to be replaced, what has happened, and whatever is in front of it.

mod front;
mod head;
mod rows;

use std::time::Instant;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget};

use super::model::Model;
use super::screen::{Front, Screen};
use crate::output::human;

/// The smallest terminal that all of it can be read on.
const LEAST: (u16, u16) = (60, 14);
/// Lines of the death queue, and of what has happened, that are kept free of rows.
const QUEUE: usize = 4;
const HAPPENED: usize = 4;

/// How it is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Whether colours are wanted. What they say is said by words too.
    pub(super) colours: bool,
    pub(super) now: Instant,
}

impl Look {
    fn of(self, colour: Color) -> Style {
        if self.colours {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    fn good(self) -> Style {
        self.of(Color::Green)
    }

    fn warn(self) -> Style {
        self.of(Color::Yellow)
    }

    fn bad(self) -> Style {
        self.of(Color::Red).add_modifier(Modifier::BOLD)
    }
}

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const DIM: Style = Style::new().add_modifier(Modifier::DIM);

/// Draws all of it, and says how many lines of a text there is room for.
pub(super) fn draw(
    screen: &Screen,
    model: &Model,
    look: Look,
    area: Rect,
    buffer: &mut Buffer,
) -> usize {
    let page = usize::from(area.height.saturating_sub(2)).max(1);
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let text = format!(
            "the terminal is too small: {} x {} (at least {} x {}); q leaves",
            area.width, area.height, LEAST.0, LEAST.1
        );
        let wrap = ratatui::widgets::Wrap { trim: true };
        Paragraph::new(text).wrap(wrap).render(area, buffer);
        return page;
    }
    if let Front::Text(text) = &screen.front {
        front::text(text, area, buffer);
        return page;
    }
    let [main, said, keys] = Layout::vertical([
        Constraint::Min(0),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(area);
    picture(screen.place(model), model, look, main, buffer);
    let style = if screen.said.bad { look.bad() } else { BOLD };
    Line::styled(screen.said.text.as_str(), style).render(said, buffer);
    Line::styled(front::HINT, DIM).render(keys, buffer);
    front::popup(&screen.front, area, buffer);
    page
}

/// The cluster as text, once, as wide as it is.
pub(super) fn once(model: &Model, now: Instant) -> String {
    let look = Look {
        colours: false,
        now,
    };
    let queue = model.cluster.death_queue.len();
    let lines = head::lines(model, look).len() + model.cluster.workers.len() + queue + 4;
    let height = u16::try_from(lines).unwrap_or(u16::MAX);
    let area = Rect::new(0, 0, rows::WIDTH, height);
    let mut buffer = Buffer::empty(area);
    picture(None, model, look, area, &mut buffer);
    let line = |y| {
        let cells = (0..area.width).filter_map(|x| buffer.cell((x, y)));
        let line: String = cells.map(ratatui::buffer::Cell::symbol).collect();
        line.trim_end().to_owned()
    };
    let lines: Vec<String> = (0..height).map(line).collect();
    lines.join("\n").trim_end().to_owned()
}

fn picture(selected: Option<usize>, model: &Model, look: Look, area: Rect, buffer: &mut Buffer) {
    let head = head::lines(model, look);
    let room = usize::from(area.height).saturating_sub(head.len() + 1);
    let mut queue = queue(model);
    let (waiting, happened) = (queue.len(), model.happenings.len());
    let kept = waiting.min(QUEUE) + happened.min(HAPPENED);
    let rows = (model.cluster.workers.len() + 1).min(room.saturating_sub(kept).max(2));
    let left = room.saturating_sub(rows);
    let queued = waiting.min(left.saturating_sub(happened.min(HAPPENED)));
    if queued < waiting
        && let Some(last) = queued.checked_sub(1)
    {
        let others = waiting - queued + 1;
        queue[last] = Line::styled(format!("  and {others} more"), DIM);
    }
    queue.truncate(queued);
    let lengths = [head.len(), 1, rows, queued];
    let [top, _, table, below, rest] = Layout::vertical([
        Constraint::Length(short(lengths[0])),
        Constraint::Length(short(lengths[1])),
        Constraint::Length(short(lengths[2])),
        Constraint::Length(short(lengths[3])),
        Constraint::Min(0),
    ])
    .areas(area);
    Paragraph::new(head).render(top, buffer);
    rows::table(selected, model, look, table, buffer);
    Paragraph::new(queue).render(below, buffer);
    Paragraph::new(happenings(model, look)).render(rest, buffer);
}

fn short(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

/// Who is to be replaced, and why.
fn queue(model: &Model) -> Vec<Line<'_>> {
    let queue = &model.cluster.death_queue;
    let mut lines = Vec::new();
    if !queue.is_empty() {
        lines.push(Line::default());
        lines.push(Line::styled("To be replaced", BOLD));
    }
    lines.extend(queue.iter().map(|queued| {
        let waits = human::span(queued.queued_ms);
        Line::from(format!(
            "  worker {}: {}, queued for {waits}",
            queued.worker, queued.reason
        ))
    }));
    lines
}

/// What has happened, the last first.
fn happenings(model: &Model, look: Look) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    if !model.happenings.is_empty() {
        lines.push(Line::default());
        lines.push(Line::styled("What has happened", BOLD));
    }
    lines.extend(model.happenings.iter().map(|(at, happening)| {
        let ago = look.now.saturating_duration_since(*at).as_millis();
        let ago = human::span(u64::try_from(ago).unwrap_or(u64::MAX));
        let style = if happening.bad {
            look.bad()
        } else {
            Style::new()
        };
        Line::from(vec![
            Span::styled(format!("{ago:>8} ago  "), DIM),
            Span::styled(happening.text.as_str(), style),
        ])
    }));
    lines
}

#[cfg(test)]
mod tests;
