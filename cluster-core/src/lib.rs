//! The core of cluster: supervised processes that talk by typed events.
//!
//! ```text
//! master ─┬─ WorkerProxy ═ link ═ worker 1      ╮
//!         ├─ WorkerProxy ═ link ═ worker 2      ├ emitter.to([..]).emit(event), .ask(request)
//!         ├─ Nanny, StatusAggregator            │
//!         └─ WorkerProxy ═ link ═ cache manager ╯
//! ```
//!
//! Applications of actix-web use `cluster-web`, which has all of this at its root. This crate knows an application as the traits
//! [`Application`] and [`Serving`], and nothing of HTTP.
//!
//! Events and questions work the same with no cluster running, in one process:
//!
//! ```
//! use actix::{Actor, Context, Handler};
//! use cluster_core::{Emitter, HandlerActor, Request, Target};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Debug, Serialize, Deserialize, Request)]
//! #[reply(u64)]
//! struct Double(u64);
//!
//! #[derive(HandlerActor)]
//! #[handles(Double)]
//! struct Calculator;
//!
//! impl Handler<Double> for Calculator {
//!     type Result = u64;
//!     fn handle(&mut self, Double(n): Double, _: &mut Context<Self>) -> u64 {
//!         2 * n
//!     }
//! }
//!
//! actix::System::new().block_on(async {
//!     let emitter = Emitter::alone();
//!     emitter.bind(Calculator.start());
//!     assert_eq!(emitter.ask(Target::Master, Double(21)).await?, 42);
//!     Ok::<(), cluster_core::AskError>(())
//! })?;
//! # Ok::<(), cluster_core::AskError>(())
//! ```

// The derives name this crate by its path, in its own modules as in an application's.
extern crate self as cluster_core;

mod bridge;
mod build;
mod cluster;
mod durations;
mod emitter;
pub mod endpoint;
pub mod events;
mod health;
mod id;
mod log;
mod look;
mod master;
mod node;
pub mod operator;
mod options;
mod panics;
pub mod parent;
mod protocol;
mod status;
pub mod sys;
mod wire;
mod worker;

pub use bridge::handshake::HandshakeError;
pub use bridge::link::Closed;
pub use build::{SectionError, section as program_section, time as build_time};
pub use cluster::{ClusterError, Launch, MainOutcome, Running, run_main};
pub use cluster_macros::{Event, HandlerActor, Request, dependencies, main};
pub use durations::{DURATION_BOUNDS_US, DurationCounter, Durations, Sampling, TIMED_ONE_IN};
pub use emitter::{
    ASK_WAIT, Answer, AskError, Batch, Binder, EmitError, Emitter, EmitterCounters, Event,
    HandledBy, HandlerActor, Kind, Request, Subscription, Target, To, Undelivered,
};
pub use health::policy::Decay;
pub use health::vitals::{Load, Vitals};
pub use id::{Generation, ProcessId, Role, WorkerId};
pub use log::{LogError, LogName, LogWriter, ProcessLog};
pub use look::{Frame, Stacks, ThreadStack};
pub use master::MasterError;
pub use master::start::{MakeSocket, Monitor};
pub use node::{
    Cluster, ClusterState, Mark, NodeState, ProcessState, ProgressNote, QueueEntry, UpgradeState,
    UpgradeStep, WorkerState,
};
pub use options::{
    AppFlagProblem, CacheMode, CacheServiceOptions, DebugOptions, DebugServer, EcvMode, EcvOptions,
    GcOptions, Host, Loader, LogTarget, NannyOptions, Options, OptionsError, Origin, Outcome,
    Place, Secret, Sources, TlsOptions,
};
pub use panics::{contain_panic, mark_arbiter};
pub use protocol::{
    Addressee, Beat, DebugError, Debugging, Operation, OperationError, Refused, StartStep, Subject,
};
pub use status::{Reducer, STATUS_WAIT, Status, StatusEntry, StatusError};
pub use sys::page::{MAX_SLOTS, Page, Slot};
pub use sys::turns::Turns;
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

/// The codec alone, for what the bench measures the bridge against.
#[doc(hidden)]
pub mod __bench {
    use crate::wire::codec::{self, CodecError};

    /// Appends a value to a buffer.
    ///
    /// # Errors
    ///
    /// Why it cannot be written.
    pub fn encode<T: serde::Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
        codec::encode_into(value, out)
    }

    /// Reads a value that fills the bytes.
    ///
    /// # Errors
    ///
    /// Why they are none.
    pub fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
        codec::decode(bytes)
    }
}
