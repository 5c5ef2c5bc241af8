//! The shared cache of cluster: one manager, many processes.
//!
//! ```text
//! worker ─┐
//! worker ─┼─ bridge ─▶ cache manager (an actor, in a process of its own or in the master)
//! master ─┘
//! ```
//!
//! This release has the manager's process and its place in the cluster: it is started before the workers, supervised like them, and
//! reachable from every process.
//!
//! ```no_run
//! # async fn example(cluster: cluster_core::Cluster) -> Result<(), cluster_core::AskError> {
//! use cluster_cache::Meta;
//! use cluster_core::Target;
//!
//! let meta = cluster.emitter().ask(Target::CacheManager, Meta {}).await?;
//! println!("the cache manager is process {}", meta.pid);
//! # Ok(())
//! # }
//! ```

// The derives name this crate by its path, in its own modules as in an application's.
extern crate self as cluster_cache;

mod application;
mod manager;
mod protocol;

pub use application::CacheApplication;
pub use manager::CacheManager;
pub use protocol::{Meta, MetaReply};

/// What derived code names; not for use by hand.
#[doc(hidden)]
pub use cluster_core::__private;
