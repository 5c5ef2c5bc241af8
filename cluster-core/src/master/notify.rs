//! What the service manager that started the master is told of the cluster.
//!
//! It is told by a task in the master's own event loop, which hears of each change of the published state: a master that is stuck says nothing, and its
//! service manager's watchdog notices.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::{debug, info, warn};

use crate::node::{Cluster, ClusterState, NodeState};
use crate::sys::notify::{self, Notifier};

/// How often a stop that is under way asks for more time.
const STILL_AT_IT: Duration = Duration::from_secs(5);
/// For how much it asks: the stop has a deadline of its own (`--stop-timeout`), and a master that is stuck in it does not ask again.
const MORE_TIME: Duration = Duration::from_secs(20);

/// Tells the service manager how the cluster is, for as long as the process runs; returns at once where nobody wants to hear it.
pub(super) async fn keep_told(cluster: Cluster) {
    let notifier = match Notifier::of_this_process() {
        Ok(Some(notifier)) => notifier,
        Ok(None) => return,
        Err(e) => {
            let cause = crate::worker::run::chain(&e);
            warn!(%cause, "the service manager is told nothing");
            return;
        }
    };
    let watchdog = notify::watchdog();
    let watchdog_ms = watchdog.map(|patience| patience.as_millis());
    info!(
        watchdog_ms,
        "the service manager is told how the cluster does"
    );
    let mut alive = watchdog.map(|patience| every(patience / 2));
    let mut still = every(STILL_AT_IT);
    let mut states = cluster.watch();
    let mut told = Told::default();
    loop {
        let state = states.borrow_and_update().clone();
        let message = match told.news(&state, notify::monotonic_us()) {
            Some(news) => Some(news),
            None => tokio::select! {
                changed = states.changed() => match changed {
                    Ok(()) => None,
                    Err(_) => return,
                },
                () = tick(&mut alive) => Some("WATCHDOG=1".to_owned()),
                _ = still.tick(), if told.stopping => Some(more_time()),
            },
        };
        if let Some(message) = message
            && let Err(e) = notifier.tell(&message).await
        {
            debug!(error = %e, message, "the service manager was not told");
        }
    }
}

fn every(period: Duration) -> Interval {
    // An interval of nothing is none; what is shorter than a clock's tick is of no use to anybody.
    let mut ticks = interval(period.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

fn more_time() -> String {
    format!("EXTEND_TIMEOUT_USEC={}", MORE_TIME.as_micros())
}

/// What was last told.
#[derive(Debug, Default)]
struct Told {
    ready: bool,
    rolling: bool,
    stopping: bool,
    status: String,
}

impl Told {
    /// The message that makes up for what has changed since; none where nothing has. The time is that of the service manager's clock.
    fn news(&mut self, state: &ClusterState, now_us: u64) -> Option<String> {
        let mut lines = Vec::new();
        let stopping = state.state == NodeState::Stopping;
        let started = state.state != NodeState::Starting;
        if stopping {
            if !std::mem::replace(&mut self.stopping, true) {
                lines.push("STOPPING=1".to_owned());
                lines.push(more_time());
            }
        } else if started {
            // Nothing is reloaded before it has been ready.
            let rolls = state.rolling && self.ready;
            if rolls && !self.rolling {
                lines.push("RELOADING=1".to_owned());
                lines.push(format!("MONOTONIC_USEC={now_us}"));
            }
            if !rolls && (self.rolling || !self.ready) {
                lines.push("READY=1".to_owned());
            }
            (self.ready, self.rolling) = (true, rolls);
        }
        let status = status(state);
        if status != self.status {
            lines.push(format!("STATUS={status}"));
            self.status = status;
        }
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

/// How the cluster is, in a few words.
fn status(state: &ClusterState) -> String {
    let serving = state.serving();
    let serve = format!("{serving} of {} workers serve", state.wanted);
    match state.state {
        NodeState::Starting => format!("starting: {serve}"),
        NodeState::Stopping => format!("stopping: {} workers left", state.workers.len()),
        _ => {
            let rolling = if state.rolling {
                "replacing all workers: "
            } else {
                ""
            };
            let crash_loop = state.crash_loop.as_deref();
            let crash_loop =
                crash_loop.map_or_else(String::new, |why| format!(", crash loop: {why}"));
            // It is one line, whatever the cause says.
            format!("{rolling}{serve}{crash_loop}").replace(char::is_control, " ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(state: NodeState, rolling: bool) -> ClusterState {
        ClusterState {
            state,
            rolling,
            wanted: 4,
            ..ClusterState::starting("x")
        }
    }

    fn keys(news: Option<String>) -> Vec<String> {
        let news = news.unwrap_or_default();
        let key = |line: &str| line.split('=').next().unwrap_or_default().to_owned();
        news.lines().map(key).collect()
    }

    #[test]
    fn each_change_is_told_once() {
        use NodeState::{Degraded, Running, Starting, Stopping};
        let mut told = Told::default();
        let mut steps = Vec::new();
        for (node, rolling) in [
            (Starting, false),
            (Starting, false),
            (Running, false),
            (Running, true),
            (Degraded, true),
            (Running, false),
            (Running, false),
            (Running, true),
            (Stopping, false),
            (Stopping, false),
        ] {
            steps.push(keys(told.news(&state(node, rolling), 7)).join(" "));
        }
        assert_eq!(
            steps,
            [
                "STATUS",
                "",
                "READY STATUS",
                "RELOADING MONOTONIC_USEC STATUS",
                "",
                "READY STATUS",
                "",
                "RELOADING MONOTONIC_USEC STATUS",
                "STOPPING EXTEND_TIMEOUT_USEC STATUS",
                "",
            ]
        );
    }

    #[test]
    fn a_roll_that_was_asked_for_early_is_told_after_ready() {
        let mut told = Told::default();
        let rolls = state(NodeState::Running, true);
        assert_eq!(keys(told.news(&rolls, 7)), ["READY", "STATUS"]);
        let news = told.news(&rolls, 7).unwrap();
        assert!(news.starts_with("RELOADING=1\nMONOTONIC_USEC=7"), "{news}");
    }

    #[test]
    fn the_status_is_one_line() {
        let mut degraded = state(NodeState::Degraded, false);
        degraded.crash_loop = Some("a\nREADY=1".to_owned());
        assert_eq!(
            status(&degraded),
            "0 of 4 workers serve, crash loop: a READY=1"
        );
        let starting = state(NodeState::Starting, false);
        assert_eq!(status(&starting), "starting: 0 of 4 workers serve");
    }
}
