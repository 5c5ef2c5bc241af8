//! Paths into a document, as people know them from lodash: `a.b`, `a[0].b`, `a["x.y"]`.
//!
//! A path is a row of keys. `a.0` and `a[0]` are the same; whether a key is a name or a place depends on what it meets: an object has
//! names, an array places. One of more than nine digits is a name, and no number in brackets. The empty path is the whole document. A key that is empty, or has one of `.[]` in it, is written in
//! brackets and quotes, with `\` before a quote or another `\`.

use std::borrow::Cow;
use std::fmt;

use super::limits::{MOST_PATH_BYTES, MOST_PATH_KEYS};

/// The place in an array has no more digits.
const MOST_DIGITS: usize = 9;

/// What is wrong with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathFault {
    /// It is too long.
    #[error("it has {0} bytes (allowed: up to {MOST_PATH_BYTES})")]
    Long(usize),
    /// It has too many keys.
    #[error("it has more than {MOST_PATH_KEYS} keys (allowed: up to {MOST_PATH_KEYS})")]
    Deep,
    /// A key is missing.
    #[error("a key is missing at byte {0} (an empty key is written [\"\"])")]
    Missing(usize),
    /// A bracket is not closed.
    #[error("the bracket at byte {0} holds neither a number nor a quoted key, or is not closed")]
    Bracket(usize),
    /// A number in brackets is larger than the place in any array.
    #[error(
        "the number at byte {0} has more than {MOST_DIGITS} digits (allowed: up to {MOST_DIGITS}; a name of digits is written in quotes)"
    )]
    Place(usize),
    /// Something stands where a key was to begin or end.
    #[error("the character at byte {0} is out of place")]
    Stray(usize),
}

/// The keys of a path that is read as it goes.
pub(crate) struct Keys<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Keys<'a> {
    /// Of a path that is not too long.
    pub(crate) fn of(text: &'a str) -> Result<Self, PathFault> {
        match text.len() {
            0..=MOST_PATH_BYTES => Ok(Keys { text, at: 0 }),
            bytes => Err(PathFault::Long(bytes)),
        }
    }

    /// The next key where it is a name without brackets, as nearly all are; nothing where it is not, or is none.
    #[inline]
    pub(crate) fn next_name(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        let begin = match self.at {
            0 => 0,
            at if bytes.get(at) == Some(&b'.') => at + 1,
            _ => return None,
        };
        let is_end = |byte: &u8| matches!(byte, b'.' | b'[' | b']');
        let length = bytes[begin..].iter().position(is_end);
        let end = length.map_or(bytes.len(), |length| begin + length);
        if end == begin {
            return None;
        }
        self.at = end;
        Some(&self.text[begin..end])
    }

    fn bracket(&mut self, begin: usize) -> Result<Cow<'a, str>, PathFault> {
        let fault = PathFault::Bracket(begin);
        let inner = &self.text[begin + 1..];
        let quote = inner.chars().next().ok_or(fault)?;
        if quote != '"' && quote != '\'' {
            let end = inner.find(']').ok_or(fault)?;
            let digits = &inner[..end];
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(fault);
            }
            if digits.len() > MOST_DIGITS {
                return Err(PathFault::Place(begin + 1));
            }
            self.at = begin + 1 + end + 1;
            return Ok(Cow::Borrowed(digits));
        }
        let mut key = String::new();
        let mut chars = inner.char_indices().skip(1);
        while let Some((at, char)) = chars.next() {
            match char {
                '\\' => key.push(chars.next().ok_or(fault)?.1),
                _ if char == quote => {
                    if !inner[at + 1..].starts_with(']') {
                        return Err(fault);
                    }
                    self.at = begin + 1 + at + 2;
                    return Ok(Cow::Owned(key));
                }
                _ => key.push(char),
            }
        }
        Err(fault)
    }
}

impl<'a> Iterator for Keys<'a> {
    type Item = Result<Cow<'a, str>, PathFault>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if let Some(name) = self.next_name() {
            return Some(Ok(Cow::Borrowed(name)));
        }
        let at = self.at;
        Some(match self.text.as_bytes().get(at)? {
            b'[' => self.bracket(at),
            b'.' if at > 0 => Err(PathFault::Missing(at + 1)),
            _ if at == 0 => Err(PathFault::Missing(0)),
            _ => Err(PathFault::Stray(at)),
        })
    }
}

/// A path that has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Path(Box<[Box<str>]>);

impl Path {
    pub(crate) fn read(text: &str) -> Result<Self, PathFault> {
        let mut keys = Vec::new();
        for key in Keys::of(text)? {
            if keys.len() == MOST_PATH_KEYS {
                return Err(PathFault::Deep);
            }
            keys.push(key?.into());
        }
        Ok(Path(keys.into()))
    }

