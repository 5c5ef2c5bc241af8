//! `bench sessions`: actix-session's sessions in a store of ours against its Redis store, and how soon a million of them are there again.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use tempfile::TempDir;

use super::process::Process;
use super::table::{Better, Row, Table};
use super::{BenchError, Plan, release};
use crate::packages::{self, Need};

/// Users of each client where there are many.
const FLIGHT: u32 = 64;
/// The throughput that is required, to Redis's.
const BAR: f64 = 1.3;
/// Sessions of a large store.
const MANY: u64 = 1_000_000;
/// How soon they are to be there again, in milliseconds.
const SOON: f64 = 2000.0;
/// What that is called.
const MILLION: &str = "restart with a million sessions, embedded";

/// What users do, as the client's program calls it and as people do.
const WORKS: [(&str, &str); 3] = [
    ("load", "load"),
    ("save", "save"),
    ("request", "load and update"),
];

/// What is measured, as the client's program calls it.
const STORES: [&str; 4] = ["memory", "embedded", "sqlite", "files"];

/// A server of sessions, and where its clients find it.
struct Server {
    /// What the client's program calls it.
    peer: &'static str,
    place: PathBuf,
    _process: Process,
}

/// Measures all in turn.
///
/// # Errors
/// Where something cannot be built, started or asked.
pub(super) fn run(plan: &Plan) -> Result<Table, BenchError> {
    packages::ensure(Need::Bench)?;
    // Before our own build, which would be taken for somebody else's work.
    let load = super::load_average();
    release::build(&["bench-sessions"])?;
    let home = home()?;
    let mut rows = Vec::new();
    for store in STORES {
        rows.extend(against_redis(plan, home.path(), store)?);
    }
    if plan.wants(MILLION) {
        rows.push(million(plan, home.path())?);
    }
    let note = format!(
        "through actix-session's own trait, over Unix sockets, 64 users at once in each client; medians of {} rounds of {} s, in turn{}",
        plan.rounds,
        plan.length.as_secs(),
        super::busy(load)
            .map(|said| format!("; {said}"))
            .unwrap_or_default(),
    );
    Ok(Table {
        title: "Sessions: against actix-session's Redis store".into(),
        note,
        rows,
    })
}

/// The path of a socket has to be short.
fn home() -> Result<TempDir, BenchError> {
    TempDir::new().map_err(|source| BenchError::Write {
        path: std::env::temp_dir(),
        source,
    })
}

fn program(plan: &Plan) -> PathBuf {
    plan.target.join("release").join("bench-sessions")
}

fn start(
    plan: &Plan,
    peer: &'static str,
    program: &Path,
    words: &[String],
    (place, socket): (PathBuf, &Path),
) -> Result<Server, BenchError> {
    let name = match peer {
        "redis" => "redis-server",
        _ => "bench-sessions",
    };
    let mut process = Process::start(plan, name, program, words)?;
    process.ready(plan, &socket.display().to_string(), || {
        UnixStream::connect(socket).is_ok()
    })?;
    Ok(Server {
        peer,
        place,
        _process: process,
    })
}

fn ours(plan: &Plan, directory: &Path, store: &str) -> Result<Server, BenchError> {
    let words = ["owner", store, &directory.display().to_string()].map(str::to_owned);
    // In large pages, as a master has its cache manager.
    let pages = "GLIBC_TUNABLES=glibc.malloc.hugetlb=1".to_owned();
    let own = program(plan).display().to_string();
    let words = [vec![pages, own], words.to_vec()].concat();
    let socket = directory.join("run/cache.sock");
    let place = (directory.to_owned(), socket.as_path());
    start(plan, "ours", Path::new("env"), &words, place)
}

/// It keeps nothing on disk.
fn redis(plan: &Plan, directory: &Path) -> Result<Server, BenchError> {
    let socket = directory.join("redis.sock");
    let line = format!(
        "--port 0 --unixsocket {} --dir {} --appendonly no",
        socket.display(),
        directory.display()
    );
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    words.extend(["--save".to_owned(), String::new()]);
    let place = (socket.clone(), socket.as_path());
    start(plan, "redis", Path::new("redis-server"), &words, place)
}

