//! The table as a drawing: a bar for each ratio, and a line where the reference stands.

use std::fmt::Write;

use super::table::{Better, Row, Table, figure};

const WIDTH: f64 = 820.0;
const LEFT: f64 = 330.0;
const RIGHT: f64 = 90.0;
const TOP: f64 = 84.0;
const STEP: f64 = 46.0;
const BAR: f64 = 20.0;

/// Colours for a light and for a dark page; both keep text well apart from its ground.
const STYLE: &str = "
  text { font-family: system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328; }
  .ground { fill: #ffffff; } .title { font-size: 18px; font-weight: 600; } .work { font-size: 14px; }
  .small { font-size: 12px; fill: #59636e; } .ratio { font-size: 14px; font-weight: 600; }
  .bar { fill: #0969da; } .miss { fill: #bc4c00; } .one { stroke: #1f2328; stroke-width: 1.5; }
  .need { stroke: #59636e; stroke-width: 1.5; stroke-dasharray: 3 2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .ground { fill: #0d1117; } .small { fill: #9198a1; } .bar { fill: #4493f8; }
    .miss { fill: #db6d28; } .one { stroke: #e6edf3; } .need { stroke: #9198a1; }
  }
";

/// The drawing as SVG text.
pub(crate) fn svg(table: &Table) -> String {
    let height = TOP + STEP * table.rows.len() as f64 + 34.0;
    let most = table
        .rows
        .iter()
        .flat_map(|row| [row.ratio, row.bar.unwrap_or(0.0)])
        .filter(|ratio| ratio.is_finite())
        .fold(1.0, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) / (most * 1.02);
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"{title}\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n<rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\" rx=\"8\"/>\n\
         <text class=\"title\" x=\"20\" y=\"32\">{title}</text>\n<text class=\"small\" x=\"20\" y=\"52\">{note}</text>\n",
        title = escape(&table.title),
        note = escape(&table.note),
    );
    for (index, row) in table.rows.iter().enumerate() {
        draw(&mut out, row, TOP + STEP * index as f64, scale);
    }
    let (one, bottom) = (LEFT + scale, TOP + STEP * table.rows.len() as f64);
    let _ = write!(
        out,
        "<line class=\"one\" x1=\"{one:.1}\" x2=\"{one:.1}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\"/>\n\
         <text class=\"small\" x=\"{one:.1}\" y=\"{label:.1}\" text-anchor=\"middle\">reference = 1.0</text>\n</svg>\n",
        top = TOP - 10.0,
        label = bottom + 18.0,
    );
    out
}

fn draw(out: &mut String, row: &Row, y: f64, scale: f64) {
    let ratio = if row.ratio.is_finite() {
        row.ratio
    } else {
        0.0
    };
    let class = if row.met() == Some(false) {
        "miss"
    } else {
        "bar"
    };
    let direction = if row.better == Better::Higher {
        "higher is better"
    } else {
        "lower is better"
    };
    let figures = format!(
        "{} against {} {}, {direction}",
        figure(row.ours),
        figure(row.reference),
        row.unit
    );
    let _ = write!(
        out,
        "<text class=\"work\" x=\"20\" y=\"{work:.1}\">{text}</text>\n<text class=\"small\" x=\"20\" y=\"{small:.1}\">{figures}</text>\n\
         <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"2\"/>\n",
        work = y + 8.0,
        small = y + 24.0,
        text = escape(&row.work),
        figures = escape(&figures),
        width = ratio * scale,
    );
    let mut end = ratio.max(1.0);
    if let Some(bar) = row.bar {
        let x = LEFT + bar * scale;
        end = end.max(bar);
        let _ = writeln!(
            out,
            "<line class=\"need\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>",
            y - 4.0,
            y + BAR + 4.0
        );
    }
    let _ = writeln!(
        out,
        "<text class=\"ratio\" x=\"{:.1}\" y=\"{:.1}\">{:.2}</text>",
        LEFT + end * scale + 8.0,
        y + 15.0,
        row.ratio
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_every_row_has_its_bar() {
        let row = |ours| {
            Row::new(
                "a < b & \"c\"",
                "req/s",
                Better::Higher,
                Some(0.97),
                &[ours],
                &[100.0],
            )
        };
        let drawing = svg(&Table {
            title: "x > y".into(),
            note: String::new(),
            rows: vec![row(120.0), row(50.0)],
        });
        assert!(drawing.contains("a &lt; b &amp; &quot;c&quot;"));
        assert!(drawing.contains("<title>x &gt; y</title>"));
        assert_eq!(drawing.matches("class=\"bar\"").count(), 1);
        assert_eq!(drawing.matches("class=\"miss\"").count(), 1);
        assert_eq!(drawing.matches("class=\"one\"").count(), 1);
        assert!(drawing.contains("prefers-color-scheme: dark"));
    }

    #[test]
    fn no_bar_leaves_the_drawing() {
        let row = Row::new("x", "ms", Better::Lower, None, &[700.0], &[1.0]);
        let drawing = svg(&Table {
            title: String::new(),
            note: String::new(),
            rows: vec![row],
        });
        let width = drawing
            .split("class=\"bar\"")
            .nth(1)
            .and_then(|rest| rest.split("width=\"").nth(1))
            .unwrap();
        let width: f64 = width.split('"').next().unwrap().parse().unwrap();
        assert!(width > 0.0 && LEFT + width <= WIDTH - RIGHT, "{width}");
    }
}
