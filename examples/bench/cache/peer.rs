//! Whom a client may ask: our cache and what it is measured against.

pub(crate) mod memcached;
pub(crate) mod ours;
pub(crate) mod raw;
pub(crate) mod redis;

use cluster_web::Result;

/// A connection to a cache, of which every caller has a clone.
pub(crate) trait Peer: Clone + 'static {
    /// Reads a value, for the caller to own.
    async fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>>;

    /// Sets a value.
    async fn set(&mut self, key: &str, value: &[u8]) -> Result<()>;
}
