//! Figures as people read them.

use comfy_table::{ContentArrangement, Table};
use indicatif::BinaryBytes;

/// A table without lines, as wide as what it holds.
pub(crate) fn table() -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// A span of time, by its two largest units.
pub(crate) fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// How long a request took, to three digits or so.
pub(crate) fn latency(us: u64) -> String {
    match us {
        0 => "-".to_owned(),
        1..1000 => format!("{us}µs"),
        1000..10_000 => format!("{}.{}ms", us / 1000, us % 1000 / 100),
        10_000..1_000_000 => format!("{}ms", us / 1000),
        _ => format!("{}.{}s", us / 1_000_000, us % 1_000_000 / 100_000),
    }
}

/// Bytes, in binary units.
pub(crate) fn bytes(bytes: u64) -> String {
    BinaryBytes(bytes).to_string()
}

/// A number of things, and their word.
pub(crate) fn count(number: u64, word: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {word}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_units() {
        let spans = [
            999,
            59_999,
            60_000,
            3_599_000,
            7_260_000,
            86_400_000,
            900_000_000,
        ];
        let texts = ["0s", "59s", "1m 0s", "59m 59s", "2h 1m", "1d 0h", "10d 10h"];
        assert_eq!(spans.map(span), texts);
    }

    #[test]
    fn latencies_keep_their_meaning() {
        let times = [0, 999, 1000, 9999, 10_000, 999_999, 1_250_000];
        let texts = ["-", "999µs", "1.0ms", "9.9ms", "10ms", "999ms", "1.2s"];
        assert_eq!(times.map(latency), texts);
    }

    #[test]
    fn bytes_and_counts() {
        assert_eq!(bytes(5 * 1024 * 1024 / 2), "2.50 MiB");
        assert_eq!(
            (count(1, "worker"), count(2, "worker")),
            ("1 worker".into(), "2 workers".into())
        );
    }
}
