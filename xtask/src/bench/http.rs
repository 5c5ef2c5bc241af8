//! `bench http`: hello on two workers of one thread against a bare actix-web server of two threads.

use std::path::Path;

use super::server::{Server, free_port};
use super::table::{Better, Row, Table, median};
use super::wrk::{self, Connections};
use super::{BenchError, Plan, paced, release, spread};
use crate::packages::{self, Need};

/// Worker processes on our side, threads on the other.
const WORKERS: usize = 2;

/// How often the spread is measured: it costs next to no time.
const SPREADS: usize = 9;

/// One figure of both sides, round by round.
#[derive(Default)]
struct Pair {
    ours: Vec<f64>,
    reference: Vec<f64>,
}

impl Pair {
    fn row(&self, work: &str, unit: &'static str, better: Better, bar: Option<f64>) -> Row {
        Row::new(work, unit, better, bar, &self.ours, &self.reference)
    }
}

/// Measures both servers in turn.
///
/// # Errors
/// Where a server cannot be built, started or loaded, or a request fails.
pub(crate) fn run(plan: &Plan) -> Result<Table, BenchError> {
    packages::ensure(Need::Bench)?;
    // Before our own build, which would be taken for somebody else's work.
    let load = super::load_average();
    release::build(&["hello", "bench-http-reference"])?;
    let release = plan.target.join("release");
    let mut rows = Vec::new();
    {
        let ours = hello(plan, &release, WORKERS)?;
        let reference = bare(plan, &release, WORKERS)?;
        // Unmeasured, so that neither side pays for being first.
        for server in [&ours, &reference] {
            wrk::run(plan, server, Connections::Kept)?;
        }
        rows.extend(saturated(plan, &ours, &reference)?);
        let rate = rows
            .iter()
            .take(1)
            .map(|row| row.ours.min(row.reference))
            .fold(f64::NAN, f64::min)
            / 2.0;
        rows.extend(half(plan, &ours, &reference, rate)?);
        rows.push(evenness(plan, &ours, WORKERS, 1.10)?);
    }
    rows.push(evenness(plan, &hello(plan, &release, 8)?, 8, 1.5)?);
    let note = format!(
        "{WORKERS} workers of 1 thread against bare actix-web on {WORKERS} threads; 64 connections; medians of {} rounds of {} s{}",
        plan.rounds,
        plan.length.as_secs(),
        super::busy(load)
            .map(|said| format!("; {said}"))
            .unwrap_or_default(),
    );
    Ok(Table {
        title: "HTTP: hello against bare actix-web".into(),
        note,
        rows,
    })
}

fn hello(plan: &Plan, release: &Path, workers: usize) -> Result<Server, BenchError> {
    let (port, monitor) = (free_port()?, free_port()?);
    let name = format!("bench-{}-{workers}", std::process::id());
    let line = format!(
        "--name {name} --host 127.0.0.1 --port {port} --mon-host 127.0.0.1 --mon-port {monitor} --workers {workers} --threads 1 --log stderr"
    );
    let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
    Server::start(plan, "hello", &release.join("hello"), &arguments, port)
}

fn bare(plan: &Plan, release: &Path, threads: usize) -> Result<Server, BenchError> {
    let port = free_port()?;
    let arguments = [
        "--port".to_owned(),
        port.to_string(),
        "--threads".to_owned(),
        threads.to_string(),
    ];
    Server::start(
        plan,
        "reference",
        &release.join("bench-http-reference"),
        &arguments,
        port,
    )
}

/// As much as the servers can take, on kept and on fresh connections.
fn saturated(plan: &Plan, ours: &Server, reference: &Server) -> Result<Vec<Row>, BenchError> {
    let (mut kept, mut slow, mut fresh) = (Pair::default(), Pair::default(), Pair::default());
    for round in 1..=plan.rounds {
        let (a, b) = (
            wrk::run(plan, ours, Connections::Kept)?,
            wrk::run(plan, reference, Connections::Kept)?,
        );
        println!(
            "round {round}, kept: {:.0} and {:.0} requests/s, p99 {:.2} and {:.2} ms",
            a.rate, b.rate, a.p99, b.p99
        );
        kept.ours.push(a.rate);
        kept.reference.push(b.rate);
        slow.ours.push(a.p99);
        slow.reference.push(b.p99);
        let (a, b) = (
            wrk::run(plan, ours, Connections::Fresh)?,
            wrk::run(plan, reference, Connections::Fresh)?,
        );
        println!(
            "round {round}, fresh: {:.0} and {:.0} requests/s",
            a.rate, b.rate
        );
        fresh.ours.push(a.rate);
        fresh.reference.push(b.rate);
    }
    Ok(vec![
        kept.row(
            "kept connections, saturated",
            "requests/s",
            Better::Higher,
            Some(0.97),
        ),
        slow.row(
            "kept connections, saturated: p99",
            "ms",
            Better::Lower,
            Some(1.3),
        ),
        fresh.row(
            "fresh connections, saturated",
            "requests/s",
            Better::Higher,
            Some(1.0),
        ),
    ])
}

/// Half of what the slower side can take, at an even pace that is the same for both.
fn half(plan: &Plan, ours: &Server, reference: &Server, rate: f64) -> Result<Vec<Row>, BenchError> {
    let (mut middle, mut slow) = (Pair::default(), Pair::default());
    for round in 1..=plan.rounds {
        let (a, b) = (
            paced::run(plan, ours, rate)?,
            paced::run(plan, reference, rate)?,
        );
        println!(
            "round {round}, {rate:.0} requests/s: p50 {:.3} and {:.3} ms, p99 {:.3} and {:.3} ms",
            a.p50, b.p50, a.p99, b.p99
        );
        middle.ours.push(a.p50);
        middle.reference.push(b.p50);
        slow.ours.push(a.p99);
        slow.reference.push(b.p99);
    }
    Ok(vec![
        middle.row("half load: p50", "ms", Better::Lower, None),
        slow.row("half load: p99", "ms", Better::Lower, Some(1.10)),
    ])
}

/// What the busiest worker holds of 64 kept connections, against an even share.
fn evenness(plan: &Plan, ours: &Server, workers: usize, bar: f64) -> Result<Row, BenchError> {
    let found = spread::busiest(plan, ours, SPREADS)?;
    println!(
        "busiest of {workers} workers, of {} connections: {found:?}, median {}",
        spread::CONNECTIONS,
        median(&found)
    );
    let even = vec![spread::CONNECTIONS as f64 / workers as f64; found.len()];
    let work = format!("busiest of {workers} workers, to an even share");
    Ok(Row::new(
        work,
        "connections",
        Better::Lower,
        Some(bar),
        &found,
        &even,
    ))
}
