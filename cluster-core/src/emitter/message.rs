//! What can be told and asked across processes: [`Event`] and [`Request`], under a stable name.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The stable identity of a message type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kind {
    /// The name under which it crosses processes: the type's own, unless `#[event(name = "..")]` says otherwise.
    pub name: &'static str,
    /// 64-bit FNV-1a hash of the name.
    pub id: u64,
    /// 64-bit FNV-1a hash of the layout: processes whose fingerprints differ talk JSON.
    pub fingerprint: u64,
}

impl Kind {
    /// The kind of this name and layout.
    pub const fn new(name: &'static str, fingerprint: u64) -> Self {
        Kind {
            name,
            id: Self::id_of(name),
            fingerprint,
        }
    }

    /// The hash under which a name crosses the wire (64-bit FNV-1a, draft-eastlake-fnv).
    pub const fn id_of(name: &str) -> u64 {
        let bytes = name.as_bytes();
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut i = 0;
        while i < bytes.len() {
            hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
            i += 1;
        }
        hash
    }
}

/// Something told to other processes; derive it.
///
/// ```
/// use cluster_core::Event;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Debug, Serialize, Deserialize, Event)]
/// #[event(name = "prices.changed")]
/// struct PriceChanged { sku: String, cents: u64 }
///
/// assert_eq!(PriceChanged::KIND.name, "prices.changed");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "add `#[derive(Clone, Serialize, Deserialize, Event)]` to `{Self}`"
)]
pub trait Event:
    actix::Message<Result = ()> + Serialize + DeserializeOwned + Clone + Send + Sync + 'static
{
    /// Its stable identity.
    const KIND: Kind;
}

/// Something asked of another process and answered with a value; derive it.
///
/// ```
/// use cluster_core::Request;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Debug, Serialize, Deserialize, Request)]
/// #[reply(Option<u64>)]
/// struct PriceOf { sku: String }
///
/// assert_eq!(PriceOf::KIND.name, "PriceOf");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a request",
    label = "not a request",
    note = "add `#[derive(Serialize, Deserialize, Request)]` and `#[reply(TYPE)]` to `{Self}`"
)]
pub trait Request:
    actix::Message<Result = <Self as Request>::Reply>
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// What it is answered with.
    type Reply: Serialize + DeserializeOwned + Send + 'static;
    /// Its stable identity.
    const KIND: Kind;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_fnv_1a() {
        // Test vectors of the FNV draft, appendix C.
        assert_eq!(Kind::id_of(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(Kind::id_of("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(Kind::id_of("foobar"), 0x8594_4171_f739_67e8);
    }
}
