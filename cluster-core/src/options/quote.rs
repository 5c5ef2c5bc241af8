//! What somebody else wrote, made fit for one line of a message.

/// Bytes of it that a message repeats.
const LIMIT: usize = 64;

/// The text without quotes: control characters escaped, its end cut off if it is long.
pub(super) fn bare(text: &str) -> String {
    let (start, end) = if text.len() <= LIMIT {
        (text, "")
    } else {
        (&text[..text.floor_char_boundary(LIMIT)], "...")
    };
    format!("{}{end}", escaped(start))
}

/// The text between quotes: escaped, its end cut off if it is long.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", bare(text))
}

/// The text at its full length, control characters escaped.
pub(super) fn escaped(text: &str) -> String {
    let escape = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if escape(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}
