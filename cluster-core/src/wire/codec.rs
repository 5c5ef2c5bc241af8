//! Values to bytes and back, by bincode. No other file names bincode.

use bincode::config::{self, Configuration, Limit, LittleEndian, Varint};
use bincode::enc::write::Writer;
use bincode::error::EncodeError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// No value larger than this is decoded, whatever its own lengths claim.
pub(crate) const LIMIT: usize = 16 * 1024 * 1024;

const CONFIG: Configuration<LittleEndian, Varint, Limit<LIMIT>> =
    config::standard().with_limit::<LIMIT>();

/// Why a value could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The value cannot be written, as its `Serialize` refuses or it is of a shape that bincode does not know.
    #[error("the value cannot be encoded: {0}")]
    Encode(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The bytes are no value of the type.
    #[error("the bytes are no value of this type: {0}")]
    Decode(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The message does not begin with a head of its kind.
    #[error("its head cannot be read")]
    Head,
    /// The bytes hold more than the value.
    #[error("{0} bytes are left over after the value")]
    Trailing(usize),
}

struct Append<'a>(&'a mut Vec<u8>);

impl Writer for Append<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Appends a value to a buffer, which is left as it was if the value cannot be written.
#[inline]
pub(crate) fn encode_into<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let start = out.len();
    bincode::serde::encode_into_writer(value, Append(out), CONFIG).map_err(|e| {
        out.truncate(start);
        CodecError::Encode(Box::new(e))
    })
}

/// Reads a value that fills the bytes.
#[inline]
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, rest) = decode_head(bytes)?;
    match rest.len() {
        0 => Ok(value),
        n => Err(CodecError::Trailing(n)),
    }
}

/// Reads a value that fills the bytes and may refer to them.
#[inline]
pub(crate) fn decode_borrowed<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, CodecError> {
    let (value, used) = bincode::serde::borrow_decode_from_slice(bytes, CONFIG)
        .map_err(|e| CodecError::Decode(Box::new(e)))?;
    match bytes.len() - used {
        0 => Ok(value),
        n => Err(CodecError::Trailing(n)),
    }
}

/// Reads a value from the start of the bytes; what follows it is given back.
#[inline]
pub(crate) fn decode_head<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), CodecError> {
    let (value, used) = bincode::serde::decode_from_slice(bytes, CONFIG)
        .map_err(|e| CodecError::Decode(Box::new(e)))?;
    Ok((value, &bytes[used..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claimed_length_allocates_nothing() {
        // A vector that says it holds u64::MAX bytes, in nine bytes.
        let lie = [253, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert!(decode::<Vec<u8>>(&lie).is_err());
        assert!(decode::<String>(&lie).is_err());
        assert!(decode::<Vec<String>>(&lie).is_err());
    }

    #[test]
    fn left_over_bytes_are_refused() {
        let mut bytes = Vec::new();
        encode_into(&7u32, &mut bytes).unwrap();
        bytes.push(0);
        assert!(matches!(
            decode::<u32>(&bytes),
            Err(CodecError::Trailing(1))
        ));
    }

    #[test]
    fn a_value_that_cannot_be_written_leaves_the_buffer_alone() {
        struct Refuses;
        impl Serialize for Refuses {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                use serde::ser::{Error, SerializeTuple};
                s.serialize_tuple(2)?.serialize_element(&1u64)?;
                Err(S::Error::custom("no"))
            }
        }
        let mut bytes = vec![9];
        assert!(encode_into(&Refuses, &mut bytes).is_err());
        assert_eq!(bytes, [9]);
    }
}
