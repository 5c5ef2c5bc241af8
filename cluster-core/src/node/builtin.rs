//! The statuses that every cluster has: `os`, `log`, `gc` where it is asked for, and in the master `deathQueue`.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;

use super::Cluster;
use crate::id::Role;
use crate::log;
use crate::protocol::Beat;
use crate::sys;

/// The last heartbeat of this process, for its status `os`.
pub(crate) type LastBeat = Arc<Mutex<Beat>>;

/// Offers them.
pub(crate) fn offer(cluster: &Cluster) {
    let beat = Arc::clone(&cluster.node.beat);
    cluster.status().register("os", move || {
        let beat = beat.lock().clone();
        async move { beat }
    });
    cluster.status().register("log", || {
        let account = log::account();
        async move { json!({ "file": account.file, "lost": account.lost }) }
    });
    if cluster.role() == Role::Master {
        let here = cluster.clone();
        cluster.status().register("deathQueue", move || {
            let queue = here.state().death_queue.clone();
            async move { queue }
        });
    }
    let options = &cluster.options().gc;
    if options.monitor || options.explicit {
        offer_memory(cluster, options.explicit);
    }
}

/// `gc`: what the process holds; setting it, to whatever value, gives free memory back to the system where that is allowed.
fn offer_memory(cluster: &Cluster, explicit: bool) {
    let view = || async {
        let usage = sys::Usage::sample().unwrap_or_default();
        json!({ "rss_bytes": usage.rss_bytes, "limit_bytes": sys::memory_limit() })
    };
    if explicit {
        let trim = |_| async {
            let returned = sys::trim_memory();
            tracing::info!(
                returned,
                "free memory was given back to the system, as asked"
            );
            Ok(())
        };
        cluster.status().register_with_update("gc", view, trim);
    } else {
        cluster.status().register("gc", view);
    }
}
