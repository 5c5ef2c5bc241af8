//! The core of cluster.

// The derives name this crate by its path, in its own modules as in an application's.
#[allow(
    unused_extern_crates,
    reason = "used where this crate derives messages of its own"
)]
extern crate self as cluster_core;

mod emitter;
mod id;

pub use cluster_macros::{Event, HandlerActor, Request, main};
pub use emitter::{Batch, Binder, Event, HandledBy, HandlerActor, Kind, Request};
pub use id::{Generation, ProcessId, Role, WorkerId};

/// What the derives expand to; no part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::emitter::Listed;
    pub use crate::{Batch, Binder, Event, HandledBy, HandlerActor, Kind, Request};
    pub use actix;

    /// Runs the main function to its end.
    pub fn run_main<F: Future<Output: std::process::Termination>>(
        main: F,
    ) -> std::process::ExitCode {
        std::process::Termination::report(actix::System::new().block_on(main))
    }
}
