//! Links between processes: frames over Unix sockets, with a handshake, two lanes and bounded queues.
//!
//! ```text
//! emitter ─ push ─▶ outbox ─ task ─▶ socket ─▶ link ─ receive ─▶ hub (events, asks, answers) or the role (commands, reports)
//! ```

pub(crate) mod handshake;
pub(crate) mod link;
pub(crate) mod listener;
pub(crate) mod outbox;
pub(crate) mod pending;
pub(crate) mod turn;
pub(crate) mod uplink;
mod vigil;

pub(crate) use vigil::stay_awake;
