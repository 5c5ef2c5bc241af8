//! A flame graph: a picture without a script, which a browser shows anywhere and by itself says what lies under the pointer.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The picture's width, in its own units.
const WIDTH: f64 = 1200.0;
/// The height of a frame.
const ROW: f64 = 17.0;
/// The height of the head.
const HEAD: f64 = 56.0;
/// What would be narrower is left out.
const NARROWEST: f64 = 0.4;
/// The width of a letter, on average.
const LETTER: f64 = 6.7;
/// The largest picture, in bytes: what would go beyond is left out.
const LARGEST: usize = 2 * 1024 * 1024;

/// A function in its place, and what it has called.
#[derive(Default)]
struct Node {
    count: u64,
    calls: BTreeMap<String, Node>,
}

impl Node {
    fn depth(&self) -> usize {
        let deepest = self.calls.values().map(Node::depth).max();
        1 + deepest.unwrap_or(0)
    }
}

/// Draws stacks (the outermost frame first) and how often each was met.
pub(super) fn svg(title: &str, subtitle: &str, stacks: &[(Vec<String>, u64)]) -> String {
    let mut root = Node::default();
    for (frames, count) in stacks {
        root.count += count;
        let mut node = &mut root;
        for frame in frames {
            node = node.calls.entry(frame.clone()).or_default();
            node.count += count;
        }
    }
    #[allow(clippy::cast_precision_loss)]
    let height = HEAD + ROW * root.depth() as f64 + 8.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"monospace\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fdfcf8\"/>\n\
         <text x=\"8\" y=\"20\" font-size=\"15\" fill=\"#222\">{}</text>\n\
         <text x=\"8\" y=\"40\" fill=\"#555\">{}</text>\n",
        escaped(title),
        escaped(subtitle)
    );
    let mut picture = Picture {
        out: &mut out,
        all: root.count,
    };
    picture.frame("all", &root, 0.0, 0);
    out.push_str("</svg>\n");
    out
}

struct Picture<'a> {
    out: &'a mut String,
    all: u64,
}

impl Picture<'_> {
    #[allow(clippy::cast_precision_loss)]
    fn frame(&mut self, name: &str, node: &Node, left: f64, row: usize) {
        let width = WIDTH * node.count as f64 / self.all.max(1) as f64;
        if (width < NARROWEST && row > 0) || self.out.len() > LARGEST {
            return;
        }
        let top = HEAD + ROW * row as f64;
        let share = 100.0 * node.count as f64 / self.all.max(1) as f64;
        let full = escaped(name);
        let _ = write!(
            self.out,
            "<g><title>{full}: {} samples, {share:.1} %</title><rect x=\"{left:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{}\" fill=\"{}\" rx=\"1\"/>",
            node.count,
            (width - 0.3).max(0.1),
            ROW - 1.0,
            colour(name)
        );
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let letters = ((width - 6.0) / LETTER).max(0.0) as usize;
        if letters >= 3 {
            let text = shortened(name, letters);
            let (x, y) = (left + 3.0, top + 12.0);
            let _ = write!(
                self.out,
                "<text x=\"{x:.1}\" y=\"{y}\" fill=\"#111\">{}</text>",
                escaped(&text)
            );
        }
        self.out.push_str("</g>\n");
        let mut at = left;
        for (name, call) in &node.calls {
            self.frame(name, call, at, row + 1);
            at += WIDTH * call.count as f64 / self.all.max(1) as f64;
        }
    }
}

/// The same function has the same colour in every picture; those of one crate look alike.
fn colour(name: &str) -> String {
    let krate = name
        .trim_start_matches('<')
        .split("::")
        .next()
        .unwrap_or(name);
    let hash = |text: &str| {
        text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    };
    let (hue, light) = (hash(krate) % 360, 68 + hash(name) % 14);
    format!("hsl({hue},62%,{light}%)")
}

/// The end of a path says more than its beginning.
fn shortened(name: &str, letters: usize) -> String {
    let count = name.chars().count();
    if count <= letters {
        return name.to_owned();
    }
    let rest: String = name.chars().skip(count - letters + 1).collect();
    format!("…{rest}")
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            letter if letter.is_control() => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_wide_as_what_was_met_and_safe_to_show() {
        let stack = |frames: &[&str]| frames.iter().map(|f| (*f).to_owned()).collect();
        let stacks = [
            (stack(&["main", "<Vec<T> as X>::f"]), 3),
            (stack(&["main", "g"]), 1),
        ];
        let svg = svg("worker <1>", "4 samples", &stacks);
        assert!(svg.contains("worker &lt;1&gt;"), "{svg}");
        assert!(
            svg.contains("&lt;Vec&lt;T&gt; as X&gt;::f: 3 samples, 75.0 %"),
            "{svg}"
        );
        assert!(
            svg.contains("width=\"899.7\"") && svg.contains("width=\"299.7\""),
            "{svg}"
        );
        assert!(!svg.contains("<script") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn it_is_bounded() {
        let deep = |n: usize| {
            (0..200)
                .map(|d| format!("{}{n}{d}", "f".repeat(200)))
                .collect()
        };
        let stacks: Vec<_> = (0..300).map(|n| (deep(n), 1)).collect();
        let length = svg("t", "s", &stacks).len();
        assert!(length < LARGEST + 4096, "{length}");
    }
}
