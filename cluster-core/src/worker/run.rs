//! A process below the master while it serves: it obeys, beats, and ends in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::LocalBoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{info, warn};

use super::application::{Serving, StartFailure};
use super::start::Reporter;
use crate::bridge::uplink::LinkState;
use crate::health::heartbeat::Sampler;
use crate::node::Cluster;
use crate::protocol::{Command, Report};
use crate::sys::presence::Presence;
use crate::sys::signal::{Signal, Signals};
use crate::sys::stacks;

/// How long an idle kept-alive connection is left open in a drain: its client may be about to send.
const GRACE: Duration = Duration::from_secs(1);
/// How long the last report may take on its way.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The process as it serves.
pub(crate) struct Run {
    pub(crate) cluster: Cluster,
    pub(crate) reporter: Reporter,
    pub(crate) serving: Box<dyn Serving>,
    pub(crate) orders: mpsc::Receiver<Command>,
    pub(crate) signals: Signals,
    pub(crate) link: watch::Receiver<LinkState>,
    pub(crate) sampler: Sampler,
    /// It accepts nothing: it was told so, or started so.
    pub(crate) paused: bool,
    /// The address at which it alone serves, where it is isolated.
    pub(crate) isolated: Option<String>,
    /// Its place among those that live, held to the end.
    pub(crate) _presence: Arc<Presence>,
}

/// An isolation that is under way.
type Isolating = LocalBoxFuture<'static, Result<String, StartFailure>>;

/// Why the process leaves, and how long it may take.
struct Leave {
    within: Duration,
    why: &'static str,
}

impl Run {
    /// Serves until told to leave, by the master, by a signal, or by having been without a master for too long; then drains.
    pub(crate) async fn until_end(mut self) {
        let leave = self.serve().await;
        info!(
            why = leave.why,
            within_ms = leave.within.as_millis(),
            "draining"
        );
        self.cluster.node.draining.send_replace(true);
        self.reporter.report_stage(Report::Retiring);
        let begun = Instant::now();
        let grace = GRACE.min(leave.within / 2);
        let drain = self.serving.drain(grace);
        if self.drained(drain, leave.within).await {
            info!(took_ms = begun.elapsed().as_millis(), "drained");
        } else {
            warn!(
                took_ms = begun.elapsed().as_millis(),
                "ending with work left undone"
            );
        }
        flush(&self.reporter).await;
        self.reporter.outbox.close();
        stacks::finish();
    }

    async fn serve(&mut self) -> Leave {
        let stop_timeout = self.cluster.options().stop_timeout;
        let mut beats = interval(self.cluster.options().heartbeat_interval);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pausing: Option<LocalBoxFuture<'static, ()>> = None;
        let mut isolating: Option<Isolating> = None;
        let mut superseded = self.serving.superseded();
        loop {
            tokio::select! {
                command = self.orders.recv() => match command {
                    Some(Command::Retire { within_ms }) => {
                        let within = Duration::from_millis(within_ms);
                        return Leave { within, why: "the master said so" };
                    }
                    Some(Command::Abort) | None => {
                        return Leave { within: Duration::ZERO, why: "the master said so" };
                    }
                    // An order may come again on a new link; one that stands already is nothing new.
                    Some(Command::Pause) if self.paused || self.is_apart(&isolating) => {}
                    Some(Command::Resume) if !self.paused && !self.is_apart(&isolating) => {}
                    Some(Command::Isolate) if self.is_apart(&isolating) => self.report_address(),
                    Some(Command::Isolate) => {
                        info!("isolating: from now on this worker serves at an address of its own");
                        (self.paused, pausing) = (false, None);
                        self.reporter.set_paused(false);
                        self.reporter.set_isolated(true);
                        isolating = Some(self.serving.isolate());
                    }
                    Some(Command::Pause) => {
                        info!("pausing");
                        self.paused = true;
                        self.reporter.set_paused(true);
                        pausing = Some(self.serving.pause());
                    }
                    Some(Command::Resume) => {
                        (pausing, isolating) = (None, None);
                        self.resume().await;
                    }
                },
                () = poll_if_any(&mut pausing) => {
                    pausing = None;
                    info!("paused");
                    self.reporter.report(&Report::Paused);
                }
                isolated = poll_if_any(&mut isolating) => {
                    isolating = None;
                    self.isolated(isolated);
                }
                signal = self.signals.next() => if signal != Signal::HUP {
                    return Leave { within: stop_timeout, why: "a signal said so" };
                },
                _ = beats.tick() => self.beat(),
                () = &mut superseded => {
                    return Leave { within: stop_timeout, why: "another process has taken its place" };
                }
                () = orphaned(&mut self.link, self.cluster.options().orphan_timeout) => {
                    return Leave { within: stop_timeout, why: "no master came back" };
                }
            }
        }
    }

