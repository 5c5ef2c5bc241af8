//! The core of cluster.

// The derives name this crate by its path, in its own modules as in an application's.
extern crate self as cluster_core;

mod bridge;
mod build;
mod cluster;
mod emitter;
pub mod events;
mod health;
mod id;
mod log;
mod master;
mod node;
mod options;
mod panics;
mod protocol;
mod status;
pub mod sys;
mod wire;
mod worker;

pub use bridge::handshake::HandshakeError;
pub use bridge::link::Closed;
pub use cluster::{ClusterError, Launch, Outcome, Running, run_main};
pub use cluster_macros::{Event, HandlerActor, Request, main};
pub use emitter::{
    ASK_WAIT, Answer, AskError, Batch, Binder, EmitError, Emitter, EmitterCounters, Event,
    HandledBy, HandlerActor, Kind, Request, Subscription, Target, To, Undelivered,
};
pub use id::{Generation, ProcessId, Role, WorkerId};
pub use master::MasterError;
pub use master::start::{MakeSocket, Monitor};
pub use node::{
    Cluster, ClusterState, Mark, NodeState, ProcessState, ProgressNote, QueueEntry, WorkerState,
};
pub use options::{
    AppFlagProblem, CacheMode, CacheServiceOptions, DebugOptions, EcvMode, EcvOptions, GcOptions,
    Host, Loader, LogTarget, NannyOptions, Options, OptionsError, Origin, Outcome as Loaded, Place,
    Sources, TlsOptions,
};
pub use panics::mark_arbiter;
pub use protocol::{Addressee, Beat, Operation, OperationError, Refused, StartStep};
pub use status::{Reducer, STATUS_WAIT, Status, StatusEntry, StatusError};
pub use sys::page::{MAX_SLOTS, Page, Slot};
pub use wire::codec::CodecError;
pub use wire::frame::FrameError;
pub use worker::application::{Application, Means, Serving, Socket, StartFailure};
pub use worker::start::WorkerError;

/// What derived code names; not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::emitter::handler::Listed;
    pub use crate::{Batch, Binder, Event, HandledBy, HandlerActor, Kind, Request, run_main};
    pub use actix;
}

/// The reader of frames, for the fuzzer alone.
#[doc(hidden)]
pub mod __fuzz {
    pub use crate::emitter::fuzz::frames;
}
