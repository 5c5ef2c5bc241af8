//! Values of a session store as its owner has them: tagged JSON, within bounds that are kept while it is written.

use std::io;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{DEEPEST, SessionError};
use crate::limits::MOST_VALUE_BYTES;
use crate::value::JSON;
use crate::value::checked::{self, Allowed, Bound};

/// What a value may be before it is known how long it is as JSON.
const ALLOWED: Allowed = Allowed {
    levels: DEEPEST,
    bytes: usize::MAX,
    wide: true,
};

/// A tagged value that is being written. What exceeds the bound is counted, and not kept.
struct Written {
    tagged: Vec<u8>,
    /// How long it is without its tag.
    length: usize,
}

impl Written {
    fn new() -> Self {
        let mut tagged = Vec::with_capacity(128);
        tagged.push(JSON);
        Written { tagged, length: 0 }
    }
}

impl io::Write for Written {
    fn write(&mut self, json: &[u8]) -> io::Result<usize> {
        self.length = self.length.saturating_add(json.len());
        if self.length <= MOST_VALUE_BYTES {
            self.tagged.extend_from_slice(json);
        }
        Ok(json.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a value for a store.
pub(super) fn encode<T: Serialize + ?Sized>(
    store: &str,
    value: &T,
) -> Result<Vec<u8>, SessionError> {
    let store = || store.to_owned();
    let mut written = Written::new();
    let mut serializer = serde_json::Serializer::new(&mut written);
    let serialized = checked::serialize(value, &mut serializer, ALLOWED);
    serialized.map_err(|unfit| match unfit.bound {
        Some(Bound::NotFinite) => SessionError::NotFinite { store: store() },
        Some(Bound::Deep) => SessionError::Depth { store: store() },
        _ => SessionError::Encode {
            store: store(),
            source: Arc::new(unfit.source),
        },
    })?;
    if written.length > MOST_VALUE_BYTES {
        return Err(SessionError::Value {
            store: store(),
            bytes: written.length as u64,
            allowed: MOST_VALUE_BYTES as u64,
        });
    }
    // What came as JSON already was no array and no object on the way.
    if depth(&written.tagged[1..]) > DEEPEST {
        return Err(SessionError::Depth { store: store() });
    }
    Ok(written.tagged)
}

/// Reads what a store keeps.
pub(super) fn decode<T: DeserializeOwned>(store: &str, value: &[u8]) -> Result<T, SessionError> {
    let json = value.strip_prefix(&[JSON]).unwrap_or_default();
    serde_json::from_slice(json).map_err(|source| SessionError::Decode {
        store: store.to_owned(),
        source: Arc::new(source),
    })
}

/// How deep arrays and objects are nested in a JSON text.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut text, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if text => escaped = true,
            b'"' => text = !text,
            _ if text => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_counted_outside_of_texts() {
        let cases = [
            ("1", 0),
            ("[]", 1),
            (r#"{"a":[{"b":"]]{{[["}],"c":[]}"#, 3),
            (r#"["\"[[[","\\",[1]]"#, 2),
        ];
        for (json, expected) in cases {
            assert_eq!(depth(json.as_bytes()), expected, "{json}");
        }
    }
}