    async fn resume(&mut self) {
        match self.serving.accept().await {
            Ok(_) => {
                (self.paused, self.isolated) = (false, None);
                self.reporter.set_paused(false);
                self.reporter.set_isolated(false);
                info!("serving again");
                self.reporter.report(&Report::Resumed);
            }
            Err(e) => warn!(error = %chain(&e), "accepting again failed"),
        }
    }

    fn is_apart(&self, isolating: &Option<Isolating>) -> bool {
        self.isolated.is_some() || isolating.is_some()
    }

    /// It serves at an address of its own, or cannot; then it accepts nothing.
    fn isolated(&mut self, isolated: Result<String, StartFailure>) {
        match isolated {
            Ok(address) => {
                info!(address, "isolated");
                self.isolated = Some(address);
                self.report_address();
            }
            Err(e) => {
                let cause = chain(&e);
                warn!(error = %cause, "isolated, and served nowhere");
                self.paused = true;
                self.reporter.report(&Report::Isolated {
                    address: Err(cause),
                });
            }
        }
    }

    fn report_address(&self) {
        if let Some(address) = self.isolated.clone() {
            self.reporter.report(&Report::Isolated {
                address: Ok(address),
            });
        }
    }

    fn beat(&mut self) {
        let mut beat = self.sampler.sample();
        self.serving.sample(&mut beat);
        beat.queued_bytes = self.cluster.emitter().hub.waiting() as u64;
        beat.asks = self.cluster.emitter().asks();
        *self.cluster.node.beat.lock() = beat.clone();
        self.reporter.report(&Report::Beat(Box::new(beat)));
    }

    /// Waits for a drain, beating on; false when the time is over, or a second word to leave comes.
    async fn drained(&mut self, drain: LocalBoxFuture<'static, ()>, within: Duration) -> bool {
        let mut beats = interval(self.cluster.options().heartbeat_interval);
        let mut drain = std::pin::pin!(timeout(within, drain));
        loop {
            tokio::select! {
                ended = &mut drain => return ended.is_ok(),
                _ = beats.tick() => self.beat(),
                command = self.orders.recv() => if matches!(command, Some(Command::Abort) | None) {
                    return false;
                },
                signal = self.signals.next() => if signal != Signal::HUP {
                    return false;
                },
            }
        }
    }
}

async fn poll_if_any<T>(future: &mut Option<LocalBoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// Resolves when the process has been without a master for so long.
async fn orphaned(link: &mut watch::Receiver<LinkState>, patience: Duration) {
    loop {
        let state = *link.borrow_and_update();
        let changed = match state {
            LinkState::Up { .. } => link.changed().await,
            LinkState::Down { since } => {
                let left = patience.saturating_sub(since.elapsed());
                match timeout(left, link.changed()).await {
                    Ok(changed) => changed,
                    Err(_) => return,
                }
            }
        };
        if changed.is_err() {
            return;
        }
    }
}

/// Gives the last reports the time to leave.
pub(crate) async fn flush(reporter: &Reporter) {
    let _ = timeout(LAST_WORDS, reporter.outbox.drained_to(0)).await;
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = cause.source();
    }
    line
}
