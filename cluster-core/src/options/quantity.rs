//! Numbers that carry a unit: durations and sizes.

use std::time::Duration;

/// The units of a duration in milliseconds, the largest first.
const TIMES: &[(&str, u64)] = &[
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("min", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The units of a size in bytes, the largest binary one first; the decimal ones are read, never written.
const SIZES: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
];

/// Why a text is no quantity.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// No number, or no unit that is known.
    Malformed,
    /// A number of a known unit, past what can be counted.
    TooLarge,
}

/// Milliseconds of `text`; a plain number counts `plain` of them.
pub(super) fn millis(text: &str, plain: u64) -> Result<u64, Unreadable> {
    read(text, plain, TIMES)
}

/// Bytes of `text`; a plain number counts bytes.
pub(super) fn bytes(text: &str) -> Result<u64, Unreadable> {
    read(text, 1, SIZES)
}

/// A duration in the largest unit that gives a whole number; below a millisecond it is cut off.
pub(super) fn show_duration(value: Duration) -> String {
    write(u64::try_from(value.as_millis()).unwrap_or(u64::MAX), TIMES)
}

/// A size in the largest binary unit that gives a whole number.
pub(super) fn show_bytes(value: u64) -> String {
    write(value, SIZES)
}

fn read(text: &str, plain: u64, units: &[(&str, u64)]) -> Result<u64, Unreadable> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim_start());
    let factor = match unit {
        "" => plain,
        unit => {
            let known = units
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(unit));
            known.ok_or(Unreadable::Malformed)?.1
        }
    };
    if number.is_empty() {
        return Err(Unreadable::Malformed);
    }
    // Digits alone: all that can be wrong with them is that there are too many.
    let number = number.parse::<u64>().map_err(|_| Unreadable::TooLarge)?;
    number.checked_mul(factor).ok_or(Unreadable::TooLarge)
}

fn write(value: u64, units: &[(&str, u64)]) -> String {
    let whole = units
        .iter()
        .find(|(_, factor)| value >= *factor && value.is_multiple_of(*factor));
    match whole {
        Some((unit, factor)) => format!("{}{unit}", value / factor),
        None => "0".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantities_are_read() {
        for (text, wanted) in [
            ("5", Ok(5_000)),
            ("5s", Ok(5_000)),
            ("250ms", Ok(250)),
            ("2 min", Ok(120_000)),
            ("3d", Ok(259_200_000)),
            ("", Err(Unreadable::Malformed)),
            ("s", Err(Unreadable::Malformed)),
            ("-1", Err(Unreadable::Malformed)),
            ("1.5s", Err(Unreadable::Malformed)),
            ("5 weeks", Err(Unreadable::Malformed)),
            ("99999999999999999999", Err(Unreadable::TooLarge)),
            ("9999999999999999999d", Err(Unreadable::TooLarge)),
        ] {
            assert_eq!(millis(text, 1_000), wanted, "{text:?}");
        }
        for (text, wanted) in [
            ("64MiB", Ok(64 << 20)),
            ("64mib", Ok(64 << 20)),
            ("10 KB", Ok(10_000)),
            ("7", Ok(7)),
            ("7 apples", Err(Unreadable::Malformed)),
        ] {
            assert_eq!(bytes(text), wanted, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value: u64) {
            prop_assert_eq!(millis(&show_duration(Duration::from_millis(value)), 1), Ok(value));
            prop_assert_eq!(bytes(&show_bytes(value)), Ok(value));
        }
    }
}
