//! A process below the master from its first moment until it serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tracing::{error, info, warn};

use super::application::{Application, StartFailure};
use super::boot::BootRecord;
use super::debugger;
use super::keepsake::Keepsake;
use super::run::{self, Run};
use crate::bridge::handshake::{HandshakeError, PATIENCE};
use crate::bridge::link::Closed;
use crate::bridge::outbox::Outbox;
use crate::bridge::uplink::{LinkState, Uplink};
use crate::emitter::hub::{Hub, Routes};
use crate::health::heartbeat::Sampler;
use crate::id::ProcessId;
use crate::node::{Cluster, builtin};
use crate::protocol::{Command, Hello, PROTOCOL, Report, Roster, Standing};
use crate::sys::presence::{self, Presence};
use crate::sys::signal::{Signal, Signals};
use crate::wire::codec;
use crate::wire::frame::Header;
use crate::wire::message::WireMessage;

/// Commands that may wait for the process; the master sends a handful in its life, so more are a fault of the master.
const COMMANDS: usize = 64;

/// Why a process below the master does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// What the master handed over cannot be used.
    #[error("what the master handed over cannot be used")]
    Means(#[source] std::io::Error),
    /// The master cannot be reached.
    #[error("the master cannot be reached")]
    Link(#[source] HandshakeError),
    /// The application did not start.
    #[error(transparent)]
    Start(#[from] StartFailure),
    /// It was told to end while it started.
    #[error("told to end while it started")]
    Dismissed,
    /// Signals cannot be caught.
    #[error("signals cannot be caught")]
    Signals(#[source] std::io::Error),
    /// It cannot say in the runtime directory that it lives.
    #[error("{} cannot be locked", path.display())]
    Presence {
        /// The file in which each process of the cluster has a place.
        path: std::path::PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// How the process tells the master of itself.
#[derive(Clone)]
pub(crate) struct Reporter {
    pub(crate) outbox: Arc<Outbox>,
    /// What was last said of how far the process is.
    last: Arc<Mutex<Option<Report>>>,
    /// It accepts nothing.
    paused: Arc<AtomicBool>,
    /// It accepts at an address of its own alone.
    isolated: Arc<AtomicBool>,
}

impl Reporter {
    fn new(outbox: Arc<Outbox>) -> Self {
        Reporter {
            outbox,
            last: Arc::default(),
            paused: Arc::default(),
            isolated: Arc::default(),
        }
    }

    /// Says whether the process accepts, for a master to come; this one learns it from reports.
    pub(crate) fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    /// The same of whether it serves at an address of its own alone.
    pub(crate) fn set_isolated(&self, isolated: bool) {
        self.isolated.store(isolated, Ordering::Relaxed);
    }

    fn standing(&self) -> Standing {
        match &*self.last.lock() {
            Some(Report::Listening { .. }) if self.isolated.load(Ordering::Relaxed) => {
                Standing::Isolated
            }
            Some(Report::Listening { .. }) if self.paused.load(Ordering::Relaxed) => {
                Standing::Paused
            }
            Some(Report::Listening { .. }) => Standing::Serving,
            Some(Report::Retiring) => Standing::Leaving,
            _ => Standing::Starting,
        }
    }

    /// Sends a report on how far the process is; it is said again on a new link, as it may have been lost with the old one.
    pub(crate) fn report_stage(&self, report: Report) {
        self.report(&report);
        *self.last.lock() = Some(report);
    }

    fn report_again(&self) {
        let last = self.last.lock().clone();
        if let Some(report) = last {
            self.report(&report);
        }
    }

    /// Sends a report. While the master is away it is not held: on the next link what matters is said anew.
    pub(crate) fn report(&self, report: &Report) {
        let sent = self
            .outbox
            .push(Report::HEADER, |out| codec::encode_into(report, out));
        if let Err(e) = sent {
            tracing::debug!(?report, reason = ?e, "a report was not sent");
        }
    }
}

/// What came of a start.
pub(crate) struct Started {
    pub(crate) cluster: Cluster,
    pub(crate) addresses: Vec<String>,
    pub(crate) run: Run,
}

/// Starts the process: link, actors, application, in this order.
pub(crate) async fn start(
    boot: BootRecord,
    application: Box<dyn Application>,
    actors: impl FnOnce(&Cluster),
) -> Result<Started, WorkerError> {
    let mut signals = Signals::new().map_err(WorkerError::Signals)?;
    let (means, keepsake) = boot.means().map_err(WorkerError::Means)?;
    let presence = Arc::new(announce(&boot)?);
    let outbox = Arc::new(Outbox::new());
    let hub = Hub::new(boot.process, Routes::Member(Arc::clone(&outbox)));
    let reporter = Reporter::new(outbox);
    let offer = {
        let reporter = reporter.clone();
        move |name: &str, offered: bool| {
            let name = name.to_owned();
            reporter.report(&match offered {
                true => Report::StatusOffered { name },
                false => Report::StatusWithdrawn { name },
            });
        }
    };
    let (generation, paused, apart) = (boot.generation, boot.paused, boot.awaits_debugger);
    let cluster = Cluster::new(
        Arc::clone(&hub),
        generation,
        boot.options.clone(),
        boot.runtime_dir.clone(),
        None,
        offer,
    );
    let _ = cluster.node.presence.set(Arc::downgrade(&presence));
    builtin::offer(&cluster);
    cluster.watch_thread();
    actors(&cluster);

    let (commands, mut orders) = mpsc::channel(COMMANDS);
    let (rostered, mut roster) = watch::channel(false);
    let link = connect(&boot, hub, &reporter, keepsake, commands, rostered).await?;
    // From its first step on the application can reach whoever is there; the roster is the master's first word.
    let _ = timeout(PATIENCE, roster.wait_for(|come| *come)).await;
    cluster.status().offer_all();
    actix_rt::spawn(keep_up(cluster.clone(), reporter.clone(), link.clone()));
    let (here, awaited) = (cluster.clone(), apart);
    let mut starting = async move {
        if awaited {
            info!("waiting for a debugger");
            debugger::attached().await;
            info!("a debugger is attached; going on");
        }
        application.start(here, means).await
    }
    .boxed_local();
    let started = loop {
        tokio::select! {
            started = &mut starting => break started,
            signal = signals.next() => if signal != Signal::HUP {
                return Err(WorkerError::Dismissed);
            },
            command = orders.recv() => match command {
                Some(Command::Retire { .. } | Command::Abort) | None => {
                    return Err(WorkerError::Dismissed);
                }
                Some(Command::Pause | Command::Resume | Command::Isolate) => {}
            },
        }
    };
    drop(starting);
    let mut sampler = Sampler::new(cluster.node.pulses.clone());
    let listening = async {
        let mut serving = started?;
        reporter.report_stage(Report::Warmed);
        // Before its first request: what a worker is born with is told from what it comes to.
        let mut beat = sampler.sample();
        serving.sample(&mut beat);
        reporter.report(&Report::Beat(Box::new(beat)));
        let addresses = if apart {
            vec![serving.isolate().await?]
        } else if paused {
            Vec::new()
        } else {
            serving.accept().await?
        };
        Ok((serving, addresses))
    };
    match listening.await {
        Ok((serving, addresses)) => {
            reporter.report_stage(Report::Listening {
                addresses: addresses.clone(),
            });
            info!(addresses = %addresses.join(" "), "serving");
            reporter.set_paused(paused && !apart);
            reporter.set_isolated(apart);
            let run = Run {
                cluster: cluster.clone(),
                reporter,
                serving,
                orders,
                signals,
                link,
                sampler,
                paused: paused && !apart,
                isolated: addresses.first().filter(|_| apart).cloned(),
                _presence: presence,
            };
            Ok(Started {
                cluster,
                addresses,
                run,
            })
        }
        Err(failure) => {
            let failure: StartFailure = failure;
            error!(step = %failure.step, cause = %run::chain(&*failure.source), "the start failed");
            let cause = run::chain(&*failure.source);
            reporter.report(&Report::StartFailed {
                step: failure.step,
                cause,
            });
            run::flush(&reporter).await;
            Err(failure.into())
        }
    }
}

/// A new master, or an old one on a new link, is told again how far this process is and what it offers.
async fn keep_up(cluster: Cluster, reporter: Reporter, mut link: watch::Receiver<LinkState>) {
    while link.changed().await.is_ok() {
        let state = *link.borrow_and_update();
        if matches!(state, LinkState::Up { .. }) {
            cluster.status().offer_all();
            reporter.report_again();
        }
    }
}

/// Takes this process's place among those that live, so that a master to come knows of it.
fn announce(boot: &BootRecord) -> Result<Presence, WorkerError> {
    let path = boot.runtime_dir.join(presence::FILE);
    Presence::announce(&path, boot.process).map_err(|source| WorkerError::Presence { path, source })
}

async fn connect(
    boot: &BootRecord,
    hub: Arc<Hub>,
    reporter: &Reporter,
    keepsake: Keepsake,
    commands: mpsc::Sender<Command>,
    rostered: watch::Sender<bool>,
) -> Result<watch::Receiver<LinkState>, WorkerError> {
    let worker = match boot.process {
        ProcessId::Worker(id) => Some(id),
        _ => None,
    };
    let hello = Hello {
        protocol: PROTOCOL,
        build: crate::build::id().to_owned(),
        role: boot.process.role(),
        worker,
        generation: boot.generation,
        pid: std::process::id(),
    };
    let uplink = Uplink {
        path: boot.runtime_dir.join("master.sock"),
        hello,
        outbox: Arc::clone(&reporter.outbox),
        bequeath: {
            let reporter = reporter.clone();
            Box::new(move |adopt| keepsake.bequeath(adopt, reporter.standing()))
        },
    };
    let (stream, welcome) = uplink.connect().await.map_err(WorkerError::Link)?;
    let (state, link) = watch::channel(LinkState::Up {
        master: welcome.pid,
    });
    let heard = Arc::clone(&hub);
    let receive = move |header, body: &[u8]| receive(&heard, &commands, &rostered, header, body);
    // All questions pass the master: those under way are over with the link.
    actix_rt::spawn(uplink.keep(stream, state, move || hub.link_lost(), receive));
    Ok(link)
}

fn receive(
    hub: &Arc<Hub>,
    commands: &mpsc::Sender<Command>,
    rostered: &watch::Sender<bool>,
    header: Header,
    body: &[u8],
) -> Result<(), Closed> {
    let broken = |source| Closed::Message {
        kind: header.kind,
        source,
    };
    if hub.receive(ProcessId::Master, header, body)? {
        return Ok(());
    }
    if header == Command::HEADER {
        let command = codec::decode(body).map_err(broken)?;
        if let Err(e) = commands.try_send(command) {
            warn!(error = %e, "a command was dropped");
        }
    } else if header == Roster::HEADER {
        hub.set_roster(codec::decode(body).map_err(broken)?);
        rostered.send_replace(true);
    } else {
        hub.counters()
            .unknown_kinds
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
    Ok(())
}