    pub(crate) fn keys(&self) -> &[Box<str>] {
        &self.0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether what is at the other path is a part of what is at this one, or is the same.
    pub(crate) fn holds(&self, other: &Path) -> bool {
        other.0.starts_with(&self.0)
    }

    /// Whether one is a part of the other.
    pub(crate) fn meets(&self, other: &Path) -> bool {
        self.holds(other) || other.holds(self)
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|key| key.len() + 2).sum()
    }
}

/// The place in an array that a key names.
#[inline]
pub(crate) fn place(key: &str) -> Option<usize> {
    let digits = key.as_bytes();
    match digits {
        [b'0'] => Some(0),
        [b'1'..=b'9', ..] if digits.len() <= MOST_DIGITS => {
            let mut place = 0;
            for digit in digits {
                if !digit.is_ascii_digit() {
                    return None;
                }
                place = place * 10 + usize::from(digit - b'0');
            }
            Some(place)
        }
        _ => None,
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, key) in self.0.iter().enumerate() {
            if place(key).is_some() {
                write!(f, "[{key}]")?;
            } else if key.is_empty() || key.contains(['.', '[', ']']) {
                let quoted = key.replace('\\', "\\\\").replace('"', "\\\"");
                write!(f, "[\"{quoted}\"]")?;
            } else if n == 0 {
                f.write_str(key)?;
            } else {
                write!(f, ".{key}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(text: &str) -> Result<Vec<String>, PathFault> {
        let path = Path::read(text)?;
        Ok(path.keys().iter().map(|key| key.to_string()).collect())
    }

    #[test]
    fn paths_are_read_as_people_write_them() {
        for (text, read) in [
            ("", vec![]),
            ("a", vec!["a"]),
            ("a.b", vec!["a", "b"]),
            ("a[0].b", vec!["a", "0", "b"]),
            ("a.0.b", vec!["a", "0", "b"]),
            ("[0][1]", vec!["0", "1"]),
            (r#"a["x.y"]"#, vec!["a", "x.y"]),
            (r#"a['x"y']["\"\\"].z"#, vec!["a", "x\"y", "\"\\", "z"]),
            (r#"[""]"#, vec![""]),
            ("a.9999999999", vec!["a", "9999999999"]),
            (r#"a["9999999999"]"#, vec!["a", "9999999999"]),
            ("ä b.ö", vec!["ä b", "ö"]),
        ] {
            assert_eq!(keys(text).unwrap(), read, "{text}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        use PathFault::*;
        for (text, fault) in [
            (".a", Missing(0)),
            ("a..b", Missing(2)),
            ("a.", Missing(2)),
            ("a[", Bracket(1)),
            ("a[]", Bracket(1)),
            ("a[b]", Bracket(1)),
            ("a[-1]", Bracket(1)),
            ("a[1", Bracket(1)),
            ("a[9999999999]", Place(2)),
            (r#"a["x"#, Bracket(1)),
            (r#"a["x"y]"#, Bracket(1)),
            (r#"a["x\"#, Bracket(1)),
            ("a[0]b", Stray(4)),
            ("a]", Stray(1)),
            ("]", Missing(0)),
        ] {
            assert_eq!(keys(text), Err(fault), "{text}");
        }
        assert_eq!(keys(&vec!["a"; 10_000].join(".")), Err(Long(19_999)));
        assert_eq!(keys(&vec!["a"; 65].join(".")), Err(Deep));
        assert!(keys(&vec!["a"; 64].join(".")).is_ok());
    }

    #[test]
    fn places_are_written_one_way() {
        assert_eq!(
            ["0", "7", "10", "999999999"].map(place),
            [Some(0), Some(7), Some(10), Some(999_999_999)]
        );
        assert_eq!(
            ["", "00", "01", "-1", "1a", "9999999999"].map(place),
            [None; 6]
        );
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_as_the_same(keys in prop::collection::vec(r#"[a-c0-2.\[\]"'\\ ä]{0,3}"#, 0..6)) {
            let path = Path(keys.iter().map(|key| key.as_str().into()).collect());
            prop_assert_eq!(Path::read(&path.to_string()), Ok(path));
        }

        #[test]
        fn any_text_is_a_path_or_is_refused(text in r#"[ab0.\[\]"'\\ä]{0,12}"#) {
            if let Ok(path) = Path::read(&text) {
                prop_assert_eq!(Path::read(&path.to_string()), Ok(path));
            }
        }
    }
}
