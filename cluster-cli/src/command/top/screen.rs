//! What is in front on the terminal: the rows and the one that is selected, a question, a line to type in, a text.

use super::deed::Deed;
use super::model::Model;
use crate::state::Worker;

/// What the keys go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Front {
    Rows,
    Help,
    /// It is done if that is confirmed.
    Question(Deed),
    Typing(Typing),
    Text(Text),
}

/// A line that is being typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Typing {
    pub(super) what: Wanted,
    pub(super) line: String,
}

/// What a line is typed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Filter { worker: u32 },
    File { worker: u32 },
}

/// A text that can be scrolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) title: String,
    pub(super) lines: Vec<String>,
    /// The first line that is shown.
    pub(super) top: usize,
}

/// What was said last, in the line above the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) bad: bool,
}

/// The state of the view itself.
#[derive(Clone, Debug)]
pub(super) struct Screen {
    pub(super) front: Front,
    pub(super) said: Said,
    /// The worker that is selected, and its place when it was last seen.
    selected: Option<(u32, usize)>,
    /// Lines of a text that there is room for.
    pub(super) page: usize,
}

impl Default for Screen {
    fn default() -> Self {
        Self {
            front: Front::Rows,
            said: Said::default(),
            selected: None,
            page: 10,
        }
    }
}

impl Screen {
    /// The worker that is selected, where there is any.
    pub(super) fn selected<'a>(&self, model: &'a Model) -> Option<&'a Worker> {
        self.place(model).map(|place| &model.cluster.workers[place])
    }

    /// Its place: that of the same worker, or where it was if it is gone.
    pub(super) fn place(&self, model: &Model) -> Option<usize> {
        let workers = &model.cluster.workers;
        let last = workers.len().checked_sub(1)?;
        let Some((id, place)) = self.selected else {
            return Some(0);
        };
        let same = workers.iter().position(|worker| worker.id == id);
        Some(same.unwrap_or(place.min(last)))
    }

    /// Selects the worker at a place, or the last one.
    pub(super) fn select(&mut self, place: usize, model: &Model) {
        let workers = &model.cluster.workers;
        if let Some(last) = workers.len().checked_sub(1) {
            let place = place.min(last);
            self.selected = Some((workers[place].id, place));
        }
    }

    /// Keeps to the worker that is selected: where it is gone, to the one that has its place.
    pub(super) fn settle(&mut self, model: &Model) {
        if let Some(place) = self.place(model) {
            self.select(place, model);
        }
    }

    pub(super) fn say(&mut self, text: String, bad: bool) {
        self.said = Said { text, bad };
    }

    /// Puts a text in front, from its beginning.
    pub(super) fn show(&mut self, title: String, lines: Vec<String>) {
        self.front = Front::Text(Text {
            title,
            lines,
            top: 0,
        });
    }

    /// The same, at its end.
    pub(super) fn show_end(&mut self, title: String, lines: Vec<String>) {
        let top = lines.len().saturating_sub(self.page);
        self.front = Front::Text(Text { title, lines, top });
    }
}

impl Text {
    /// Moves by so many lines; one full page at least stays in view.
    pub(super) fn scroll(&mut self, by: isize, page: usize) {
        let last = self.lines.len().saturating_sub(page);
        self.top = self.top.saturating_add_signed(by).min(last);
    }
}
