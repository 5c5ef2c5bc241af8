//! The core of cluster.

#[allow(unused_extern_crates)] // derived code names the crate from outside, also inside it
extern crate self as cluster_core;

mod bridge;
mod emitter;
mod health;
mod id;
mod master;
mod protocol;
mod status;
pub mod sys;
mod wire;

pub use bridge::handshake::HandshakeError;
pub use bridge::link::Closed;
pub use cluster_macros::{Event, HandlerActor, Request, main};
pub use emitter::{
    ASK_WAIT, Answer, AskError, Batch, Binder, EmitError, Emitter, EmitterCounters, Event,
    HandledBy, HandlerActor, Kind, Request, Subscription, Target, To, Undelivered,
};
pub use id::{Generation, ProcessId, Role, WorkerId};
pub use protocol::{Addressee, Beat, Operation, OperationError, Refused, StartStep};
pub use status::{Reducer, STATUS_WAIT, Status, StatusEntry, StatusError};
pub use wire::codec::CodecError;
pub use wire::frame::FrameError;

/// What derived code names; not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::emitter::handler::Listed;
    pub use crate::{Batch, Binder, Event, HandledBy, HandlerActor, Kind, Request};
    pub use actix;
}
