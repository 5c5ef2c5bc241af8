//! What every process offers: the answers of `debugging`, and the statuses that every cluster has: `os`, `log`, `gc` where it is asked for, and in the master `deathQueue`.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::Cluster;
use crate::id::Role;
use crate::log;
use crate::protocol::Beat;
use crate::sys;

/// The last heartbeat of this process, for its status `os`.
pub(crate) type LastBeat = Arc<Mutex<Beat>>;

/// Offers them.
pub(crate) fn offer(cluster: &Cluster) {
    super::debugging::answer(cluster);
    let beat = Arc::clone(&cluster.node.beat);
    cluster.status().register("os", move || {
        let figures = beat.lock().figures();
        async move { figures }
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

/// `gc`: what the process holds of memory, and what of it nobody uses; setting it, to whatever value, gives that back to the system where it is
/// allowed to.
fn offer_memory(cluster: &Cluster, explicit: bool) {
    let beat = Arc::clone(&cluster.node.beat);
    let view = move || {
        let pss_bytes = beat.lock().pss_bytes;
        async move { memory(pss_bytes) }
    };
    if explicit {
        let trim = |_| async {
            let before = sys::Usage::sample().unwrap_or_default().rss_bytes;
            let returned = sys::trim_memory();
            let after = sys::Usage::sample().unwrap_or_default().rss_bytes;
            tracing::info!(
                returned,
                rss_before = before,
                rss_after = after,
                "free memory was given back to the system, as asked"
            );
            Ok(())
        };
        cluster.status().register_with_update("gc", view, trim);
    } else {
        cluster.status().register("gc", view);
    }
}

fn memory(pss_bytes: u64) -> Value {
    let usage = sys::Usage::sample().unwrap_or_default();
    let heap = sys::Heap::sample().unwrap_or_default();
    json!({
        "rss_bytes": usage.rss_bytes,
        "peak_rss_bytes": sys::peak_rss_bytes().unwrap_or_default(),
        "private_bytes": usage.private_bytes,
        "pss_bytes": pss_bytes,
        "limit_bytes": sys::memory_limit(),
        "allocator": sys::ALLOCATOR,
        "allocated_bytes": heap.allocated_bytes,
        "resident_bytes": heap.resident_bytes,
        "retained_bytes": heap.retained_bytes,
    })
}
