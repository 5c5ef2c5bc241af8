//! What a manager hands to its successor: entries while it serves on, and in a moment in which it does not, what has changed since
//! and all that there is besides. Append-only: a successor is of the same build or a newer one.

use serde::{Deserialize, Serialize};

use super::{SpaceOptions, Stat};
use crate::table::Millis;

/// A part of what is handed over. Each namespace goes by a number.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Part<'a> {
    /// An entry and its place, where another may have stood.
    Entry {
        space: u32,
        place: u32,
        key: &'a str,
        #[serde(with = "serde_bytes")]
        value: &'a [u8],
        persist: bool,
        read: bool,
        expires: Option<Millis>,
        version: u64,
    },
    /// Nothing stands at the place any more.
    Vacant { space: u32, place: u32 },
    /// What has come of the namespace is gone.
    Cleared { space: u32 },
    /// A namespace of which all entries have come. Those that are never described are gone.
    Space {
        space: u32,
        name: &'a str,
        options: SpaceOptions,
        built_ms: u64,
        kept: bool,
        version: u64,
        /// Its figures; as many entries and bytes must have come.
        stat: Stat,
    },
    /// A lease of the namespace that was described last.
    Lease {
        key: &'a str,
        lease: u64,
        deadline: Millis,
    },
    /// There is no more.
    End {
        /// The last version.
        version: u64,
        /// From which version on all changes are known.
        unbroken_since: u64,
        /// Leases may be claimed that the manager does not know of yet.
        settling: bool,
        #[serde(borrow)]
        store: Option<Stored<'a>>,
    },
}

/// The file of what is to persist, as it stands.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stored<'a> {
    #[serde(with = "serde_bytes")]
    pub(crate) path: &'a [u8],
    /// Of what is whole.
    pub(crate) length: u64,
    /// Something that is not whole follows.
    pub(crate) torn: bool,
    /// What the disk has of it is not known.
    pub(crate) doubtful: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden(part: &Part<'_>, bytes: &[u8]) {
        let mut out = Vec::new();
        cluster_core::__bench::encode(part, &mut out).unwrap();
        assert_eq!(out, bytes);
        assert_eq!(
            &cluster_core::endpoint::read::<Part<'_>>(bytes).unwrap(),
            part
        );
    }

    #[test]
    fn golden_bytes() {
        let entry = Part::Entry {
            space: 1,
            place: 2,
            key: "k",
            value: b"v",
            persist: true,
            read: false,
            expires: Some(9),
            version: 3,
        };
        golden(&entry, &[0, 1, 2, 1, b'k', 1, b'v', 1, 0, 1, 9, 3]);
        golden(&Part::Vacant { space: 1, place: 2 }, &[1, 1, 2]);
        golden(&Part::Cleared { space: 1 }, &[2, 1]);
        let space = Part::Space {
            space: 1,
            name: "n",
            options: SpaceOptions {
                persist: true,
                expire_ms: Some(4),
                ..SpaceOptions::default()
            },
            built_ms: 5,
            kept: true,
            version: 6,
            stat: Stat {
                hits: 7,
                watches: 8,
                ..Stat::default()
            },
        };
        let bytes = [
            3, 1, 1, b'n', 1, 1, 4, 0, 0, 0, 0, 0, 5, 1, 6, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8,
        ];
        golden(&space, &bytes);
        let lease = Part::Lease {
            key: "k",
            lease: 1,
            deadline: 2,
        };
        golden(&lease, &[4, 1, b'k', 1, 2]);
        let end = Part::End {
            version: 1,
            unbroken_since: 2,
            settling: false,
            store: Some(Stored {
                path: b"p",
                length: 3,
                torn: false,
                doubtful: true,
            }),
        };
        golden(&end, &[5, 1, 2, 0, 1, 1, b'p', 3, 0, 1]);
    }
}
