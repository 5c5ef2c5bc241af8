//! What a process and a master that did not start it tell each other before they are linked.

use serde::{Deserialize, Serialize};

use crate::wire::message::wire_message;

/// The answer to a hello from a process that another master has started, and that this one would take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Adopt {
    /// The listening sockets and the shared page are wanted too.
    pub(crate) sockets: bool,
}
wire_message!(Adopt, kind 13, version 1, Control);

/// What a process is and has, for the master that adopts it; its descriptors go with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Heritage {
    /// How far it is.
    pub(crate) standing: Standing,
    /// Since when it runs, in milliseconds.
    pub(crate) uptime_ms: u64,
    /// Its slots of the shared page.
    pub(crate) slots: Vec<u32>,
    /// For each listening socket that goes with this, in order: the path of a Unix socket, or none for TCP.
    pub(crate) sockets: Vec<Option<String>>,
    /// The last descriptor is the shared page.
    pub(crate) page: bool,
}
wire_message!(Heritage, kind 14, version 1, Control);

/// How far a process is. Append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Standing {
    /// It does not serve yet.
    Starting,
    /// It serves.
    Serving,
    /// It has been told not to accept.
    Paused,
    /// It drains, and will exit.
    Leaving,
    /// It serves at an address of its own alone.
    Isolated,
}

#[cfg(test)]
mod tests {
    use super::super::tests::golden;
    use super::*;

    #[test]
    fn golden_bytes() {
        golden(13, Adopt { sockets: true }, &[1]);
        let heritage = Heritage {
            standing: Standing::Paused,
            uptime_ms: 9,
            slots: vec![4],
            sockets: vec![None, Some("s".into())],
            page: true,
        };
        golden(14, heritage, &[2, 9, 1, 4, 2, 0, 1, 1, b's', 1]);
    }
}
