//! The table of a run: rows of our figure, the reference's figure and the ratio.

use std::fmt;

use serde::Serialize;

/// Which way a figure should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    /// A throughput.
    Higher,
    /// A time, a size, a share.
    Lower,
}

/// One thing measured on both sides.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) work: String,
    /// Our figure: the median of the rounds.
    pub(crate) ours: f64,
    /// The reference's figure: the median of the rounds.
    pub(crate) reference: f64,
    /// Of both figures.
    pub(crate) unit: &'static str,
    /// Ours by the reference's.
    pub(crate) ratio: f64,
    /// The lowest and the highest ratio of a single round.
    pub(crate) ratios: (f64, f64),
    /// Which way the ratio should go.
    pub(crate) better: Better,
    /// The ratio that is required, where one is: at least, or at most, by `better`.
    pub(crate) bar: Option<f64>,
}

impl Row {
    /// A row from what the rounds gave, pair by pair.
    pub(crate) fn new(
        work: impl Into<String>,
        unit: &'static str,
        better: Better,
        bar: Option<f64>,
        ours: &[f64],
        reference: &[f64],
    ) -> Self {
        let singles = ours
            .iter()
            .zip(reference)
            .map(|(ours, reference)| ours / reference);
        let ratios = singles.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), ratio| {
            (low.min(ratio), high.max(ratio))
        });
        let (ours, reference) = (median(ours), median(reference));
        Self {
            work: work.into(),
            ours,
            reference,
            unit,
            ratio: ours / reference,
            ratios,
            better,
            bar,
        }
    }

    /// Whether the required ratio is met; `None` where none is required.
    pub(crate) fn met(&self) -> Option<bool> {
        self.bar.map(|bar| match self.better {
            Better::Higher => self.ratio >= bar,
            Better::Lower => self.ratio <= bar,
        })
    }
}

/// All rows of one run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Table {
    /// What the run was about.
    pub(crate) title: String,
    /// How it was measured, for the reader of the figures.
    pub(crate) note: String,
    /// The rows, in the order to be shown.
    pub(crate) rows: Vec<Row>,
}

impl Table {
    /// How many rows miss their required ratio.
    pub(crate) fn missed(&self) -> usize {
        self.rows
            .iter()
            .filter(|row| row.met() == Some(false))
            .count()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = [
            "",
            "ours",
            "reference",
            "unit",
            "ratio",
            "rounds",
            "required",
        ]
        .map(str::to_owned);
        let mut lines = vec![head];
        for row in &self.rows {
            let rounds = format!("{:.2}-{:.2}", row.ratios.0, row.ratios.1);
            lines.push([
                row.work.clone(),
                figure(row.ours),
                figure(row.reference),
                row.unit.into(),
                format!("{:.3}", row.ratio),
                rounds,
                required(row),
            ]);
        }
        writeln!(f, "{}\n{}", self.title, self.note)?;
        for line in &lines {
            let mut text = String::new();
            for (column, cell) in line.iter().enumerate() {
                let width = lines
                    .iter()
                    .map(|line| line[column].chars().count())
                    .max()
                    .unwrap_or(0);
                // Words to the left, figures to the right.
                let words = matches!(column, 0 | 3 | 6);
                text += &if words {
                    format!("{cell:<width$}  ")
                } else {
                    format!("{cell:>width$}  ")
                };
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

fn required(row: &Row) -> String {
    let sign = if row.better == Better::Higher {
        "≥"
    } else {
        "≤"
    };
    match (row.bar, row.met()) {
        (Some(bar), Some(true)) => format!("{sign} {bar:.2} met"),
        (Some(bar), _) => format!("{sign} {bar:.2} MISSED"),
        (None, _) => String::new(),
    }
}

/// A figure with three digits that count.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// The middle of `values`; NaN where there are none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => f64::NAN,
        (length, middle) if length % 2 == 1 => sorted[middle],
        (_, middle) => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), 3.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_bar_is_a_floor_or_a_ceiling() {
        let row = |better, ours| Row::new("x", "ms", better, Some(1.1), &[ours], &[1.0]);
        assert_eq!(row(Better::Higher, 1.2).met(), Some(true));
        assert_eq!(row(Better::Higher, 1.0).met(), Some(false));
        assert_eq!(row(Better::Lower, 1.2).met(), Some(false));
        assert_eq!(row(Better::Lower, 1.0).met(), Some(true));
        assert_eq!(
            Row::new("x", "ms", Better::Lower, None, &[1.0], &[1.0]).met(),
            None
        );
    }

    #[test]
    fn columns_are_aligned_and_a_miss_is_said() {
        let slow = Row::new(
            "a long piece of work",
            "req/s",
            Better::Higher,
            Some(0.97),
            &[90.0, 91.0, 20.0],
            &[100.0, 100.0, 100.0],
        );
        let fast = Row::new("p99", "ms", Better::Lower, Some(1.1), &[0.5], &[1.0]);
        let table = Table {
            title: "http".into(),
            note: "five rounds".into(),
            rows: vec![slow, fast],
        };
        assert_eq!(table.missed(), 1);
        let text = table.to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[3],
            "a long piece of work   90.0        100  req/s  0.900  0.20-0.91  ≥ 0.97 MISSED"
        );
        assert_eq!(
            lines[4],
            "p99                   0.500       1.00  ms     0.500  0.50-0.50  ≤ 1.10 met"
        );
    }
}
