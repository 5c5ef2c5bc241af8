//! Two builds of one message: the fingerprint tells a changed layout, and nothing else.

use cluster_core::Event;
use serde::{Deserialize, Serialize};

mod first {
    use super::*;

    #[derive(Clone, Serialize, Deserialize, Event)]
    pub struct Changed { pub sku: String, pub cents: Vec<Option<u64>> }
}

mod documented {
    use super::*;

    /// A price that changed.
    #[derive(Clone, Debug, Serialize, Deserialize, Event)]
    pub struct Changed {
        /// Of what.
        pub(crate) sku: String,
        /** In cents. */
        pub(crate) cents: Vec< Option< u64 > >,
    }
}

mod by_macro {
    use super::*;

    macro_rules! event {
        ($name:ident { $($field:ident: $ty:ty),* }) => {
            #[derive(Clone, Serialize, Deserialize, Event)]
            pub struct $name { $(pub $field: $ty),* }
        };
    }
    event!(Changed { sku: String, cents: Vec<Option<u64>> });
}

mod retyped {
    use super::*;

    #[derive(Clone, Serialize, Deserialize, Event)]
    pub struct Changed { pub sku: String, pub cents: Vec<Option<u32>> }
}

fn main() {
    assert_eq!(first::Changed::KIND, documented::Changed::KIND);
    assert_eq!(first::Changed::KIND, by_macro::Changed::KIND);
    assert_eq!(first::Changed::KIND.id, retyped::Changed::KIND.id);
    assert_ne!(first::Changed::KIND.fingerprint, retyped::Changed::KIND.fingerprint);
}
