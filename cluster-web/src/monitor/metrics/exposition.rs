//! The text format of Prometheus, version 0.0.4: pure.

use std::fmt::{Display, Write};
use std::time::Duration;

use cluster_core::Durations;

/// What a family of samples is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// A label and its value.
pub(super) type Label<'a> = (&'a str, &'a str);

/// A text on its way.
#[derive(Default)]
pub(super) struct Exposition {
    text: String,
    family: &'static str,
}

impl Exposition {
    /// Begins a family; its samples follow.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) {
        self.family = name;
        // Writing to a string does not fail.
        let _ = writeln!(
            self.text,
            "# HELP {name} {help}\n# TYPE {name} {}",
            kind.name()
        );
    }

    pub(super) fn sample(&mut self, labels: &[Label<'_>], value: impl Display) {
        self.line("", labels, None, value);
    }

    /// The samples of one histogram, in seconds.
    pub(super) fn histogram(&mut self, labels: &[Label<'_>], durations: &Durations) {
        for (bound, within) in durations.buckets() {
            self.line("_bucket", labels, Some(("le", &bound.to_string())), within);
        }
        let (count, total) = (durations.count, Duration::from_nanos(durations.total_ns));
        self.line("_bucket", labels, Some(("le", "+Inf")), count);
        self.line("_sum", labels, None, total.as_secs_f64());
        self.line("_count", labels, None, count);
    }

    fn line(
        &mut self,
        suffix: &str,
        labels: &[Label<'_>],
        last: Option<Label<'_>>,
        value: impl Display,
    ) {
        self.text.push_str(self.family);
        self.text.push_str(suffix);
        let mut between = '{';
        for (name, value) in labels.iter().copied().chain(last) {
            let _ = write!(self.text, "{between}{name}=\"");
            escape(value, &mut self.text);
            self.text.push('"');
            between = ',';
        }
        if between == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    pub(super) fn text(self) -> String {
        self.text
    }
}

fn escape(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster_core::DurationCounter;

    #[test]
    fn samples_are_lines() {
        let mut out = Exposition::default();
        out.family("a_total", Kind::Counter, "How many.");
        out.sample(&[], 3);
        out.sample(&[("name", "a\"b\\c\nd"), ("x", "é")], 0.5);
        let counter = DurationCounter::new();
        counter.count(Duration::from_micros(400));
        counter.count(Duration::from_millis(1500));
        counter.count(Duration::from_secs(60));
        out.family("t_seconds", Kind::Histogram, "How long.");
        out.histogram(&[("worker", "1")], &counter.durations());
        let text = out.text();
        let wanted = r#"# HELP a_total How many.
# TYPE a_total counter
a_total 3
a_total{name="a\"b\\c\nd",x="é"} 0.5
# HELP t_seconds How long.
# TYPE t_seconds histogram
t_seconds_bucket{worker="1",le="0.000005"} 0
"#;
        assert!(text.starts_with(wanted), "{text}");
        let wanted = r#"
t_seconds_bucket{worker="1",le="0.00025"} 0
t_seconds_bucket{worker="1",le="0.0005"} 1
t_seconds_bucket{worker="1",le="0.001"} 1
"#;
        assert!(text.contains(wanted), "{text}");
        let wanted = r#"
t_seconds_bucket{worker="1",le="1"} 1
t_seconds_bucket{worker="1",le="2.5"} 2
t_seconds_bucket{worker="1",le="5"} 2
t_seconds_bucket{worker="1",le="10"} 2
t_seconds_bucket{worker="1",le="+Inf"} 3
t_seconds_sum{worker="1"} 61.5004
t_seconds_count{worker="1"} 3
"#;
        assert!(text.ends_with(wanted), "{text}");
    }
}
