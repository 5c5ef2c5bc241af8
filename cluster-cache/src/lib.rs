//! The shared cache of cluster: one manager, many processes.
//!
//! ```text
//! worker ─┐
//! worker ─┼─ bridge ─▶ cache manager (an actor, in a process of its own or in the master)
//! master ─┘
//! ```
//!
//! A value is loaded once, however many processes ask for it:
//!
//! ```no_run
//! use cluster_cache::{CacheExt, CacheOptions};
//! use std::time::Duration;
//!
//! # async fn fetch_price() -> Result<u64, std::io::Error> { Ok(42) }
//! # async fn example(cluster: cluster_core::Cluster) -> Result<(), cluster_cache::CacheError> {
//! let prices = cluster.cache("prices", CacheOptions::default().expire(Duration::from_secs(60)))?;
//! let cents: u64 = prices.get_or_load("apple", fetch_price).wait(Duration::from_millis(500)).await?;
//! prices.set("pear", &cents).await?;
//! # Ok(())
//! # }
//! ```

// The derives name this crate by its path, in its own modules as in an application's.
extern crate self as cluster_cache;

mod application;
mod client;
mod document;
mod enable;
mod error;
mod lease;
mod limits;
mod manager;
mod options;
mod protocol;
mod sessions;
mod store;
mod table;
mod value;

pub use application::CacheApplication;
pub use client::{
    Cache, CacheExt, Change, CopyStat, FindOrLoad, Get, GetOrLoad, GetShared, Inspected, Set,
    Value, Watch, durations,
};
pub use document::{
    Document, DocumentError, DocumentExt, DocumentOptions, DocumentWatch, MOST_DOCUMENT_BYTES,
    MOST_DOCUMENT_NAME_BYTES, MOST_GROWN, MOST_NESTING, MOST_PATH_BYTES, MOST_PATH_KEYS,
    MOST_PENDING, MOST_PENDING_BYTES, Misfit, PathFault, ValueFault,
};
pub use enable::{Caches, EnableError, Sharing, enable};
pub use error::CacheError;
pub use limits::{
    LOAD_TIMEOUT, MAX_VALUE_BYTES, MOST_KEY_BYTES, MOST_NAME_BYTES, MOST_VALUE_BYTES,
};
pub use manager::CacheManager;
pub use options::{CacheOptions, CopyOptions};
pub use protocol::{DocumentRefusal, Meta, MetaReply, Refusal, Stat, When};
pub use sessions::{
    BackendError, Operation, Operations, Record, RecordPage, SessionBackend, SessionError,
    SessionStore, Sessions, SessionsExt,
};
pub use store::StoreError;

/// What derived code names; not for use by hand.
#[doc(hidden)]
pub use cluster_core::__private;