fn against_redis(plan: &Plan, home: &Path, store: &'static str) -> Result<Vec<Row>, BenchError> {
    // What waits for a disk is shown, by what a request does.
    let in_memory = matches!(store, "memory" | "embedded");
    let mut orders = Vec::new();
    for clients in if in_memory { 1..=2 } else { 1..=1 } {
        for (work, title) in WORKS {
            if in_memory || work == "request" {
                let plural = if clients == 1 { "" } else { "s" };
                let title = format!("{title}, {store}, {clients} client{plural}");
                orders.push((work, clients, title));
            }
        }
    }
    orders.retain(|(.., title)| plan.wants(title));
    let mut rows = Vec::new();
    for (work, clients, title) in orders {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for round in 1..=plan.rounds {
            let (mine, theirs) = {
                // Afresh each time: saved sessions add up.
                let directory = folder(home, store, &format!("{work}-{clients}-{round}"))?;
                let (ours, redis) = (ours(plan, &directory, store)?, redis(plan, &directory)?);
                let mine = rate(plan, &ours, work, clients)?;
                let theirs = rate(plan, &redis, work, clients)?;
                (mine, theirs)
            };
            println!("round {round}, {title}: ours {mine:.0}, Redis {theirs:.0}");
            a.push(mine);
            b.push(theirs);
        }
        let bar = in_memory.then_some(BAR);
        rows.push(Row::new(title, "operations/s", Better::Higher, bar, &a, &b));
    }
    Ok(rows)
}

fn folder(home: &Path, store: &str, name: &str) -> Result<PathBuf, BenchError> {
    let folder = home.join(format!("{store}-{name}"));
    fs::create_dir(&folder).map_err(|source| BenchError::Write {
        path: folder.clone(),
        source,
    })?;
    Ok(folder)
}

/// What a client prints.
#[derive(Deserialize)]
struct Said {
    rate: f64,
}

/// What the other prints.
#[derive(Deserialize)]
struct Restarted {
    restart_ms: f64,
}

/// Operations per second, of all clients together.
fn rate(plan: &Plan, server: &Server, work: &str, clients: u32) -> Result<f64, BenchError> {
    plan.go_on()?;
    let one = |_| {
        Command::new(program(plan))
            .args(["client", server.peer])
            .arg(&server.place)
            .args([work, &FLIGHT.to_string()])
            .arg(plan.length.as_millis().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| BenchError::Start {
                program: program(plan),
                source,
            })
    };
    let clients: Vec<_> = (0..clients).map(one).collect::<Result<_, _>>()?;
    let mut rate = 0.0;
    for client in clients {
        let ended = client.wait_with_output();
        let (status, out) = match ended {
            Ok(ended) => (Some(ended.status), ended.stdout),
            Err(_) => (None, Vec::new()),
        };
        if !status.is_some_and(|status| status.success()) {
            return Err(BenchError::Client {
                name: server.peer,
                work: work.to_owned(),
                status,
            });
        }
        rate += serde_json::from_slice::<Said>(&out)?.rate;
    }
    Ok(rate)
}

/// A million sessions, whose owner is killed.
fn million(plan: &Plan, home: &Path) -> Result<Row, BenchError> {
    let mut found = Vec::new();
    for round in 1..=plan.rounds.min(3) {
        plan.go_on()?;
        let directory = folder(home, "million", &round.to_string())?;
        let output = Command::new(program(plan))
            .arg("million")
            .arg(&directory)
            .arg(MANY.to_string())
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|source| BenchError::Start {
                program: program(plan),
                source,
            })?;
        if !output.status.success() {
            return Err(BenchError::Client {
                name: "ours",
                work: MILLION.to_owned(),
                status: Some(output.status),
            });
        }
        let took = serde_json::from_slice::<Restarted>(&output.stdout)?.restart_ms;
        println!("round {round}, {MILLION}: {took:.0} ms");
        found.push(took);
        // Some hundred MiB of which nothing is needed any more.
        let _ = fs::remove_dir_all(&directory);
    }
    let bars = vec![SOON; found.len()];
    let title = format!("{MILLION}: to 2 s");
    Ok(Row::new(
        title,
        "ms",
        Better::Lower,
        Some(1.0),
        &found,
        &bars,
    ))
}
