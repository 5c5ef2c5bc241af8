//! Health marks: what a load balancer that probes this node is told.
//!
//! In *control* mode an operator decides, by marking the node up or down. In *monitor* mode a probe of the application decides. In a
//! cluster the node is down by itself, too, when it stops and while fewer than `--ecv.min` workers serve.

mod probe;
mod same_site;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use cluster_core::{Cluster, ClusterState, EcvMode, EcvOptions, Mark, NodeState, Operation};
use tracing::info;

pub use probe::{ProbeError, Probed};
pub(crate) use same_site::is_same_site;

use crate::monitor::{RightToAct, audit};
use probe::Probe;

/// Why the node is up or down, for whoever answers the probe.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It takes requests.
    Up,
    /// Not all workers have been ready once.
    Starting,
    /// An operator has marked it down.
    MarkedDown,
    /// It stops.
    Stopping,
    /// Fewer workers serve than it takes.
    TooFewWorkers {
        /// How many serve.
        serving: usize,
        /// How many it takes (`--ecv.min`).
        min: u32,
    },
    /// The probe of the application went badly.
    Unhealthy(String),
}

impl Verdict {
    /// Whether the node is up.
    pub fn is_up(&self) -> bool {
        *self == Verdict::Up
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Verdict::Up => f.write_str("up"),
            Verdict::Starting => f.write_str("starting"),
            Verdict::MarkedDown => f.write_str("marked down"),
            Verdict::Stopping => f.write_str("stopping"),
            Verdict::TooFewWorkers { serving, min } => {
                write!(f, "{serving} workers serve, {min} are needed")
            }
            Verdict::Unhealthy(why) => f.write_str(why),
        }
    }
}

type Respond = Arc<dyn Fn(&Verdict) -> HttpResponse + Send + Sync>;
pub(crate) type Validate = Arc<dyn Fn(Result<Probed, ProbeError>) -> bool + Send + Sync>;

/// How probes are answered.
#[derive(Clone, Default)]
pub struct EcvSettings {
    positive: Option<Respond>,
    negative: Option<Respond>,
    validate: Option<Validate>,
}

impl EcvSettings {
    /// What a probe is answered while the node is up; 200 and `up` unless set.
    pub fn positive(
        &mut self,
        respond: impl Fn(&Verdict) -> HttpResponse + Send + Sync + 'static,
    ) -> &mut Self {
        self.positive = Some(Arc::new(respond));
        self
    }

    /// What a probe is answered while the node is down; 503 and the reason unless set.
    pub fn negative(
        &mut self,
        respond: impl Fn(&Verdict) -> HttpResponse + Send + Sync + 'static,
    ) -> &mut Self {
        self.negative = Some(Arc::new(respond));
        self
    }

    /// In monitor mode: whether what the application answered is good; a status of 200 to 299 unless set.
    pub fn validator(
        &mut self,
        validate: impl Fn(Result<Probed, ProbeError>) -> bool + Send + Sync + 'static,
    ) -> &mut Self {
        self.validate = Some(Arc::new(validate));
        self
    }
}

#[derive(Clone)]
enum Node {
    /// An application of its own, with a mark of its own.
    Alone(Arc<AtomicBool>),
    Cluster(Cluster),
}

/// Health marks, ready to be put into an actix-web application with [`enable`].
#[derive(Clone)]
pub struct Ecv {
    options: EcvOptions,
    settings: EcvSettings,
    node: Node,
    probe: Option<Probe>,
}

impl Ecv {
    /// Health marks for an application that is no cluster.
    ///
    /// # Errors
    ///
    /// In monitor mode, when the URL to probe is none.
    pub fn alone(options: EcvOptions, settings: EcvSettings) -> Result<Self, ProbeError> {
        Self::new(
            options,
            settings,
            Node::Alone(Arc::new(AtomicBool::new(true))),
        )
    }

