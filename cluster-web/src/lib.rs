//! Run an actix-web application as a supervised, multi-process cluster, with one call.
//!
//! ```text
//! hello (master)            binds the sockets, supervises, serves the monitor
//! ├── hello (cache manager) owns the shared cache
//! ├── hello (worker 1)      runs the application's actix-web `App`
//! └── hello (worker N)
//! ```
//!
//! ```no_run
//! use actix_web::{App, get};
//! use cluster_web::prelude::*;
//!
//! #[get("/")]
//! async fn hello() -> &'static str {
//!     "hello"
//! }
//!
//! #[cluster_web::main]
//! async fn main() -> Result<()> {
//!     cluster_web::app(|| App::new().service(hello))
//!         .options(Options::load()?)
//!         .listen().await?
//!         .wait().await
//! }
//! ```

mod acceptor;
mod app;
mod builder;
pub mod ecv;
mod error;
mod http;
mod job;
mod monitor;
mod running;
#[cfg(feature = "sessions")]
mod session;
mod tally;
mod threads;
mod tls;
mod warm_up;
mod worker;

pub mod prelude;

pub use acceptor::{AcceptorError, HttpSettings, Listener, Server, Site};
pub use app::{Configure, app, configure, service};
pub use builder::{Builder, Runs, Web};
pub use cluster_cache::{
    self as cache, CacheError, CacheExt, CacheOptions, Document, DocumentError, DocumentExt,
    DocumentOptions, SessionError, SessionStore, Sessions, SessionsExt,
};
pub use cluster_core::{self as core, *};
pub use error::{Error, Result};
pub use http::Http;
pub use job::{Job, run};
pub use running::Running;
#[cfg(feature = "sessions")]
pub use session::{ClusterSessionStore, ClusterSessionsExt};
pub use tally::{Meter, Meters, Traffic, in_request};
pub use tls::TlsError;
pub use warm_up::{WarmUp, WarmUpError};

/// What derived code names; not for use by hand.
#[doc(hidden)]
pub use cluster_core::__private;

/// So many milliseconds.
pub const fn millis(n: u64) -> std::time::Duration {
    std::time::Duration::from_millis(n)
}

/// So many seconds.
pub const fn seconds(n: u64) -> std::time::Duration {
    std::time::Duration::from_secs(n)
}

/// So many minutes.
pub const fn minutes(n: u64) -> std::time::Duration {
    std::time::Duration::from_secs(60 * n)
}

/// The README's example, kept true.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
