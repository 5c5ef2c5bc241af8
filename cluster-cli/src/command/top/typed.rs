//! Bytes of a terminal as keys.
//!
//! Not by crossterm's reader: where the terminal is gone it reads that end again and again, and never comes back to say so.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What has been typed, of which the last character may not be whole yet.
#[derive(Debug, Default)]
pub(super) struct Typed {
    rest: Vec<u8>,
}

impl Typed {
    /// The keys of these bytes; those that mean nothing here are left out.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<KeyEvent> {
        self.rest.extend_from_slice(bytes);
        let mut keys = Vec::new();
        let mut left = self.rest.as_slice();
        while let Some((&first, after)) = left.split_first() {
            match first {
                0x1b => left = sequence(after, &mut keys),
                b'\r' | b'\n' => {
                    keys.push(KeyCode::Enter.into());
                    left = after;
                }
                0x7f | 0x08 => {
                    keys.push(KeyCode::Backspace.into());
                    left = after;
                }
                0..0x20 => {
                    let letter = char::from(first | 0x60);
                    keys.push(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL));
                    left = after;
                }
                _ => match character(left) {
                    Some((letter, after)) => {
                        keys.extend(letter.map(|letter| KeyEvent::from(KeyCode::Char(letter))));
                        left = after;
                    }
                    None => break,
                },
            }
        }
        self.rest = left.to_vec();
        keys
    }
}

/// The first character, none where the byte is no part of any, and what comes after it; nothing if it is not whole yet.
fn character(bytes: &[u8]) -> Option<(Option<char>, &[u8])> {
    let length = match bytes[0] {
        ..0x80 => 1,
        0xc2..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0..0xf5 => 4,
        _ => return Some((None, &bytes[1..])),
    };
    let text = std::str::from_utf8(bytes.get(..length)?);
    Some(match text {
        Ok(text) => (text.chars().next(), &bytes[length..]),
        Err(_) => (None, &bytes[1..]),
    })
}

/// What comes after an escape: nothing if it is the key of that name, else a key that has no character.
fn sequence<'a>(after: &'a [u8], keys: &mut Vec<KeyEvent>) -> &'a [u8] {
    let Some((b'[' | b'O', body)) = after.split_first() else {
        if after.is_empty() {
            keys.push(KeyCode::Esc.into());
        }
        // With another key it is that one with Alt, which means nothing here.
        return after.get(1..).unwrap_or_default();
    };
    let end = body.iter().position(|byte| (0x40..0x7f).contains(byte));
    let Some(end) = end else { return &[] };
    let code = match (&body[..end], body[end]) {
        (_, b'A') => Some(KeyCode::Up),
        (_, b'B') => Some(KeyCode::Down),
        (_, b'H') | (b"1" | b"7", b'~') => Some(KeyCode::Home),
        (_, b'F') | (b"4" | b"8", b'~') => Some(KeyCode::End),
        (b"5", b'~') => Some(KeyCode::PageUp),
        (b"6", b'~') => Some(KeyCode::PageDown),
        _ => None,
    };
    keys.extend(code.map(KeyEvent::from));
    &body[end + 1..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(bytes: &[u8]) -> Vec<KeyCode> {
        let keys = Typed::default().take(bytes);
        keys.into_iter().map(|key| key.code).collect()
    }

    #[test]
    fn keys_with_and_without_a_character() {
        use KeyCode::{Backspace, Char, Down, End, Enter, Esc, Home, PageDown, PageUp, Up};
        assert_eq!(codes(b"q?\r\x7f"), [Char('q'), Char('?'), Enter, Backspace]);
        assert_eq!(
            codes(b"\x1b[A\x1bOB\x1b[5~\x1b[6~"),
            [Up, Down, PageUp, PageDown]
        );
        assert_eq!(codes(b"\x1b[H\x1b[4~\x1b[1;5C\x1b"), [Home, End, Esc]);
        assert_eq!(codes(b"\x1bxq"), [Char('q')]);
        let out = KeyEvent::new(Char('c'), KeyModifiers::CONTROL);
        assert_eq!(Typed::default().take(b"\x03"), [out]);
    }

    #[test]
    fn a_character_may_come_in_parts_and_what_is_none_is_left_out() {
        let mut typed = Typed::default();
        let text = "é✓🦀".as_bytes();
        let keys = text.iter().flat_map(|byte| typed.take(&[*byte]));
        let codes_of_all: Vec<_> = keys.map(|key| key.code).collect();
        assert_eq!(codes_of_all, ['é', '✓', '🦀'].map(KeyCode::Char));
        assert_eq!(codes(b"\xff\xc3(a"), ['(', 'a'].map(KeyCode::Char));
        for length in 0..6 {
            let any = vec![0xf0; length];
            codes(&any);
        }
    }
}
