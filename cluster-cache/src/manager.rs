//! The cache manager.
//!
//! *Owns* the table. *Hears* requests of every process. *Tells* its asker.

use std::time::Instant;

use actix::{Context, Handler, MessageResult};
use cluster_core::HandlerActor;

use crate::protocol::{Meta, MetaReply};

/// The one owner of the shared cache.
#[derive(Debug, HandlerActor)]
#[handles(Meta)]
pub struct CacheManager {
    started: Instant,
}

impl CacheManager {
    /// A manager with nothing in it.
    pub fn new() -> Self {
        CacheManager {
            started: Instant::now(),
        }
    }
}

impl Default for CacheManager {
    fn default() -> Self {
        Self::new()
    }
}

impl Handler<Meta> for CacheManager {
    type Result = MessageResult<Meta>;

    fn handle(&mut self, _: Meta, _: &mut Context<Self>) -> Self::Result {
        let uptime_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        MessageResult(MetaReply {
            pid: std::process::id(),
            uptime_ms,
        })
    }
}
