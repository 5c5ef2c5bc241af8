//! The groups of the tree: what stands under one heading of `cluster.toml`.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Options, millis};

/// Where the log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LogTarget {
    /// To the standard error stream.
    Stderr,
    /// To files of each process, in [`Options::log_dir`]. Its standard output and error lead there as well.
    Files,
}

/// The certificate served to clients: both files or neither.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TlsOptions {
    /// The certificate chain, PEM. Default: none, plain HTTP is served.
    pub cert: Option<PathBuf>,
    /// The private key, PEM. Default: none.
    pub key: Option<PathBuf>,
}

/// Who decides what the load balancer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EcvMode {
    /// An operator, by marking the cluster up and down.
    Control,
    /// A probe of one of the application's own URLs.
    Monitor,
}

/// What the load balancer is told of the cluster (ECV, extended content verification).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct EcvOptions {
    /// Who decides. Default: control.
    pub mode: EcvMode,
    /// The path that answers 200 or 503. Default: `/ecv`.
    pub root: String,
    /// The path that marks the cluster up. Default: `/ecv/enable`.
    pub mark_up: String,
    /// The path that marks the cluster down. Default: `/ecv/disable`.
    pub mark_down: String,
    /// Leaves the three paths out. Default: false.
    pub disabled: bool,
    /// The URL to probe, needed in monitor mode. Default: none.
    pub monitor: Option<String>,
    /// How many workers must serve for the answer to be 200, 0 to 512. Default: 1.
    pub min: u32,
}

/// Where the owner of the shared cache runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CacheMode {
    /// In a process of its own.
    Standalone,
    /// In the master.
    Master,
}

/// The shared cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct CacheServiceOptions {
    /// Whether there is one. Default: true.
    pub enable: bool,
    /// Where its owner runs. Default: standalone.
    pub mode: CacheMode,
    /// The path of the socket it is reached at. Default: inside the runtime directory.
    pub domain_path: Option<PathBuf>,
    /// Where what is to outlive the cluster is kept. Default: nowhere, nothing outlives it.
    pub persist_path: Option<PathBuf>,
    /// Whether each change of what is kept waits for the disk, and so survives a loss of power. Default: false.
    pub sync: bool,
    /// How long a request to it may take, 1 ms to 1 h. Default: 3 s.
    #[serde(with = "millis")]
    pub timeout: Duration,
    /// How many bytes it may hold, 1 MiB to 16 TiB. Default: a quarter of the memory that it may have.
    pub max_bytes: Option<u64>,
    /// Whether its owner is to run also where it is disabled, as the application has it keep more than the cache; said in code alone.
    pub keeps_more: bool,
}

impl CacheServiceOptions {
    /// Whether its owner runs.
    pub fn runs(&self) -> bool {
        self.enable || self.keeps_more
    }
}

/// What attaches to a worker for a debugger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DebugServer {
    /// For gdb.
    Gdbserver,
    /// For lldb.
    LldbServer,
}

/// Debugging.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct DebugOptions {
    /// What attaches to a worker. Default: gdbserver where there is one, else lldb-server.
    pub server: Option<DebugServer>,
    /// The port of the debug protocol; 0 takes any free one. Default: none.
    pub port: Option<u16>,
    /// The port of the debug pages; 0 takes any free one. Default: none.
    pub web_port: Option<u16>,
}

/// Memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct GcOptions {
    /// Watches the memory of every process and shows it. Default: false.
    pub monitor: bool,
    /// Lets an operator have free memory returned to the system. Default: false.
    pub explicit: bool,
}

/// The watch over silent workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct NannyOptions {
    /// Whether silent workers are replaced. Default: true.
    pub enable: bool,
    /// How long a worker may be silent, 1 ms to 1 day. Default: 3 min.
    #[serde(with = "millis")]
    pub tolerance: Duration,
}

/// The group's defaults are the table's; its blank is what the table fills in.
macro_rules! group {
    ($group:ident at $field:ident: $blank:expr) => {
        impl $group {
            pub(super) fn blank() -> Self {
                $blank
            }
        }

        impl Default for $group {
            fn default() -> Self {
                Options::default().$field
            }
        }
    };
}

group!(TlsOptions at tls: Self { cert: None, key: None });
group!(EcvOptions at ecv: Self {
    mode: EcvMode::Control,
    root: String::new(),
    mark_up: String::new(),
    mark_down: String::new(),
    disabled: false,
    monitor: None,
    min: 0,
});
group!(CacheServiceOptions at cache: Self {
    enable: false,
    mode: CacheMode::Standalone,
    domain_path: None,
    persist_path: None,
    sync: false,
    timeout: Duration::ZERO,
    max_bytes: None,
    keeps_more: false,
});
group!(DebugOptions at debug: Self { server: None, port: None, web_port: None });
group!(GcOptions at gc: Self { monitor: false, explicit: false });
group!(NannyOptions at nanny: Self { enable: false, tolerance: Duration::ZERO });
