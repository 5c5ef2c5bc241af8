//! `bench documents`: a document against a plain value behind a lock, and its changes against a round trip of bare bytes.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::process::Process;
use super::table::{Better, Row, Table};
use super::{BenchError, Plan, release};

/// What a read may take, to one of a plain value.
const GET: f64 = 2.0;

/// What a change may take until reads of others see it, in round trips.
const SEEN: f64 = 3.0;

/// The two ways in which others see a change, the program's word for each, and what is required.
const WAYS: [(&str, &str, Option<f64>); 2] = [
    (
        "set until a get in 3 processes sees it, p50: to a round trip of bare bytes",
        "see",
        Some(SEEN),
    ),
    (
        "set until watches in 3 processes are told, p50: to a round trip of bare bytes",
        "spread",
        None,
    ),
];

/// What the program prints.
#[derive(Debug, Deserialize)]
struct Ran {
    figure: f64,
}

/// Measures both in turn.
///
/// # Errors
/// Where something cannot be built, started or measured.
pub(super) fn run(plan: &Plan) -> Result<Table, BenchError> {
    // Before our own build, which would be taken for somebody else's work.
    let load = super::load_average();
    release::build(&["bench-documents"])?;
    let mut rows = Vec::new();
    for threads in [1_u32, 2] {
        let plural = if threads == 1 { "" } else { "s" };
        let work = format!("get, {threads} thread{plural}: to a plain locked value");
        if !plan.wants(&work) {
            continue;
        }
        let read = |kind: &str| {
            let rate = measure(plan, &["get", kind, &threads.to_string()])?;
            Ok::<_, BenchError>(f64::from(threads) * 1e9 / rate)
        };
        let (mut ours, mut plain) = (Vec::new(), Vec::new());
        for round in 1..=plan.rounds {
            let (a, b) = (read("ours")?, read("plain")?);
            println!("round {round}, get, {threads} thread{plural}: {a:.1}, plain {b:.1} ns");
            ours.push(a);
            plain.push(b);
        }
        rows.push(Row::new(
            work,
            "ns",
            Better::Lower,
            Some(GET),
            &ours,
            &plain,
        ));
    }
    for (work, way, bar) in WAYS {
        if plan.wants(work) {
            rows.push(spread(plan, work, way, bar)?);
        }
    }
    let note = format!(
        "a document of 100 flags; a change of a number every 5 ms; a get is tried by one process at a time, without a pause, from just before the change, on a core of its own, the others asleep; medians of {} rounds of {} s, in turn{}",
        plan.rounds,
        plan.length.as_secs(),
        super::busy(load)
            .map(|said| format!("; {said}"))
            .unwrap_or_default(),
    );
    Ok(Table {
        title: "Documents: against a plain value and bare bytes".into(),
        note,
        rows,
    })
}

fn spread(plan: &Plan, work: &str, way: &str, bar: Option<f64>) -> Result<Row, BenchError> {
    let made = tempfile::Builder::new().prefix("cluster-bench-").tempdir();
    let place = made.map_err(|source| BenchError::Write {
        path: std::env::temp_dir(),
        source,
    })?;
    let (directory, socket) = (place.path().join("run"), place.path().join("echo.sock"));
    let manager: &[&str] = match way {
        // Away from the core of who looks.
        "see" => &["manager", "aside"],
        _ => &["manager"],
    };
    let _manager = start(plan, manager, &directory, &directory.join("cache.sock"))?;
    let _echo = start(plan, &["echo"], &socket, &socket)?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 1..=plan.rounds {
        let a = measure(plan, &[way, &directory.to_string_lossy()])?;
        let b = measure(plan, &["trip", &socket.to_string_lossy()])?;
        println!("round {round}, {way}: {a:.1}, bare round trip {b:.1} µs");
        ours.push(a);
        bare.push(b);
    }
    Ok(Row::new(work, "µs", Better::Lower, bar, &ours, &bare))
}

/// Our own program, which is everything here.
fn program(plan: &Plan) -> PathBuf {
    plan.target.join("release").join("bench-documents")
}

fn start(plan: &Plan, what: &[&str], place: &Path, socket: &Path) -> Result<Process, BenchError> {
    let place = place.display().to_string();
    let mut arguments: Vec<String> = what.iter().map(|word| (*word).to_owned()).collect();
    arguments.insert(1, place);
    let name = match what {
        ["manager", ..] => "bench-documents-manager",
        _ => "bench-documents-echo",
    };
    let mut process = Process::start(plan, name, &program(plan), &arguments)?;
    process.ready(plan, &socket.display().to_string(), || {
        UnixStream::connect(socket).is_ok()
    })?;
    Ok(process)
}

/// Runs the program for as long as a measurement takes; gives back its figure.
fn measure(plan: &Plan, words: &[&str]) -> Result<f64, BenchError> {
    plan.go_on()?;
    let program = program(plan);
    let ran = Command::new(&program)
        .args(words)
        .arg(plan.length.as_millis().to_string())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| BenchError::Start { program, source })?;
    plan.go_on()?;
    if !ran.status.success() {
        return Err(BenchError::Client {
            name: "documents",
            work: words.join(" "),
            status: Some(ran.status),
        });
    }
    let ran: Ran = serde_json::from_slice(&ran.stdout)?;
    Ok(ran.figure)
}
