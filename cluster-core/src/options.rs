//! What an operator may set, and where it was set: the only reader of the environment and of files.
//!
//! Every key is declared once, in `table`; flags, variables, the check of `cluster.toml` and `--help` are derived from
//! it. The layers, each over the one before: defaults, `cluster.toml`, `CLUSTER_*`, flags, code.

mod check;
mod entry;
mod error;
mod field;
mod file;
mod flags;
mod groups;
mod host;
mod loader;
mod millis;
mod nearest;
mod origin;
mod quantity;
mod quote;
mod rule;
mod secret;
mod table;
#[cfg(test)]
mod tests;
mod variables;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use error::{AppFlagProblem, OptionsError};
pub use groups::{
    CacheMode, CacheServiceOptions, DebugOptions, DebugServer, EcvMode, EcvOptions, GcOptions,
    LogTarget, NannyOptions, TlsOptions,
};
pub use host::Host;
pub use loader::{Loader, Outcome, Sources};
pub use origin::{Origin, Place};
pub use secret::Secret;

use origin::Settled;

/// Everything that can be set about a cluster.
///
/// The fields are the last layer: change them after [`Options::load`], then call [`Options::validate`].
/// Durations count in whole milliseconds; what is finer is cut off when the options are handed to another process.
///
/// Options can be serialised, so that a master hands its own to the processes it starts; fields that an older master
/// does not know are filled with their defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Options {
    /// The cluster's name, by which its runtime directory is found: 1 to 64 characters of `A-Z a-z 0-9 . _ -`, the
    /// first of them a letter, a digit or `_`. Default: the file stem of the program.
    pub name: String,
    /// Where the application listens, 1 to 16 of them. Default: `0.0.0.0`, every IPv4 address of the machine.
    pub hosts: Vec<Host>,
    /// The application's port, on each address among `hosts`; 0 takes any free one. Default: 8080. Where a service manager gives listening sockets
    /// (`LISTEN_FDS`), one stands in for the address that it is at; and for all of them where this is 0 or nobody has set it.
    pub port: u16,
    /// The monitor's port; 0 takes any free one. Default: 8081.
    pub mon_port: u16,
    /// The address the monitor listens on. Default: `127.0.0.1`.
    pub mon_host: IpAddr,
    /// What whoever acts by way of the monitor has to show: 16 to 256 printable ASCII characters. Default: none; then nobody acts there but
    /// where the monitor listens on a loopback address or a Unix socket.
    pub mon_token: Option<Secret>,
    /// A name by which browsers may reach the monitor, besides its addresses, `localhost` and the machine's own name. Default: none.
    pub mon_name: Option<String>,
    /// Whoever reaches the monitor may act, whatever its address, as a proxy in front of it lets in only those who may. Default: false.
    pub mon_behind_proxy: bool,
    /// Worker processes, 1 to 512. Default: the number of CPU cores.
    pub workers: u32,
    /// HTTP threads of each worker, 1 to 64. Default: 1.
    pub threads: u32,
    /// Microseconds that a thread stays awake for the next message of a busy link before it falls asleep, 0 to 10000; with 0 it never
    /// does. It stays awake only where messages follow each other that closely, and whoever else is ready to run gets its core. Default: 100.
    pub spin: u32,
    /// Where sockets and the lock live. Default: derived from the user and the cluster's name.
    pub runtime_dir: Option<PathBuf>,
    /// The loopback port on which a worker is warmed up; 0, the default, takes any free one.
    pub warm_up_port: u16,
    /// How long a warm-up may take, 1 ms to 1 day. Default: 60 s.
    #[serde(with = "millis")]
    pub warm_up_timeout: Duration,
    /// The age at which a worker is replaced, 1 s to 36500 days. Default: 3 days.
    #[serde(with = "millis")]
    pub max_age: Duration,
    /// Requests after which a worker is replaced, 1 to 10^15. Default: however many.
    pub max_requests: Option<u64>,
    /// Bytes of memory of its own above which a worker is replaced, 1 MiB to 16 TiB. Default: where a control group sets a limit, four
    /// fifths of it, divided by the number of workers; else however many.
    pub max_memory: Option<u64>,
    /// How late the timers of a worker may be before it is replaced, 1 ms to 1 day. Default: however late.
    #[serde(with = "millis::maybe")]
    pub max_lag: Option<Duration>,
    /// The time between two heartbeats of a process, 10 ms to 1 h. Default: 5 s.
    #[serde(with = "millis")]
    pub heartbeat_interval: Duration,
    /// How long a process may drain before it is made to stop, 1 ms to 1 day. Default: 60 s.
    #[serde(with = "millis")]
    pub stop_timeout: Duration,
    /// How long a new worker may go without a report before its start has failed, 1 ms to 1 day. Default: 60 s.
    #[serde(with = "millis")]
    pub start_timeout: Duration,
    /// How long a worker without a master waits to be adopted, 1 ms to 1 day. Default: 60 s.
    #[serde(with = "millis")]
    pub orphan_timeout: Duration,
    /// Leaves out the check for busy ports before anything is started. Default: false.
    pub skip_check_busy_ports: bool,
    /// The directory to write pid files to. Default: none are written.
    pub pids: Option<PathBuf>,
    /// Where the log goes, and with it whatever else processes print. Default: decided when the cluster starts. It is standard error,
    /// but files where standard error is closed or `/dev/null`, outside of containers and systemd.
    pub log: Option<LogTarget>,
    /// The directory of log files. Default: `log` in the working directory of the master.
    pub log_dir: PathBuf,
    /// The certificate served to clients.
    pub tls: TlsOptions,
    /// What the load balancer is told.
    pub ecv: EcvOptions,
    /// The shared cache.
    pub cache: CacheServiceOptions,
    /// Debugging.
    pub debug: DebugOptions,
    /// Memory.
    pub gc: GcOptions,
    /// The watch over silent workers.
    pub nanny: NannyOptions,
    app: BTreeMap<String, String>,
    rest: Vec<String>,
    warnings: Vec<String>,
    settled: BTreeMap<String, Settled>,
}

