//! A cluster that serves no requests: each worker does the same job, and is supervised, replaced and stopped like any other.
//!
//! Every worker counts ticks, one each second or as `--every MS` says, and tells the master of each by an event. On the monitor,
//! `GET /status/ticks` asks every worker for its count, and `GET /status/ticks?reduce=sum` for the sum of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cluster_web::prelude::*;
use tokio::time::{MissedTickBehavior, interval};

/// Told by a worker to the master after each tick.
#[derive(Clone, Debug, Serialize, Deserialize, Event)]
struct Ticked {
    count: u64,
}

/// The job: it runs in every worker, and ends when its worker is told to leave.
async fn tick(cluster: Cluster, every: Duration) -> Result<()> {
    let count = Arc::new(AtomicU64::new(0));
    let view = Arc::clone(&count);
    cluster.status().register("ticks", move || {
        let now = view.load(Ordering::Relaxed);
        async move { now }
    });
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut leave = std::pin::pin!(cluster.draining());
    loop {
        tokio::select! {
            () = &mut leave => break,
            _ = ticks.tick() => {}
        }
        let count = count.fetch_add(1, Ordering::Relaxed) + 1;
        // While the master is away the tick counts all the same; only the news of it is lost.
        if let Err(e) = cluster.emitter().emit_to(Target::Master, Ticked { count }) {
            tracing::debug!(error = %e, "the master was not told of a tick");
        }
    }
    tracing::info!(ticks = count.load(Ordering::Relaxed), "the job is done");
    Ok(())
}

/// The master's part: it hears of the ticks of all workers, and says so after every hundredth.
fn listen_to_ticks(cluster: &Cluster) {
    let heard = AtomicU64::new(0);
    let hear = move |Ticked { count }: Ticked, from| {
        let all = heard.fetch_add(1, Ordering::Relaxed) + 1;
        if all == 1 || all.is_multiple_of(100) {
            tracing::info!(all, %from, count, "ticked");
        }
    };
    cluster.emitter().on(hear).forever();
}

/// The application's own flags are text to the cluster: what they mean is for the application to check.
fn pace(text: &str) -> Result<Duration> {
    match text.parse() {
        Ok(ms @ 1..=3_600_000) => Ok(millis(ms)),
        _ => Err(Error::msg(format!(
            "--every: {text:?} is no pace (allowed: 1 to 3600000)"
        ))),
    }
}

#[cluster_web::main]
async fn main() -> Result<()> {
    let options = Options::loader()
        .about("A job without requests: every worker counts ticks.")
        .flag(
            "every",
            "Milliseconds between two ticks, 1 to 3600000",
            "1000",
        )
        .load()?;
    let every = pace(options.app("every").unwrap_or_default())?;
    let job = move |cluster| tick(cluster, every);
    let running = cluster_web::run(job).options(options).listen().await?;
    if running.role() == Role::Master {
        listen_to_ticks(running.handle());
    }
    running.wait().await
}
