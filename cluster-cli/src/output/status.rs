//! The cluster as a table. What a master of another build does not say is left out.

use comfy_table::CellAlignment;
use serde::Deserialize;
use serde_json::Value;

use super::{human, plain};
use crate::error::CliError;
use crate::state::{Beat, Cluster, Upgrade, Worker};

/// The text of a status: a head, the workers, and which of them are to be replaced.
pub(crate) fn text(value: &Value) -> Result<String, CliError> {
    let cluster = Cluster::deserialize(value).map_err(CliError::Answer)?;
    let mut text = head(&cluster);
    if !cluster.workers.is_empty() {
        text.push('\n');
        text.push_str(&workers(&cluster));
    }
    if !cluster.death_queue.is_empty() {
        text.push_str("\nTo be replaced:\n");
        for queued in &cluster.death_queue {
            let waits = human::span(queued.queued_ms);
            let reason = plain(&queued.reason);
            text.push_str(&format!(
                "  worker {}: {reason}, queued for {waits}\n",
                queued.worker
            ));
        }
    }
    Ok(text)
}

fn head(cluster: &Cluster) -> String {
    let Cluster {
        wanted,
        serving,
        master,
        ..
    } = cluster;
    let (name, state, build) = (
        plain(&cluster.name),
        plain(&cluster.state),
        plain(&cluster.build),
    );
    let uptime = human::span(master.uptime_ms);
    let (mark, pid) = (plain(&cluster.mark), master.pid);
    let mut head = format!(
        "{name}: {state}, build {build}, master {pid}, up {uptime}, marked {mark}, {serving} of {} serving\n",
        human::count(*wanted, "worker")
    );
    if let Some(cause) = &cluster.crash_loop {
        head.push_str(&format!("crash loop: {}\n", plain(cause)));
    }
    if let Some(cache) = &cluster.cache_manager {
        let (state, uptime) = (plain(&cache.state), human::span(cache.uptime_ms));
        let other = !cache.build.is_empty() && cache.build != cluster.build;
        let build = if other { ", other build" } else { "" };
        head.push_str(&format!(
            "cache manager: {state}, pid {}, up {uptime}{build}\n",
            cache.pid
        ));
    }
    if let Some(upgrade) = cluster.upgrade.as_ref().and_then(upgrade) {
        head.push_str(&upgrade);
        head.push('\n');
    }
    head
}

/// How far an upgrade is, or why it has failed; nothing of one that is done.
pub(crate) fn upgrade(upgrade: &Upgrade) -> Option<String> {
    let (to, step) = (plain(&upgrade.to), upgrade.step.replace('_', " "));
    let why = upgrade.cause.as_deref().map(plain).unwrap_or_default();
    match upgrade.step.as_str() {
        "done" => None,
        "failed" => Some(format!("the last upgrade, to build {to}, failed: {why}")),
        _ => Some(format!("upgrading to build {to}: {}", plain(&step))),
    }
}

fn workers(cluster: &Cluster) -> String {
    let mut table = human::table();
    table.set_header([
        "ID", "PID", "STATE", "GEN", "UPTIME", "TPS", "P50", "P99", "CONNS", "RSS",
    ]);
    for worker in &cluster.workers {
        let beat = worker.beat.as_ref();
        let figure = |show: &dyn Fn(&Beat) -> String| beat.map_or_else(|| "-".to_owned(), show);
        table.add_row([
            worker.id.to_string(),
            worker.pid.to_string(),
            state(worker, &cluster.build),
            worker.generation.to_string(),
            human::span(worker.uptime_ms),
            figure(&|beat| format!("{:.0}", beat.tps)),
            figure(&|beat| human::latency(beat.p50_us)),
            figure(&|beat| human::latency(beat.p99_us)),
            figure(&|beat| beat.live_connections.to_string()),
            figure(&|beat| human::bytes(beat.rss_bytes)),
        ]);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index != 2 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{}\n", table.trim_fmt())
}

/// What a worker does, and what is strange about it.
pub(crate) fn state(worker: &Worker, build: &str) -> String {
    let mut state = plain(&worker.state).into_owned();
    let odd = [
        (worker.suspect, "silent"),
        (!worker.linked && !worker.build.is_empty(), "not linked"),
        (
            !worker.build.is_empty() && worker.build != build,
            "other build",
        ),
    ];
    let odd: Vec<_> = odd
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, what)| *what)
        .collect();
    if !odd.is_empty() {
        state.push_str(&format!(" ({})", odd.join(", ")));
    }
    state
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_whole_cluster() {
        let value = json!({
            "name": "shop", "build": "b1", "state": "running", "crash_loop": null, "mark": "down",
            "wanted": 2, "serving": 1, "time": 1, "master": { "pid": 100, "state": "active", "uptime_ms": 61_000 },
            "cache_manager": { "pid": 101, "state": "active", "uptime_ms": 60_000 },
            "workers": [
                {
                    "id": 1, "pid": 102, "state": "active", "generation": 1, "uptime_ms": 59_000, "build": "b1",
                    "suspect": true, "linked": true, "beat": {
                        "rss_bytes": 10_485_760, "live_connections": 12, "tps": 1234.4, "p50_us": 850, "p99_us": 4200
                    }
                },
                {
                    "id": 12, "pid": 5103, "state": "warming", "generation": 2, "uptime_ms": 10, "build": "",
                    "suspect": false, "linked": false, "beat": null
                },
            ],
            "upgrade": { "from": "b0", "to": "b2", "step": "failed", "cause": "worker 9: warm-up failed" },
            "death_queue": [{ "worker": 1, "reason": "asked for by an operator", "queued_ms": 3000 }],
        });
        let expected = "\
shop: running, build b1, master 100, up 1m 1s, marked down, 1 of 2 workers serving
cache manager: active, pid 101, up 1m 0s
the last upgrade, to build b2, failed: worker 9: warm-up failed

ID   PID  STATE            GEN  UPTIME   TPS    P50    P99  CONNS        RSS
 1   102  active (silent)    1     59s  1234  850µs  4.2ms     12  10.00 MiB
12  5103  warming            2      0s     -      -      -      -          -

To be replaced:
  worker 1: asked for by an operator, queued for 3s
";
        assert_eq!(text(&value).unwrap(), expected);
    }

    #[test]
    fn what_is_not_said_is_left_out_and_what_is_no_cluster_is_an_error() {
        let text = text(&json!({ "name": "a\x1b[1m", "state": "starting" })).unwrap();
        assert!(text.starts_with("a\u{fffd}[1m: starting"), "{text}");
        assert!(super::text(&json!([1])).is_err());
    }
}
