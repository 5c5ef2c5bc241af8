//! A row for each worker.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Row, StatefulWidget, Table, TableState};

use super::{BOLD, DIM, Look};
use crate::command::top::model::Model;
use crate::command::top::track::{STEPS, Track};
use crate::output::human;
use crate::output::status;
use crate::state::{Beat, Worker};

/// What a column shows, in the order that they stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Id,
    Pid,
    State,
    Generation,
    Uptime,
    Tps,
    P50,
    P99,
    Cpu,
    Memory,
    Connections,
    Lag,
    Bars,
}

use Column::{
    Bars, Connections, Cpu, Generation, Id, Lag, Memory, P50, P99, Pid, State, Tps, Uptime,
};

/// Each column: its head, its width, and how soon it gives way where there is no room, the highest first.
const COLUMNS: [(Column, &str, u16, u8); 13] = [
    (Id, "ID", 5, 0),
    (Pid, "PID", 7, 0),
    (State, "STATE", 17, 0),
    (Generation, "GEN", 4, 5),
    (Uptime, "UPTIME", 8, 4),
    (Tps, "REQ/S", 7, 0),
    (P50, "P50", 6, 3),
    (P99, "P99", 6, 0),
    (Cpu, "CPU", 5, 0),
    (Memory, "MEMORY", 11, 1),
    (Connections, "CONNS", 5, 2),
    (Lag, "LAG", 6, 6),
    (Bars, "LAST 2 MIN", STEPS as u16, 7),
];

/// As wide as all columns are.
pub(super) const WIDTH: u16 = {
    let (mut width, mut n) = (0, 0);
    while n < COLUMNS.len() {
        width += COLUMNS[n].2 + 1;
        n += 1;
    }
    width
};

/// The columns that there is room for.
fn fitting(width: u16) -> Vec<(Column, &'static str, u16)> {
    let mut columns = COLUMNS.to_vec();
    let needs = |columns: &[(Column, &str, u16, u8)]| {
        let widths = columns.iter().map(|(_, _, width, _)| width + 1);
        widths.sum::<u16>().saturating_sub(1)
    };
    while needs(&columns) > width {
        let first = columns.iter().enumerate().max_by_key(|(_, c)| c.3);
        match first {
            Some((n, (.., 1..))) => columns.remove(n),
            _ => break,
        };
    }
    columns
        .into_iter()
        .map(|(column, head, width, _)| (column, head, width))
        .collect()
}

pub(super) fn table(
    selected: Option<usize>,
    model: &Model,
    look: Look,
    area: Rect,
    buffer: &mut Buffer,
) {
    let columns = fitting(area.width);
    let most = model.tracks().map(Track::most).fold(0.0, f64::max);
    let rows = model.cluster.workers.iter().map(|worker| {
        let cells = columns.iter().map(|(column, ..)| {
            let text = shown(*column, worker, model, most);
            cell(*column, text, style(*column, worker, look))
        });
        let row = Row::new(cells);
        if model.away.is_some() {
            row.style(DIM)
        } else {
            row
        }
    });
    let heads = columns
        .iter()
        .map(|(column, head, _)| cell(*column, (*head).to_owned(), Style::new()));
    let widths = columns.iter().map(|(.., width)| Constraint::Length(*width));
    let table = Table::new(rows, widths)
        .header(Row::new(heads).style(BOLD))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::new().with_selected(selected);
    table.render(area, buffer, &mut state);
}

fn cell(column: Column, text: String, style: Style) -> Cell<'static> {
    let line = Line::styled(text, style);
    Cell::from(match column {
        State | Bars => line,
        _ => line.right_aligned(),
    })
}

fn style(column: Column, worker: &Worker, look: Look) -> Style {
    match column {
        State if worker.suspect => look.bad(),
        State => match worker.state.as_str() {
            "active" => look.good(),
            _ => look.warn(),
        },
        _ => Style::new(),
    }
}

fn shown(column: Column, worker: &Worker, model: &Model, most: f64) -> String {
    let beat = worker.beat.as_ref();
    let track = model.track(worker);
    let figure = |show: &dyn Fn(&Beat) -> String| beat.map_or_else(|| "-".to_owned(), show);
    match column {
        Id => worker.id.to_string(),
        Pid => worker.pid.to_string(),
        State => status::state(worker, &model.cluster.build),
        Generation => worker.generation.to_string(),
        Uptime => human::span(worker.uptime_ms),
        Tps => figure(&|beat| format!("{:.0}", beat.tps)),
        P50 => figure(&|beat| human::latency(beat.p50_us)),
        P99 => figure(&|beat| human::latency(beat.p99_us)),
        Cpu => track
            .and_then(Track::cpu)
            .map_or_else(|| "-".to_owned(), |share| format!("{:.0}%", share * 100.0)),
        Memory => figure(&|beat| human::bytes(beat.rss_bytes)),
        Connections => figure(&|beat| beat.live_connections.to_string()),
        Lag => figure(&|beat| human::latency(beat.lag_us)),
        Bars => track.map_or_else(String::new, |track| track.bars(most)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_give_way_where_there_is_no_room() {
        let names = |width| -> Vec<Column> {
            let columns = fitting(width);
            columns.into_iter().map(|(column, ..)| column).collect()
        };
        assert_eq!(names(WIDTH).len(), COLUMNS.len());
        assert!(!names(WIDTH - 2).contains(&Bars));
        let few = names(60);
        for kept in [Id, Pid, State, Tps, P99, Cpu] {
            assert!(few.contains(&kept), "{few:?}");
        }
        assert_eq!(names(0), [Id, Pid, State, Tps, P99, Cpu]);
    }
}
