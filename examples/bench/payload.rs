//! What is told and asked in the benches of the bridge, on either side.

use serde::{Deserialize, Serialize};

/// A number of nine bytes on the wire, so that every message is as long as the other.
const FIRST: u64 = 1 << 40;
const NAME: &str = "a name of thirty-two characters!";
const TEXT: &str =
    "and a text of eighty-five, so that nine bytes, a name and a text make up 128 in all..";

/// 128 bytes on the wire.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Payload {
    number: u64,
    name: String,
    pub(crate) text: String,
}

impl Payload {
    pub(crate) fn new(number: u64) -> Self {
        Payload {
            number: FIRST + number,
            name: NAME.to_owned(),
            text: TEXT.to_owned(),
        }
    }
}
