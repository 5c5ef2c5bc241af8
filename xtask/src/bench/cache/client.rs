//! The clients: as many processes as are ordered, all at the same time, each for one measurement.

use std::ffi::OsStr;
use std::fmt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use super::FLIGHT;
use super::peer::{Peer, program};
use crate::bench::{BenchError, Plan};

/// Between two looks at the clients: they are not to be disturbed.
const LOOK: Duration = Duration::from_millis(100);

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Get,
    Set,
    /// Sets every key once.
    Fill,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Work::Get => "get",
            Work::Set => "set",
            Work::Fill => "fill",
        })
    }
}

/// One load.
pub(super) struct Order {
    pub(super) work: Work,
    pub(super) keys: u64,
    /// Callers in each client.
    pub(super) flight: u32,
    pub(super) clients: u32,
}

impl Order {
    /// Sets every key, as fast as one client can.
    pub(super) fn fill(keys: u64) -> Self {
        Order {
            work: Work::Fill,
            keys,
            flight: FLIGHT,
            clients: 1,
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Order {
            work,
            flight,
            clients,
            ..
        } = self;
        let figure = if *flight == 1 { " p50" } else { "" };
        let plural = if *clients == 1 { "" } else { "s" };
        write!(
            f,
            "{work}{figure}, {flight} in flight, {clients} client{plural}"
        )
    }
}

/// What all clients of a measurement did together.
#[derive(Debug, PartialEq)]
pub(super) struct Ran {
    /// Operations per second, added up.
    pub(super) rate: f64,
    /// The mean of their median times in µs; NaN where there are many callers, who do not look at the clock.
    pub(super) p50: f64,
}

impl Ran {
    fn of(all: &[Said]) -> Self {
        let p50s = all.iter().map(|said| said.p50.unwrap_or(f64::NAN));
        Ran {
            rate: all.iter().map(|said| said.rate).sum(),
            p50: p50s.sum::<f64>() / all.len() as f64,
        }
    }
}

/// What one client prints.
#[derive(Debug, Deserialize)]
struct Said {
    rate: f64,
    p50: Option<f64>,
}

/// A client's process, which does not outlive its measurement.
struct Client(Child);

impl Drop for Client {
    fn drop(&mut self) {
        // Both fail where it has ended, as it should have.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Has clients load a peer, and waits for what comes of it.
///
/// # Errors
/// Where one cannot be started, or fails; its reason is on the standard error.
pub(super) fn run(plan: &Plan, peer: &Peer, order: &Order) -> Result<Ran, BenchError> {
    let words = [
        order.work.to_string(),
        order.keys.to_string(),
        order.flight.to_string(),
    ];
    let place = peer.address().as_os_str();
    let arguments = ["client".as_ref(), peer.name().as_ref(), place];
    let mut clients = (0..order.clients)
        .map(|_| Client::start(plan, &arguments, &words))
        .collect::<Result<Vec<_>, _>>()?;
    let mut all = Vec::new();
    for client in &mut clients {
        all.push(client.said(plan, peer.name(), order)?);
    }
    Ok(Ran::of(&all))
}

/// Has one client read from what it holds itself, on so many threads; gives back what a read takes in ns.
///
/// # Errors
/// As [`run`].
pub(super) fn near(
    plan: &Plan,
    name: &'static str,
    ours: &Peer,
    keys: u64,
    threads: u32,
) -> Result<f64, BenchError> {
    let arguments = ["near".as_ref(), name.as_ref(), ours.address().as_os_str()];
    let words = [keys.to_string(), threads.to_string()];
    let mut client = Client::start(plan, &arguments, &words)?;
    let said = client.said(plan, name, &format!("reads on {threads} threads"))?;
    Ok(f64::from(threads) * 1e9 / said.rate)
}

impl Client {
    /// Starts one that works for as long as a measurement takes.
    fn start(plan: &Plan, arguments: &[&OsStr], words: &[String]) -> Result<Self, BenchError> {
        plan.go_on()?;
        let program = program(plan);
        let child = Command::new(&program)
            .args(arguments)
            .args(words)
            .arg(plan.length.as_millis().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        child
            .map(Client)
            .map_err(|source| BenchError::Start { program, source })
    }

    /// What it measured, which is shorter than its pipe: it never waits for us.
    fn said(
        &mut self,
        plan: &Plan,
        name: &'static str,
        work: &impl fmt::Display,
    ) -> Result<Said, BenchError> {
        let failed = |status: Option<ExitStatus>| BenchError::Client {
            name,
            work: work.to_string(),
            status,
        };
        let status = loop {
            plan.go_on()?;
            match self.0.try_wait() {
                Ok(Some(status)) => break status,
                // wait: an interruption has to be seen while the client works.
                Ok(None) => thread::sleep(LOOK),
                Err(_) => return Err(failed(None)),
            }
        };
        match self.0.stdout.take() {
            Some(out) if status.success() => Ok(serde_json::from_reader(out)?),
            _ => Err(failed(Some(status))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_add_up() {
        let said = |rate, p50| Said { rate, p50 };
        let two = Ran::of(&[said(100.0, Some(9.0)), said(50.0, Some(11.0))]);
        assert_eq!(
            two,
            Ran {
                rate: 150.0,
                p50: 10.0
            }
        );
        assert!(Ran::of(&[said(1.0, None)]).p50.is_nan());
    }

    #[test]
    fn a_load_says_what_it_is() {
        let mut order = Order::fill(1);
        order.work = Work::Get;
        assert_eq!(order.to_string(), "get, 64 in flight, 1 client");
        (order.flight, order.clients) = (1, 2);
        assert_eq!(order.to_string(), "get p50, 1 in flight, 2 clients");
    }
}
