//! Bytes as text: where they are ASCII, as nearly all keys are, they are told to be text eight at a time. The standard library looks
//! at the bytes of a short text one by one.

#![allow(unsafe_code)]

/// The text that the bytes are, if they are any.
#[inline]
pub(crate) fn text(bytes: &[u8]) -> Option<&str> {
    if is_ascii(bytes) {
        // SAFETY: every byte is below 128, and so a character of its own in UTF-8.
        return Some(unsafe { std::str::from_utf8_unchecked(bytes) });
    }
    std::str::from_utf8(bytes).ok()
}

#[inline]
fn is_ascii(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks();
    let words = words
        .iter()
        .fold(0, |all, word| all | u64::from_ne_bytes(*word));
    let rest = rest.iter().fold(0, |all, byte| all | byte);
    words & 0x8080_8080_8080_8080 == 0 && rest < 0x80
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_text_that_the_standard_library_finds(text in ".{0,30}", change in prop::option::of((0usize..120, any::<u8>()))) {
            let mut bytes = text.into_bytes();
            if let Some((at, byte)) = change && at < bytes.len() {
                bytes[at] = byte;
            }
            prop_assert_eq!(super::text(&bytes), std::str::from_utf8(&bytes).ok());
        }
    }

    #[test]
    fn a_byte_at_any_place_counts() {
        for length in 0..40 {
            assert!(is_ascii(&vec![b'a'; length]));
            for at in 0..length {
                let mut bytes = vec![b'a'; length];
                bytes[at] = 0x80;
                assert!(!is_ascii(&bytes));
            }
        }
    }
}
