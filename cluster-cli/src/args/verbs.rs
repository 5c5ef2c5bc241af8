//! The verbs, and what each takes.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap_complete::Shell;
use cluster_core::Addressee;

use super::addressee;

/// Run an application as a cluster, and start its master anew whenever it dies
#[derive(Debug, Args)]
#[command(after_help = "\
What is run: the program PATH; or with --bin a binary of the cargo package or workspace here, built first; or else the \
binary of the cargo package here. Everything after `--` goes to the application, as do --name and --runtime-dir.

This process stays: it forwards SIGTERM, SIGINT and SIGHUP to the master, and exits with the master's own code, or with \
128 and the number of the signal that killed it. A master that does not live for 2 s at its first start is not started anew.

Examples:
  cluster run ./target/release/hello -- --port 8080
  cluster run --release --bin hello -- --workers 4
  cluster run -- --help")]
pub(crate) struct Run {
    /// The program; one without a slash is looked for in PATH
    #[arg(value_name = "PATH", conflicts_with_all = ["bin", "release"])]
    pub(crate) path: Option<PathBuf>,
    /// Build this binary of the package or workspace here, and run it
    #[arg(long, value_name = "NAME")]
    pub(crate) bin: Option<String>,
    /// Build it with optimisations
    #[arg(long)]
    pub(crate) release: bool,
    /// What the application is given
    #[arg(last = true, value_name = "FLAGS")]
    pub(crate) args: Vec<OsString>,
}

/// How long to wait for the master.
#[derive(Debug, Args)]
pub(crate) struct Answer {
    /// How long to wait for the answer, in ms
    #[arg(long, value_name = "MS", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1..=86_400_000))]
    timeout: u64,
}

impl Answer {
    pub(crate) fn within(&self) -> Duration {
        Duration::from_millis(self.timeout)
    }
}

/// Show the cluster: its workers, what they do, and which are to be replaced
#[derive(Debug, Args)]
#[command(after_help = "\
The columns: TPS, P50 and P99 are requests per second and their times since the last heartbeat, CONNS is open \
connections, RSS resident memory. With --json, more figures than the table has room for.

Examples:
  cluster status
  cluster status shop
  cluster status --json | jq .serving")]
pub(crate) struct Status {
    /// The cluster of this name (the same as --name)
    #[arg(id = "cluster", value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

/// Stop the cluster, and wait until nothing of it is left
#[derive(Debug, Args)]
#[command(after_help = "\
Health probes are told \"down\", workers finish what they have, then all ends. A second stop waits for no probe.

Examples:
  cluster stop
  cluster stop --timeout 5000
  cluster stop --timeout 0     (at once: what is under way is lost)")]
pub(crate) struct Stop {
    /// How long workers may take to finish what they have, in ms; the cluster's own --stop-timeout by default
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(0..=86_400_000))]
    pub(crate) timeout: Option<u64>,
}

/// Replace every worker by a new one, one at a time, without losing a request
#[derive(Debug, Args)]
#[command(after_help = "\
A new worker serves before the old one leaves. Where new workers do not start, the old ones are kept, and with --wait \
the exit code is 8. A restart that is under way already is joined.

Examples:
  cluster restart
  cluster restart --wait && echo replaced")]
pub(crate) struct Restart {
    /// Wait until all are replaced, and fail if that fails
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait, in ms: for the answer, 5000 by default; with --wait for the end, without limit by default
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=86_400_000))]
    timeout: Option<u64>,
}

impl Restart {
    pub(crate) fn within(&self) -> Option<Duration> {
        self.timeout.map(Duration::from_millis)
    }
}

/// Move the whole cluster to the program that now lies on disk, without losing a request
#[derive(Debug, Args)]
#[command(after_help = "\
The program is run with --check first. Then workers are replaced by such of the new build, one at a time, the cache manager \
hands over what it holds, and the master is exchanged in place: its pid stays. Where any of them does not come up, the old build \
is put back, and with --wait the exit code is 8.

