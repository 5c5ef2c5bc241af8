//! `bench bridge`: what a cluster's worker and master tell and ask each other, against the same frames sent by hand.

use std::time::Duration;

use serde::Deserialize;

use super::server::{Server, ask, connect, free_port};
use super::table::{Better, Row, Table};
use super::wrk::{self, Connections};
use super::{BenchError, Plan, release};
use crate::packages::{self, Need};

/// How long the other side may take to work off what was sent, beyond the time of the run.
const PATIENCE: Duration = Duration::from_secs(60);

/// One kind of work: its name to the servers, its name to people.
struct Work {
    name: &'static str,
    title: &'static str,
    unit: &'static str,
    better: Better,
    bar: Option<f64>,
}

const WORKS: [Work; 4] = [
    Work {
        name: "ask",
        title: "ask, one at a time: p50",
        unit: "µs",
        better: Better::Lower,
        bar: Some(1.3),
    },
    Work {
        name: "flight",
        title: "ask, 64 in flight",
        unit: "asks/s",
        better: Better::Higher,
        bar: Some(0.6),
    },
    Work {
        name: "up",
        title: "events, worker to master",
        unit: "events/s",
        better: Better::Higher,
        bar: Some(0.4),
    },
    Work {
        name: "down",
        title: "events, master to worker",
        unit: "events/s",
        better: Better::Higher,
        bar: Some(0.4),
    },
];

/// Apart from the others, as the reference does nothing of the kind.
const AWAKE: Work = Work {
    name: "ask",
    title: "ask, one at a time, --spin 100: p50",
    unit: "µs",
    better: Better::Lower,
    bar: None,
};

/// What a server says of a run.
#[derive(Debug, Deserialize)]
pub(super) struct Ran {
    pub(super) figure: f64,
    /// Messages that were dropped so far, which none may be.
    #[serde(default)]
    pub(super) dropped: u64,
    /// The pid of the master, where there is one.
    pub(super) master: Option<u32>,
}

/// Measures both sides in turn.
///
/// # Errors
/// Where a side cannot be built, started or loaded, or an event is lost.
pub(super) fn run(plan: &Plan) -> Result<Table, BenchError> {
    packages::ensure(Need::Bench)?;
    let load = super::load_average();
    release::build(&["bench-bridge", "bench-bridge-reference"])?;
    let ours = cluster(plan, 1, 0)?;
    let reference = by_hand(plan)?;
    let mut rows = Vec::new();
    for work in &WORKS {
        rows.extend(in_turn(plan, &ours, &reference, work)?);
    }
    let awake = cluster(plan, 1, 100)?;
    rows.extend(in_turn(plan, &awake, &reference, &AWAKE)?);
    drop(awake);
    rows.extend(handlers(plan, &ours, &reference)?);
    let note = format!(
        "a worker and its master against the same values framed by hand between two processes; payloads of 128 bytes; medians of {} rounds of {} s{}",
        plan.rounds,
        plan.length.as_secs(),
        super::busy(load)
            .map(|said| format!("; {said}"))
            .unwrap_or_default(),
    );
    Ok(Table {
        title: "Bridge: events and asks against raw frames".into(),
        note,
        rows,
    })
}

/// One kind of work: ours, the same values by hand, and bare bytes by hand, which is as fast as the system lets it be.
fn in_turn(
    plan: &Plan,
    ours: &Server,
    reference: &Server,
    work: &Work,
) -> Result<[Row; 2], BenchError> {
    let (mut a, mut b, mut c) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=plan.rounds {
        let path = timed(work.name, plan.length);
        let bare = format!("{path}&bare=true");
        let (x, y, z) = (
            order(plan, ours, &path)?.figure,
            order(plan, reference, &path)?.figure,
            order(plan, reference, &bare)?.figure,
        );
        println!(
            "round {round}, {}: {x:.1}, by hand {y:.1}, of bare bytes {z:.1} {}",
            work.title, work.unit
        );
        a.push(x);
        b.push(y);
        c.push(z);
    }
    let to_bare = format!("{}, to bare bytes", work.title);
    Ok([
        Row::new(work.title, work.unit, work.better, work.bar, &a, &b),
        Row::new(to_bare, work.unit, work.better, None, &a, &c),
    ])
}

/// Handlers that ask once for each request, under 64 connections.
fn handlers(plan: &Plan, ours: &Server, reference: &Server) -> Result<Vec<Row>, BenchError> {
    let (mut rate, mut slow) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for round in 1..=plan.rounds {
        let a = wrk::run(plan, ours, Connections::Kept)?;
        let b = wrk::run(plan, reference, Connections::Kept)?;
        println!(
            "round {round}, in handlers: {:.0} and {:.0} requests/s",
            a.rate, b.rate
        );
        rate.0.push(a.rate);
        rate.1.push(b.rate);
        slow.0.push(a.p99);
        slow.1.push(b.p99);
    }
    let title = "HTTP handlers that ask, 64 connections";
    Ok(vec![
        Row::new(title, "requests/s", Better::Higher, None, &rate.0, &rate.1),
        Row::new(
            format!("{title}: p99"),
            "ms",
            Better::Lower,
            None,
            &slow.0,
            &slow.1,
        ),
    ])
}

fn timed(work: &str, length: Duration) -> String {
    format!("/run?work={work}&ms={}", length.as_millis())
}

/// Has a server do a piece of work, and waits for what comes of it.
pub(super) fn order(plan: &Plan, server: &Server, path: &str) -> Result<Ran, BenchError> {
    plan.go_on()?;
    let port = server.port();
    let mut stream = connect(port)?;
    let wait = plan.length + PATIENCE;
    stream
        .set_read_timeout(Some(wait))
        .map_err(|source| BenchError::Talk { port, source })?;
    let reply = ask(&mut stream, port, path)?;
    if reply.status != 200 {
        return Err(BenchError::Work {
            name: server.name(),
            path: path.to_owned(),
            reply: String::from_utf8_lossy(&reply.body).into_owned(),
        });
    }
    let ran: Ran = serde_json::from_slice(&reply.body)?;
    if ran.dropped > 0 {
        return Err(BenchError::Dropped {
            name: server.name(),
            dropped: ran.dropped,
        });
    }
    Ok(ran)
}

pub(super) fn cluster(plan: &Plan, workers: usize, spin: u32) -> Result<Server, BenchError> {
    let (port, monitor) = (free_port()?, free_port()?);
    let name = format!("bench-bridge-{}-{port}", std::process::id());
    let line = format!(
        "--name {name} --host 127.0.0.1 --port {port} --mon-host 127.0.0.1 --mon-port {monitor} --workers {workers} --threads 1 --spin {spin} --log stderr"
    );
    let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let program = plan.target.join("release").join("bench-bridge");
    Server::start(plan, "bench-bridge", &program, &arguments, port)
}

fn by_hand(plan: &Plan) -> Result<Server, BenchError> {
    let port = free_port()?;
    let program = plan.target.join("release").join("bench-bridge-reference");
    let arguments = ["--port".to_owned(), port.to_string()];
    Server::start(plan, "bench-bridge-reference", &program, &arguments, port)
}
