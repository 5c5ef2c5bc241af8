//! The table of keys: each is declared here, once, and nowhere else.

use std::ffi::OsStr;
use std::thread::available_parallelism;

use super::entry::{Key, Unset, is_name_char, name_of};
use super::field::{Field, Hosts, Ignored, Lens, Maybe, One};
use super::rule::{Address, Choice, FilePath, Number, SecretText, Size, Switch, Text, Time};
use super::{CacheMode, DebugServer, EcvMode, LogTarget};

const LISTENING: &str = "Listening";
const PROCESSES: &str = "Processes";
const TIMES: &str = "Times (500ms, 30s, 5min, 2h and 3d are understood)";
const FILES: &str = "Files";
const ECV: &str = "What the load balancer is told (ECV)";
const CACHE: &str = "Shared cache";
const WATCH: &str = "Watching and debugging";

const MAX_WORKERS: u32 = 512;
const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600_000;
const DAY: u64 = 86_400_000;

const PORT: Number<u16> = Number {
    placeholder: "PORT",
    min: 0,
    max: u16::MAX,
};
const UP_TO_A_DAY: Time = Time {
    plain: 1,
    min: 1,
    max: DAY,
};
const FILE: FilePath = FilePath {
    placeholder: "FILE",
};
const DIR: FilePath = FilePath { placeholder: "DIR" };
const NAME: Text = Text {
    placeholder: "NAME",
    noun: "a name",
    allowed: "1 to 64 of A-Z a-z 0-9 . _ -, the first a letter, a digit or _",
    accepts: is_name,
};
const ROUTE: Text = Text {
    placeholder: "PATH",
    noun: "a path of a URL",
    allowed: "/ and up to 255 printable ASCII characters, none of them a space or one of ? # { }",
    accepts: is_route,
};
const URL: Text = Text {
    placeholder: "URL",
    noun: "a URL",
    allowed: "http://HOST... or https://HOST..., up to 2048 printable ASCII characters",
    accepts: is_url,
};

const HOST_NAME: Text = Text {
    placeholder: "NAME",
    noun: "a host name",
    allowed: "1 to 253 of a-z A-Z 0-9 . -",
    accepts: is_host_name,
};

/// The two ways to a field, from its path.
macro_rules! at {
    ($($field:ident).+) => {
        Lens { get: |options| &options.$($field).+, get_mut: |options| &mut options.$($field).+ }
    };
}

/// A line of the table.
macro_rules! key {
    ($heading:ident, $path:literal $(or $alias:literal)*, $default:expr, $field:expr, $help:literal) => {
        Key {
            path: $path,
            heading: $heading,
            default: $default,
            help: $help,
            aliases: &[$($alias),*],
            field: { const FIELD: &dyn Field = &$field; FIELD },
        }
    };
}

use Unset::{Derived, Is, Means};