impl Options {
    /// Reads `cluster.toml`, the variables and the flags of this process.
    ///
    /// The file is that of `--config`, else of `CLUSTER_CONFIG`, else `./cluster.toml` if there is one. On `--help` and
    /// `--version` it prints and ends the process with exit code 0.
    ///
    /// ```no_run
    /// let mut options = cluster_core::Options::load()?;
    /// options.workers = options.workers.max(2); // the last layer: code
    /// options.validate()?;
    /// # Ok::<(), cluster_core::OptionsError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, as one line that names the key, its source and what is allowed.
    pub fn load() -> Result<Self, OptionsError> {
        Self::loader().load()
    }

    /// A loader, for an application that has flags, a version or a description of its own.
    pub fn loader() -> Loader {
        Loader::default()
    }

    /// Reads the options out of `sources`, and nothing else.
    ///
    /// ```
    /// use cluster_core::{Options, Outcome, Sources};
    ///
    /// let outcome = Options::from_sources(Sources {
    ///     env: vec![("CLUSTER_WORKERS".into(), "2".into())],
    ///     args: vec!["hello".into(), "--workers=4".into()],
    ///     ..Sources::default()
    /// })?;
    /// let Outcome::Run(options) = outcome else { unreachable!("neither --help nor --version") };
    /// assert_eq!((options.name.as_str(), options.workers), ("hello", 4));
    /// # Ok::<(), cluster_core::OptionsError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Options::load`].
    pub fn from_sources(sources: Sources) -> Result<Outcome, OptionsError> {
        Self::loader().read(sources)
    }

    /// The value of a flag that the application registered with [`Loader::flag`]; `None` if it was neither given nor
    /// has a default, or was never registered.
    pub fn app(&self, name: &str) -> Option<&str> {
        self.app.get(name).map(String::as_str)
    }

    /// The arguments after `--`, which are the application's.
    pub fn rest(&self) -> &[String] {
        &self.rest
    }

    /// What was accepted and means nothing here, each as a line to be logged.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The defaults, for a program started by this name.
    fn with_defaults(program: &OsStr) -> Self {
        let mut options = Self::blank();
        for key in table::KEYS {
            if let Some(values) = key.default.values(program) {
                key.field
                    .set(&mut options, &values)
                    .expect("every default in the table keeps its own bounds: a test says so");
            }
        }
        options
    }

    /// A tree for the table's defaults to be put into; its values mean nothing.
    fn blank() -> Self {
        let unset = Ipv4Addr::UNSPECIFIED.into();
        Self {
            name: String::new(),
            hosts: Vec::new(),
            port: 0,
            mon_port: 0,
            mon_host: unset,
            mon_token: None,
            mon_name: None,
            mon_behind_proxy: false,
            workers: 0,
            threads: 0,
            spin: 0,
            runtime_dir: None,
            warm_up_port: 0,
            warm_up_timeout: Duration::ZERO,
            max_age: Duration::ZERO,
            max_requests: None,
            max_memory: None,
            max_lag: None,
            heartbeat_interval: Duration::ZERO,
            stop_timeout: Duration::ZERO,
            start_timeout: Duration::ZERO,
            orphan_timeout: Duration::ZERO,
            skip_check_busy_ports: false,
            pids: None,
            log: None,
            log_dir: PathBuf::new(),
            tls: TlsOptions::blank(),
            ecv: EcvOptions::blank(),
            cache: CacheServiceOptions::blank(),
            debug: DebugOptions::blank(),
            gc: GcOptions::blank(),
            nanny: NannyOptions::blank(),
            app: BTreeMap::new(),
            rest: Vec::new(),
            warnings: Vec::new(),
            settled: BTreeMap::new(),
        }
    }
}

impl Default for Options {
    /// The defaults alone; the name is that of the running program.
    fn default() -> Self {
        Self::with_defaults(&std::env::args_os().next().unwrap_or_default())
    }
}
