//! A word as systemd reads it in a command line: no variable, no specifier, no blank in it means anything.

use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;

/// The word for an `Exec` line.
pub(super) fn word(word: &OsStr) -> String {
    let mut text = String::new();
    for chunk in word.as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '%' => text.push_str("%%"),
                '$' => text.push_str("$$"),
                '"' | '\\' => text.extend(['\\', c]),
                c if c.is_control() => escape(c.encode_utf8(&mut [0; 4]).as_bytes(), &mut text),
                c => text.push(c),
            }
        }
        escape(chunk.invalid(), &mut text);
    }
    let plain = |c: char| c.is_alphanumeric() || "%$/._-=:+,@[]".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text,
        false => format!("\"{text}\""),
    }
}

fn escape(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        // To a string it cannot fail.
        let _ = write!(text, "\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_to_systemd_is_quoted() {
        for (given, quoted) in [
            ("--port=80", "--port=80"),
            ("[::1]", "[::1]"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            (";", "\";\""),
            ("50%", "50%%"),
            ("$HOME", "$$HOME"),
            ("say \"\\\"", "\"say \\\"\\\\\\\"\""),
            ("it's", "\"it's\""),
            ("a\nb", "\"a\\x0ab\""),
            ("größe", "größe"),
        ] {
            assert_eq!(word(OsStr::new(given)), quoted, "{given:?}");
        }
        assert_eq!(word(OsStr::from_bytes(b"\xff")), "\"\\xff\"");
    }
}
