//! Values as bytes: a tag that names the format, then the value in a format that describes itself, so that every process, the
//! command line and the monitor can show it.

pub(crate) mod checked;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// MessagePack, structs as maps.
const MESSAGE_PACK: u8 = 1;
/// JSON as text: what sessions are kept as.
pub(crate) const JSON: u8 = 2;

/// A value's bytes.
pub(crate) fn encode<T: Serialize + ?Sized>(
    value: &T,
) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    let mut out = Vec::new();
    encode_into(value, &mut out)?;
    Ok(out)
}

/// Appends a value.
pub(crate) fn encode_into<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), rmp_serde::encode::Error> {
    out.reserve(128);
    out.push(MESSAGE_PACK);
    let mut serializer = rmp_serde::Serializer::new(out).with_struct_map();
    value.serialize(&mut serializer)
}

/// Reads a value.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, rmp_serde::decode::Error> {
    match bytes.split_first() {
        Some((&MESSAGE_PACK, value)) => rmp_serde::from_slice(value),
        Some((&JSON, value)) => serde_json::from_slice(value)
            .map_err(|e| rmp_serde::decode::Error::Uncategorized(e.to_string())),
        _ => Err(rmp_serde::decode::Error::Uncategorized(
            "it is of a format that this build does not know".to_owned(),
        )),
    }
}

/// Reads a value that is nested no deeper than about so many levels: each takes of the stack.
pub(crate) fn decode_nested<T: DeserializeOwned>(
    bytes: &[u8],
    levels: usize,
) -> Result<T, rmp_serde::decode::Error> {
    let Some((&MESSAGE_PACK, value)) = bytes.split_first() else {
        return decode(bytes);
    };
    let mut from = rmp_serde::Deserializer::from_read_ref(value);
    from.set_max_depth(levels);
    T::deserialize(&mut from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::{Value, json};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Dot,
        Circle { radius: f64 },
        Line(u8, u8),
    }

    #[test]
    fn values_are_what_they_were_and_show_as_json() {
        for shape in [Shape::Dot, Shape::Circle { radius: 0.5 }, Shape::Line(1, 2)] {
            let bytes = encode(&shape).unwrap();
            assert_eq!(decode::<Shape>(&bytes).unwrap(), shape);
            let shown: Value = decode(&bytes).unwrap();
            assert_eq!(shown, serde_json::to_value(&shape).unwrap());
        }
        let value = json!({"a": [1, -2, 0.5, null, true, "x"], "b": {}});
        assert_eq!(decode::<Value>(&encode(&value).unwrap()).unwrap(), value);
        assert_eq!(
            decode_nested::<Value>(&encode(&value).unwrap(), 5).unwrap(),
            value
        );
        assert!(decode_nested::<Value>(&encode(&value).unwrap(), 1).is_err());
        assert!(decode::<u64>(&[]).is_err());
        assert!(decode::<u64>(&[3, 1]).is_err());
        assert_eq!(decode::<Value>(b"\x02{\"a\":1}").unwrap(), json!({"a": 1}));
        assert!(decode::<u64>(&encode("text").unwrap()).is_err());
    }
}
