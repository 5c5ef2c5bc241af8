//! The fields of a message, written and read by hand: the same bytes as the codec's, at a fraction of its price, for messages that come
//! by the thousand. Numbers are as short as they can be: up to 250 in one byte, larger ones in two, four or eight after a mark.

use crate::sys::text;

/// The bytes are no field of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no such field")]
pub struct NoField;

// What stands before a number of that many bytes; smaller numbers stand for themselves.
const TWO: u8 = 251;
const FOUR: u8 = 252;
const EIGHT: u8 = 253;

/// Small fields under way to the wire, `N` bytes at most.
#[derive(Debug)]
pub struct Writer<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Default for Writer<N> {
    #[inline]
    fn default() -> Self {
        Writer {
            bytes: [0; N],
            length: 0,
        }
    }
}

impl<const N: usize> Writer<N> {
    /// Bytes as they are: a variant's number, a flag, several of them.
    ///
    /// # Panics
    ///
    /// Where there is no room for them, as in all its methods.
    #[inline]
    pub fn put<const M: usize>(&mut self, bytes: [u8; M]) {
        self.bytes[self.length..self.length + M].copy_from_slice(&bytes);
        self.length += M;
    }

    /// A number of any size; also the length before a text or bytes. Nine bytes at most.
    #[inline]
    pub fn number(&mut self, n: u64) {
        if n < u64::from(TWO) {
            self.put([n as u8]);
        } else if let Ok(n) = u16::try_from(n) {
            let [a, b] = n.to_le_bytes();
            self.put([TWO, a, b]);
        } else if let Ok(n) = u32::try_from(n) {
            let [a, b, c, d] = n.to_le_bytes();
            self.put([FOUR, a, b, c, d]);
        } else {
            self.put([EIGHT]);
            self.put(n.to_le_bytes());
        }
    }

    /// A number that there may be. Ten bytes at most.
    #[inline]
    pub fn number_if_any(&mut self, n: Option<u64>) {
        match n {
            None => self.put([0]),
            Some(n) => {
                self.put([1]);
                self.number(n);
            }
        }
    }

    /// What has been written.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// A message, read from the front.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Of these bytes.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }

    /// What has not been read.
    #[inline]
    pub fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Bytes as they are.
    ///
    /// # Errors
    ///
    /// That there are not so many.
    #[inline]
    pub fn take<const N: usize>(&mut self) -> Result<[u8; N], NoField> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(NoField)?;
        self.0 = rest;
        Ok(*bytes)
    }

    /// A number of any size.
    ///
    /// # Errors
    ///
    /// That there is none.
    #[inline]
    pub fn number(&mut self) -> Result<u64, NoField> {
        match self.take()? {
            [TWO] => Ok(u16::from_le_bytes(self.take()?).into()),
            [FOUR] => Ok(u32::from_le_bytes(self.take()?).into()),
            [EIGHT] => Ok(u64::from_le_bytes(self.take()?)),
            [small] if small < TWO => Ok(small.into()),
            _ => Err(NoField),
        }
    }

    /// A number of up to four bytes.
    ///
    /// # Errors
    ///
    /// That there is none, or that it is larger.
    #[inline]
    pub fn small_number(&mut self) -> Result<u32, NoField> {
        self.number()?.try_into().map_err(|_| NoField)
    }

    /// A flag.
    ///
    /// # Errors
    ///
    /// That there is none.
    #[inline]
    pub fn flag(&mut self) -> Result<bool, NoField> {
        match self.take()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(NoField),
        }
    }

    /// A number that there may be.
    ///
    /// # Errors
    ///
    /// That it is not said.
    #[inline]
    pub fn number_if_any(&mut self) -> Result<Option<u64>, NoField> {
        if self.flag()? {
            self.number().map(Some)
        } else {
            Ok(None)
        }
    }

    /// Bytes, after their number.
    ///
    /// # Errors
    ///
    /// That there are not so many.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], NoField> {
        let length = usize::try_from(self.number()?).map_err(|_| NoField)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(NoField)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// A text, after the number of its bytes.
    ///
    /// # Errors
    ///
    /// That there is none.
    #[inline]
    pub fn text(&mut self) -> Result<&'a str, NoField> {
        text(self.bytes()?).ok_or(NoField)
    }

    /// The end of the message.
    ///
    /// # Errors
    ///
    /// That there is more.
    #[inline]
    pub fn end(self) -> Result<(), NoField> {
        match self.0 {
            [] => Ok(()),
            _ => Err(NoField),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec;
    use proptest::prelude::*;

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![
            0u64..260,
            65_530u64..65_540,
            u64::from(u32::MAX) - 2..u64::from(u32::MAX) + 2,
            any::<u64>()
        ]
    }

    proptest! {
        #[test]
        fn fields_are_the_codecs(n in number(), may in prop::option::of(number()), text in ".{0,300}", flag in any::<bool>()) {
            let mut by_codec = Vec::new();
            codec::encode_into(&(n, may, text.as_str(), flag), &mut by_codec).unwrap();
            let mut writer = Writer::<28>::default();
            writer.number(n);
            writer.number_if_any(may);
            writer.number(text.len() as u64);
            let by_hand = [writer.bytes(), text.as_bytes(), &[flag.into()]].concat();
            prop_assert_eq!(&by_hand, &by_codec);
            let read = |bytes| {
                let mut reader = Reader::new(bytes);
                let read = (reader.number()?, reader.number_if_any()?, reader.text()?, reader.flag()?);
                reader.end().map(|()| read)
            };
            prop_assert_eq!(read(&by_hand), Ok((n, may, text.as_str(), flag)));
            for cut in 0..by_hand.len() {
                prop_assert_eq!(read(&by_hand[..cut]), Err(NoField));
            }
        }

        #[test]
        fn what_the_codec_refuses_is_refused(bytes in prop::collection::vec(prop_oneof![0u8..8, 249u8..=255], 0..30)) {
            let mut reader = Reader::new(&bytes);
            let read = reader.number().and_then(|n| Ok((n, reader.text()?, reader.flag()?)));
            let by_codec = codec::decode_head::<(u64, String, bool)>(&bytes).ok().map(|(read, _)| read);
            let by_codec = by_codec.as_ref().map(|(n, text, flag)| (*n, text.as_str(), *flag));
            prop_assert_eq!(read.ok(), by_codec);
        }
    }
}