/// Every key, in the order of `--help`.
#[rustfmt::skip] // A line a key reads as the table it is.
pub(super) static KEYS: &[Key] = &[
    key!(LISTENING, "host", Is("0.0.0.0"), Hosts { at: at!(hosts), max: 16 },
        "Where the application listens; may be given several times"),
    key!(LISTENING, "port", Is("8080"), One { at: at!(port), rule: PORT },
        "The application's port; 0 takes any free one"),
    key!(LISTENING, "mon-host", Is("127.0.0.1"), One { at: at!(mon_host), rule: Address },
        "The address the monitor listens on; where it is no loopback one, who acts there needs --mon-token"),
    key!(LISTENING, "mon-port", Is("8081"), One { at: at!(mon_port), rule: PORT },
        "The monitor's port; 0 takes any free one"),
    key!(LISTENING, "mon-token" or "monitor-token", Means("nobody acts by way of another address than a loopback one"),
        Maybe { at: at!(mon_token), rule: SecretText { allowed: "16 to 256 printable ASCII characters, none of them a space", accepts: is_token } },
        "Who acts by way of the monitor sends it (Authorization: Bearer TOKEN); CLUSTER_MON_TOKEN keeps it out of the list of processes"),
    key!(LISTENING, "mon-name", Means("addresses, localhost and the machine's name"), Maybe { at: at!(mon_name), rule: HOST_NAME },
        "A further name by which browsers may reach the monitor"),
    key!(LISTENING, "mon-behind-proxy", Is("false"), One { at: at!(mon_behind_proxy), rule: Switch },
        "Let whoever reaches the monitor act, whatever its address: a proxy in front of it lets in only those who may"),
    key!(LISTENING, "tls.cert", Means("plain HTTP"), Maybe { at: at!(tls.cert), rule: FILE },
        "The certificate chain to serve TLS with, PEM; needs --tls.key"),
    key!(LISTENING, "tls.key", Means("plain HTTP"), Maybe { at: at!(tls.key), rule: FILE },
        "The private key of the certificate, PEM; needs --tls.cert"),
    key!(LISTENING, "skip-check-busy-ports", Is("false"), One { at: at!(skip_check_busy_ports), rule: Switch },
        "Start without checking first that the ports are free"),

    key!(PROCESSES, "name", Derived("the program's file stem", name_of), One { at: at!(name), rule: NAME },
        "The cluster's name, by which `cluster status` and its like find it"),
    key!(PROCESSES, "workers" or "noWorkers" or "no-workers", Derived("the number of CPU cores", cores),
        One { at: at!(workers), rule: Number { placeholder: "N", min: 1, max: MAX_WORKERS } },
        "Worker processes"),
    key!(PROCESSES, "threads", Is("1"), One { at: at!(threads), rule: Number { placeholder: "N", min: 1, max: 64 } },
        "HTTP threads of each worker"),
    key!(PROCESSES, "spin", Is("100"), One { at: at!(spin), rule: Number { placeholder: "MICROSECONDS", min: 0, max: 10_000 } },
        "How long a thread stays awake for the next message of a busy link; 0: never"),
    key!(PROCESSES, "max-requests", Means("however many"),
        Maybe { at: at!(max_requests), rule: Number { placeholder: "N", min: 1, max: 1_000_000_000_000_000 } },
        "Replace a worker that has answered so many requests"),
    key!(PROCESSES, "max-memory", Means("4/5 of the control group's limit, divided by --workers"),
        Maybe { at: at!(max_memory), rule: Size { min: 1 << 20, max: 16 << 40 } },
        "Replace a worker that takes more memory of its own than this, three heartbeats in a row"),
    key!(PROCESSES, "warm-up-port", Is("0"), One { at: at!(warm_up_port), rule: PORT },
        "The loopback port on which a worker is warmed up; 0 takes any free one"),

    key!(TIMES, "max-age", Is("3d"), One { at: at!(max_age), rule: Time { plain: SECOND, min: SECOND, max: 36_500 * DAY } },
        "The age at which a worker is replaced"),
    key!(TIMES, "max-lag", Means("however late"), Maybe { at: at!(max_lag), rule: UP_TO_A_DAY },
        "Replace a worker whose timers are later than this, three heartbeats in a row"),
    key!(TIMES, "start-timeout", Is("60s"), One { at: at!(start_timeout), rule: UP_TO_A_DAY },
        "How long a new worker may go without a report before its start has failed"),
    key!(TIMES, "warm-up-timeout", Is("60s"), One { at: at!(warm_up_timeout), rule: UP_TO_A_DAY },
        "How long the warm-up of a worker may take"),
    key!(TIMES, "stop-timeout", Is("60s"), One { at: at!(stop_timeout), rule: UP_TO_A_DAY },
        "How long a process may drain before it is made to stop"),
    key!(TIMES, "orphan-timeout", Is("60s"), One { at: at!(orphan_timeout), rule: UP_TO_A_DAY },
        "How long a worker whose master died serves on before it drains and exits"),
    key!(TIMES, "heartbeat-interval", Is("5s"), One { at: at!(heartbeat_interval), rule: Time { plain: 1, min: 10, max: HOUR } },
        "The time between two heartbeats of a process"),

    key!(FILES, "runtime-dir", Means("cluster/NAME under $XDG_RUNTIME_DIR, /run or /tmp"),
        Maybe { at: at!(runtime_dir), rule: DIR },
        "Where the cluster's sockets and its lock live"),
    key!(FILES, "pids", Means("no pid files"), Maybe { at: at!(pids), rule: DIR },
        "Write a pid file for each process to this directory"),
    key!(FILES, "log", Means("stderr; but files where that is /dev/null or closed, outside of containers and systemd"),
        Maybe { at: at!(log), rule: Choice { all: &[("stderr", LogTarget::Stderr), ("files", LogTarget::Files)] } },
        "Where the log goes, and whatever else processes print: to standard error, or to files of each process, which `cluster logs` shows"),
    key!(FILES, "log-dir", Is("log"), One { at: at!(log_dir), rule: DIR },
        "The directory of these files: NAME.PROCESS.log, and up to three older ones, of 4 MiB each"),

    key!(ECV, "ecv.mode", Is("control"), One { at: at!(ecv.mode), rule: Choice { all: &[("control", EcvMode::Control), ("monitor", EcvMode::Monitor)] } },
        "Who decides: the operator who marks the cluster up and down, or a probe of --ecv.monitor"),
    key!(ECV, "ecv.root", Is("/ecv"), One { at: at!(ecv.root), rule: ROUTE },
        "The monitor's path that answers 200 when up and 503 when down"),
    key!(ECV, "ecv.mark-up", Is("/ecv/enable"), One { at: at!(ecv.mark_up), rule: ROUTE },
        "The path that marks the cluster up"),
    key!(ECV, "ecv.mark-down", Is("/ecv/disable"), One { at: at!(ecv.mark_down), rule: ROUTE },
        "The path that marks the cluster down"),
    key!(ECV, "ecv.monitor", Means("nothing is probed"), Maybe { at: at!(ecv.monitor), rule: URL },
        "The application's URL to probe; needed with --ecv.mode monitor"),
    key!(ECV, "ecv.min", Is("1"), One { at: at!(ecv.min), rule: Number { placeholder: "N", min: 0, max: MAX_WORKERS } },
        "The cluster is down while fewer workers than this serve"),
    key!(ECV, "ecv.disabled", Is("false"), One { at: at!(ecv.disabled), rule: Switch },
        "Leave these paths out"),

    key!(CACHE, "cache.enable", Is("true"), One { at: at!(cache.enable), rule: Switch },
        "Run the cache shared by all processes"),
    key!(CACHE, "cache.mode", Is("standalone"), One { at: at!(cache.mode), rule: Choice { all: &[("standalone", CacheMode::Standalone), ("master", CacheMode::Master)] } },
        "Where its owner runs: in a process of its own, or in the master"),
    key!(CACHE, "cache.domain-path", Means("inside the runtime directory"), Maybe { at: at!(cache.domain_path), rule: FILE },
        "The path of the socket the cache is reached at"),
    key!(CACHE, "cache.persist-path", Means("nothing outlives the cluster"), Maybe { at: at!(cache.persist_path), rule: FILE },
        "Where what is to outlive the cluster is kept"),
    key!(CACHE, "cache.sync", Is("false"), One { at: at!(cache.sync), rule: Switch },
        "Have what is to outlive the cluster survive a loss of power too: every change waits for the disk"),
    key!(CACHE, "cache.timeout", Is("3s"), One { at: at!(cache.timeout), rule: Time { plain: 1, min: 1, max: HOUR } },
        "How long a request to the cache may take"),
    key!(CACHE, "cache.max-bytes", Means("a quarter of the memory there is"),
        Maybe { at: at!(cache.max_bytes), rule: Size { min: 1 << 20, max: 16 << 40 } },
        "How many bytes the cache may hold"),

    key!(WATCH, "nanny.enable", Is("true"), One { at: at!(nanny.enable), rule: Switch },
        "Replace workers that have fallen silent"),
    key!(WATCH, "nanny.tolerance", Is("3min"), One { at: at!(nanny.tolerance), rule: UP_TO_A_DAY },
        "How long a worker may be silent"),
    key!(WATCH, "debug.server", Means("gdbserver, else lldb-server"),
        Maybe { at: at!(debug.server), rule: Choice { all: &[("gdbserver", DebugServer::Gdbserver), ("lldb-server", DebugServer::LldbServer)] } },
        "What attaches to a worker that is debugged"),
    key!(WATCH, "debug.port", Means("off"), Maybe { at: at!(debug.port), rule: PORT },
        "The port of the debug protocol; 0 takes any free one"),
    key!(WATCH, "debug.web-port", Means("off"), Maybe { at: at!(debug.web_port), rule: PORT },
        "The port of the debug pages; 0 takes any free one"),
    key!(WATCH, "gc.monitor", Is("false"), One { at: at!(gc.monitor), rule: Switch },
        "Watch the memory of every process, and show it as the status gc"),
    key!(WATCH, "gc.explicit", Is("false"), One { at: at!(gc.explicit), rule: Switch },
        "Let an operator have free memory returned to the system, by setting the status gc"),

    key!(WATCH, "gc.idle-notification", Means("ignored"),
        Ignored { why: "Rust has no garbage collector that could be told of idle time" }, "Ignored"),
    key!(WATCH, "debug.save-live-edit", Means("ignored"),
        Ignored { why: "compiled code cannot be edited while it runs" }, "Ignored"),
    key!(WATCH, "debug.hidden", Means("ignored"),
        Ignored { why: "there is no script debugger whose files could be hidden" }, "Ignored"),
];

/// The key of this path.
pub(super) fn key(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

fn cores(_: &OsStr) -> String {
    let cores = available_parallelism().map_or(1, usize::from);
    cores.min(MAX_WORKERS as usize).to_string()
}

fn is_name(text: &str) -> bool {
    // A name is a directory too: "..", hidden ones and what looks like a flag are left to others.
    (1..=64).contains(&text.len())
        && text.chars().all(is_name_char)
        && !text.starts_with(['.', '-'])
}

fn is_host_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    (1..=253).contains(&text.len()) && text.bytes().all(plain)
}

fn is_token(text: &str) -> bool {
    (16..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

fn is_route(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'{' | b'}');
    text.len() <= 256 && text.starts_with('/') && text.bytes().all(plain)
}

fn is_url(text: &str) -> bool {
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#', ':']))
        && text.len() <= 2048
        && text.bytes().all(|b| b.is_ascii_graphic())
}