Example:
  mv target/release/hello /srv/hello && cluster upgrade --wait")]
pub(crate) struct Upgrade {
    /// Wait until all processes run the new build, and fail if that fails
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait, in ms: for the check, 30000 by default; with --wait for the end, without limit by default
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=86_400_000))]
    timeout: Option<u64>,
}

impl Upgrade {
    pub(crate) fn within(&self) -> Option<Duration> {
        self.timeout.map(Duration::from_millis)
    }
}

/// Change the number of workers
#[derive(Debug, Args)]
#[command(after_help = "\
Workers are started, or leave after they have finished what they have. The number goes for this run of the cluster.

Example:
  cluster scale 8")]
pub(crate) struct Scale {
    /// How many are wanted (1 to 512)
    #[arg(value_name = "N")]
    pub(crate) workers: u32,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

/// Let one worker, or all, finish what they have and accept no more
#[derive(Debug, Args)]
#[command(after_help = "\
The process stays, and serves again after `cluster resume`. With all workers paused connections wait, and health probes \
are told \"down\".

Examples:
  cluster pause 3
  cluster pause")]
pub(crate) struct Pause {
    /// Its id or pid; all workers without one
    pub(crate) worker: Option<u32>,
    /// Pause it even if it is the last one that serves
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

/// Let one worker, or all, accept again
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cluster resume 3
  cluster resume")]
pub(crate) struct Resume {
    /// Its id or pid; all workers without one
    pub(crate) worker: Option<u32>,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

/// Emit an event to processes of the cluster
#[derive(Debug, Args)]
#[command(after_help = "\
Without --to it is told as the master itself would tell it: to the master and all workers that serve.

Examples:
  cluster emit shop.PriceChanged '{\"sku\": \"A7\", \"cents\": 250}'
  cluster emit shop.Reload null --to workers
  cluster emit shop.Reload null --to worker:3,cache-manager")]
pub(crate) struct Emit {
    /// The stable name of the event
    #[arg(value_name = "NAME")]
    pub(crate) event: String,
    /// Its value
    #[arg(value_name = "JSON", value_parser = json, allow_negative_numbers = true)]
    pub(crate) value: String,
    /// Whom it is told: master, workers, cache-manager, worker:N (id or pid); several by commas or by giving it again
    #[arg(long, value_name = "WHOM", value_delimiter = ',', value_parser = addressee::read)]
    pub(crate) to: Vec<Addressee>,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

/// Print the units with which systemd runs an application as a cluster
#[derive(Debug, Args)]
#[command(after_help = "\
A service and the socket that belongs to it, each below the name of its file. systemd starts the application itself, as \
it does what `cluster run` is for: it restarts a master that dies, is told when all workers serve, and watches that the \
master is not stuck. With the socket unit enabled, connections wait while the cluster is restarted.

PATH is the program, or /usr/local/bin/NAME without it; everything after `--` is given to it, and the units heed what of it \
says where the application listens and how long a start or a stop may take. What a cluster.toml or variables say is not \
known here.

Examples:
  cluster systemd ./target/release/hello -- --port 80 --workers 4
  cluster systemd --name shop /opt/shop/bin/shop
  cluster --json systemd /opt/shop/bin/shop | jq -r .service.text > /etc/systemd/system/shop.service")]
pub(crate) struct Systemd {
    /// The program; one without a slash is looked for in PATH
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<PathBuf>,
    /// What the application is given
    #[arg(last = true, value_name = "FLAGS")]
    pub(crate) args: Vec<OsString>,
}

/// Print what makes a shell complete this command
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cluster completions bash > ~/.local/share/bash-completion/completions/cluster
  cluster completions zsh > ~/.zfunc/_cluster
  cluster completions fish > ~/.config/fish/completions/cluster.fish")]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: Shell,
}

/// A JSON text, as it was given.
fn json(text: &str) -> Result<String, serde_json::Error> {
    serde_json::from_str::<serde::de::IgnoredAny>(text)?;
    Ok(text.to_owned())
}
