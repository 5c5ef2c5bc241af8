//! What the cache manager is asked.

use cluster_core::Request;
use serde::{Deserialize, Serialize};

/// Asks the cache manager about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Request)]
#[reply(MetaReply)]
#[request(name = "cluster.cache.meta")]
pub struct Meta {}

/// What the cache manager says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MetaReply {
    /// The pid of its process; the master's where it runs there.
    pub pid: u32,
    /// For how long it has been running, in milliseconds.
    pub uptime_ms: u64,
}
