//! `bench bridge-memory`: what the master's memory does while workers tell it ten million events.

use std::fs;
use std::thread;

use super::bridge::{self, Ran};
use super::server::Server;
use super::table::{Better, Row, Table};
use super::{BenchError, Plan, release};

/// Workers that tell the master, at once.
const WORKERS: usize = 2;
/// Events before the first look.
const FIRST: u64 = 1_000_000;
/// Events before the last look, and between two looks.
const ALL: u64 = 10_000_000;
/// What the master may have grown by in between, in MiB.
const ALLOWED: f64 = 4.0;

/// Tells the master ten million events, and looks at its memory after each million.
///
/// # Errors
/// Where the cluster cannot be built or started, an event is lost, or the system does not tell the master's memory.
pub(super) fn run(plan: &Plan) -> Result<Table, BenchError> {
    let load = super::load_average();
    release::build(&["bench-bridge", "bench-bridge-reference"])?;
    let server = bridge::cluster(plan, WORKERS, 0)?;
    let mut looks = Vec::new();
    let mut told = 0;
    while told < ALL {
        let ran = tell(plan, &server, FIRST)?;
        told += FIRST;
        let mib = ran
            .master
            .and_then(resident)
            .ok_or(BenchError::NoMemory("the master"))?;
        println!("{told} events: the master holds {mib:.2} MiB");
        looks.push(mib);
    }
    let most = looks
        .iter()
        .skip(1)
        .copied()
        .fold(f64::NEG_INFINITY, f64::max);
    let grown = (most - looks[0]).max(0.0);
    let row = Row::new(
        "growth of the master, events 1 to 10 million",
        "MiB",
        Better::Lower,
        Some(1.0),
        &[grown],
        &[ALLOWED],
    );
    let note = format!(
        "{WORKERS} workers tell their master events of 128 bytes as fast as it takes them; the reference is what is allowed{}",
        super::busy(load)
            .map(|said| format!("; {said}"))
            .unwrap_or_default(),
    );
    Ok(Table {
        title: "Bridge: memory of the master under events".into(),
        note,
        rows: vec![row],
    })
}

/// Has the workers tell the master so many events, over as many connections as there are workers.
fn tell(plan: &Plan, server: &Server, events: u64) -> Result<Ran, BenchError> {
    let path = format!("/run?work=count&events={}", events / WORKERS as u64);
    thread::scope(|scope| {
        let runs: Vec<_> = (0..WORKERS)
            .map(|_| scope.spawn(|| bridge::order(plan, server, &path)))
            .collect();
        let mut last = None;
        for run in runs {
            last = Some(run.join().map_err(|_| BenchError::Interrupted)??);
        }
        last.ok_or(BenchError::NoMemory("the master"))
    })
}

/// The resident memory of a process, in MiB.
fn resident(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory() {
        assert!(resident(std::process::id()).is_some_and(|mib| mib > 0.5));
        assert_eq!(resident(0), None);
    }
}
