//! The core of cluster.

mod id;
mod options;

pub use id::{Generation, ProcessId, Role, WorkerId};
pub use options::{
    AppFlagProblem, CacheMode, CacheServiceOptions, DebugOptions, EcvMode, EcvOptions, GcOptions,
    Host, Loader, LogTarget, NannyOptions, Options, OptionsError, Origin, Outcome, Place, Sources,
    TlsOptions,
};
