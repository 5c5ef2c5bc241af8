//! How evenly kept connections fall on the workers.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use super::server::{Server, ask, connect};
use super::{BenchError, Plan};

/// How many connections are opened at once.
pub(crate) const CONNECTIONS: usize = 64;

/// Between two rounds, so that the workers have seen the last round's connections close.
const PAUSE: Duration = Duration::from_millis(200);

/// Opens the connections, asks on each whose it is, and gives the number that the busiest worker holds, round by round.
///
/// # Errors
/// Where a connection breaks.
pub(crate) fn busiest(plan: &Plan, server: &Server, rounds: usize) -> Result<Vec<f64>, BenchError> {
    let mut found = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        plan.go_on()?;
        let mut streams = (0..CONNECTIONS)
            .map(|_| connect(server.port()))
            .collect::<Result<Vec<_>, _>>()?;
        let mut holders = Vec::with_capacity(CONNECTIONS);
        for stream in &mut streams {
            let reply = ask(stream, server.port(), "/pid")?;
            if reply.status != 200 {
                return Err(BenchError::Requests {
                    name: server.name(),
                    work: "/pid",
                    failed: 1,
                });
            }
            holders.push(reply.body);
        }
        found.push(most(&holders) as f64);
        drop(streams);
        thread::sleep(PAUSE);
    }
    Ok(found)
}

/// How often the most frequent one occurs.
fn most(holders: &[Vec<u8>]) -> usize {
    let mut counts: HashMap<&[u8], usize> = HashMap::new();
    for holder in holders {
        *counts.entry(holder).or_default() += 1;
    }
    counts.into_values().max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_is_counted() {
        let holders: Vec<Vec<u8>> = ["1", "2", "1", "3", "1"]
            .map(|pid| pid.as_bytes().to_vec())
            .into();
        assert_eq!(most(&holders), 3);
        assert_eq!(most(&[]), 0);
    }
}