    fn new(options: EcvOptions, settings: EcvSettings, node: Node) -> Result<Self, ProbeError> {
        let probe = match (options.mode, &options.monitor) {
            (EcvMode::Monitor, Some(url)) => Some(Probe::new(url, settings.validate.clone())?),
            _ => None,
        };
        Ok(Ecv {
            options,
            settings,
            node,
            probe,
        })
    }

    /// What a probe would be told now.
    pub async fn verdict(&self) -> Verdict {
        let standing = match &self.node {
            Node::Alone(up) if !up.load(Ordering::Relaxed) => Verdict::MarkedDown,
            Node::Alone(_) => Verdict::Up,
            Node::Cluster(cluster) => standing(&cluster.state(), self.options.min),
        };
        match &self.probe {
            Some(probe) if standing.is_up() => probe.verdict().await,
            _ => standing,
        }
    }

    async fn answer(&self) -> HttpResponse {
        let verdict = self.verdict().await;
        if let Node::Cluster(cluster) = &self.node {
            cluster.probed(verdict.is_up());
        }
        let respond = if verdict.is_up() {
            &self.settings.positive
        } else {
            &self.settings.negative
        };
        match respond {
            Some(respond) => respond(&verdict),
            None if verdict.is_up() => HttpResponse::Ok().body("up\n"),
            None => HttpResponse::ServiceUnavailable().body(format!("down: {verdict}\n")),
        }
    }

    async fn mark(&self, up: bool) -> HttpResponse {
        match &self.node {
            Node::Alone(mark) => {
                mark.store(up, Ordering::Relaxed);
                info!(up, "the node was marked");
            }
            Node::Cluster(cluster) => {
                let operation = if up {
                    Operation::MarkUp
                } else {
                    Operation::MarkDown
                };
                if let Err(e) = cluster.operate(operation).await {
                    return HttpResponse::Conflict().body(format!("{e}\n"));
                }
            }
        }
        let word = if up { "up" } else { "down" };
        HttpResponse::Ok().body(format!("marked {word}\n"))
    }
}

/// What a probe is told of a cluster where nothing of its application is asked.
pub(crate) fn standing(state: &ClusterState, min: u32) -> Verdict {
    match state.state {
        NodeState::Starting => return Verdict::Starting,
        NodeState::Stopping => return Verdict::Stopping,
        _ => {}
    }
    if state.mark == Mark::Down {
        return Verdict::MarkedDown;
    }
    let serving = state.serving();
    if serving < min as usize {
        return Verdict::TooFewWorkers { serving, min };
    }
    Verdict::Up
}

/// The health marks of a cluster; none where they are disabled.
pub(crate) fn of_cluster(
    settings: EcvSettings,
    cluster: &Cluster,
) -> Result<Option<Ecv>, ProbeError> {
    let options = cluster.options().ecv.clone();
    if options.disabled {
        return Ok(None);
    }
    Ecv::new(options, settings, Node::Cluster(cluster.clone())).map(Some)
}

/// Puts the routes of the health marks into an actix-web application: the root that is probed, and in control mode the two marks.
///
/// The marks take GET, as operators are used to, and POST; a browser's cross-site request is refused.
pub fn enable(config: &mut ServiceConfig, ecv: Ecv) {
    let data = Data::new(ecv.clone());
    let mut root = web::resource(&*ecv.options.root).app_data(data.clone());
    root = root
        .route(web::get().to(answer))
        .route(web::head().to(answer));
    config.service(root);
    if ecv.options.mode != EcvMode::Control {
        return;
    }
    for (path, up) in [
        (&ecv.options.mark_up, true),
        (&ecv.options.mark_down, false),
    ] {
        let mark = move |_: RightToAct, request: HttpRequest, ecv: Data<Ecv>| async move {
            audit::tell(&request, if up { "mark up" } else { "mark down" });
            ecv.mark(up).await
        };
        config.service(
            web::resource(path.as_str())
                .app_data(data.clone())
                .route(web::get().to(mark))
                .route(web::post().to(mark)),
        );
    }
}

async fn answer(ecv: Data<Ecv>) -> HttpResponse {
    ecv.answer().await
}
