//! Saturating load, through wrk.

use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use super::server::Server;
use super::{BenchError, Plan};

/// Whether connections are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connections {
    /// All requests over the same ones.
    Kept,
    /// A new one for each request.
    Fresh,
}

/// What wrk measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Load {
    /// Requests per second.
    pub(crate) rate: f64,
    /// The time that 99 of 100 requests stay below, in milliseconds.
    pub(crate) p99: f64,
    failed: u64,
}

/// Loads `server` with 64 connections for the time of the plan.
///
/// # Errors
/// Where wrk fails, or a request does.
pub(crate) fn run(
    plan: &Plan,
    server: &Server,
    connections: Connections,
) -> Result<Load, BenchError> {
    plan.go_on()?;
    let mut command = Command::new("wrk");
    command.args([
        "-t1",
        "-c64",
        "--latency",
        &format!("-d{}s", plan.length.as_secs()),
    ]);
    if connections == Connections::Fresh {
        command.args(["-H", "Connection: close"]);
    }
    let output = command
        .arg(format!("http://127.0.0.1:{}/", server.port()))
        .output()
        .map_err(|source| BenchError::Start {
            program: PathBuf::from("wrk"),
            source,
        })?;
    // A ctrl-C ends wrk early, with figures that mean nothing.
    plan.go_on()?;
    let load = parse(&String::from_utf8_lossy(&output.stdout), output.status)?;
    let work = if connections == Connections::Fresh {
        "fresh connections"
    } else {
        "kept connections"
    };
    if load.failed > 0 {
        Err(BenchError::Requests {
            name: server.name(),
            work,
            failed: load.failed,
        })
    } else {
        Ok(load)
    }
}

fn parse(report: &str, status: ExitStatus) -> Result<Load, BenchError> {
    let after = |label: &str| {
        report
            .lines()
            .find_map(|line| line.trim().strip_prefix(label))
            .map(str::trim)
    };
    let missing = |wanted| BenchError::Report {
        wanted,
        status,
        report: report.to_owned(),
    };
    let rate = after("Requests/sec:")
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| missing("Requests/sec"))?;
    let p99 = after("99%")
        .and_then(milliseconds)
        .ok_or_else(|| missing("99%"))?;
    let errors = after("Socket errors:").unwrap_or_default();
    let errors: u64 = errors
        .split([' ', ','])
        .filter_map(|word| word.parse::<u64>().ok())
        .sum();
    let refused: u64 = after("Non-2xx or 3xx responses:")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    Ok(Load {
        rate,
        p99,
        failed: errors + refused,
    })
}

fn milliseconds(text: &str) -> Option<f64> {
    // "us" and "ms" before "s": each of them ends with it.
    for (unit, factor) in [("us", 0.001), ("ms", 1.0), ("s", 1000.0), ("m", 60_000.0)] {
        if let Some(number) = text.strip_suffix(unit) {
            return number.parse::<f64>().ok().map(|number| number * factor);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "  Latency Distribution\n     50%  361.00us\n     99%    1.22ms\n  402 requests in 0.10s, 49KB read\n\
                          Requests/sec:   3981.25\nTransfer/sec:    490.00KB\n";

    #[test]
    fn a_report_gives_rate_and_p99() {
        let load = parse(REPORT, ExitStatus::default()).unwrap();
        assert_eq!(
            load,
            Load {
                rate: 3981.25,
                p99: 1.22,
                failed: 0
            }
        );
    }

    #[test]
    fn every_failure_counts() {
        let report = format!(
            "{REPORT}  Socket errors: connect 1, read 2, write 0, timeout 4\n  Non-2xx or 3xx responses: 10\n"
        );
        assert_eq!(parse(&report, ExitStatus::default()).unwrap().failed, 17);
    }

    #[test]
    fn what_is_no_report_is_an_error() {
        assert!(parse("unable to connect", ExitStatus::default()).is_err());
    }

    #[test]
    fn units_are_read() {
        assert_eq!(milliseconds("500.00us"), Some(0.5));
        assert_eq!(milliseconds("2.00s"), Some(2000.0));
        assert_eq!(milliseconds("1.00m"), Some(60_000.0));
        assert_eq!(milliseconds("x"), None);
    }
}
