//! Load at a given pace, which a slow server does not slow down.
//!
//! Requests fall due at even times, whatever became of those before them, and each one's time is counted from when it
//! was due: a server that stalls is charged for all requests of the stall, not only for the one that it held.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::reply::{ReplyBuffer, ReplyError};
use super::server::{Server, connect, request};
use super::{BenchError, Plan};

const CONNECTIONS: usize = 64;

/// How long the last replies may take after the last request was due.
const TAIL: Duration = Duration::from_secs(5);

/// The longest sleep, so that an interruption is seen.
const NAP: Duration = Duration::from_millis(100);

/// The times of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Times {
    /// Half of the requests stay below it, in milliseconds.
    pub(crate) p50: f64,
    /// 99 of 100 stay below it, in milliseconds.
    pub(crate) p99: f64,
}

struct Connection {
    stream: TcpStream,
    buffer: ReplyBuffer,
    /// When the request under way was due, since the start.
    due: Option<Duration>,
}

/// Asks `server` `rate` times a second for the time of the plan.
///
/// # Errors
/// Where a connection breaks, a reply is none or no 200, or is missing at the end.
pub(crate) fn run(plan: &Plan, server: &Server, rate: f64) -> Result<Times, BenchError> {
    let talk = |source| BenchError::Talk {
        port: server.port(),
        source,
    };
    let text = request("/");
    let interval = Duration::from_secs_f64(1.0 / rate.max(1.0));
    let mut connections = open(server)?;
    // First in, first out: every connection, and so every worker, has its turn.
    let mut idle: VecDeque<usize> = (0..connections.len()).collect();
    let mut waiting: VecDeque<Duration> = VecDeque::new();
    let mut times = Vec::with_capacity((plan.length.as_secs_f64() * rate) as usize + 1);
    let mut next = Duration::ZERO;
    let begun = Instant::now();
    loop {
        plan.go_on()?;
        let now = begun.elapsed();
        while next <= now && next < plan.length {
            waiting.push_back(next);
            next += interval;
        }
        while let (Some(&due), Some(&free)) = (waiting.front(), idle.front()) {
            waiting.pop_front();
            idle.pop_front();
            let connection = &mut connections[free];
            // A request of some 40 bytes on an idle connection always fits into the socket's buffer.
            connection.stream.write_all(text.as_bytes()).map_err(talk)?;
            connection.due = Some(due);
        }
        let over = next >= plan.length && waiting.is_empty();
        if over && idle.len() == connections.len() {
            return Ok(summary(times));
        }
        if now > plan.length + TAIL {
            let failed = (waiting.len() + connections.len() - idle.len()) as u64;
            return Err(BenchError::Requests {
                name: server.name(),
                work: "half load",
                failed,
            });
        }
        let sleep = if over {
            NAP
        } else {
            next.saturating_sub(begun.elapsed()).min(NAP)
        };
        for ready in readable(&connections, sleep).map_err(talk)? {
            if let Some(due) = connections[ready].read(server)? {
                times.push(begun.elapsed().saturating_sub(due));
                idle.push_back(ready);
            }
        }
    }
}

fn open(server: &Server) -> Result<Vec<Connection>, BenchError> {
    let one = || {
        let stream = connect(server.port())?;
        stream
            .set_nonblocking(true)
            .map_err(|source| BenchError::Talk {
                port: server.port(),
                source,
            })?;
        Ok(Connection {
            stream,
            buffer: ReplyBuffer::default(),
            due: None,
        })
    };
    (0..CONNECTIONS).map(|_| one()).collect()
}

/// The connections with something to read, after at most `sleep`.
fn readable(connections: &[Connection], sleep: Duration) -> io::Result<Vec<usize>> {
    let mut polled: Vec<_> = connections
        .iter()
        .map(|connection| PollFd::new(&connection.stream, PollFlags::IN))
        .collect();
    let sleep = Timespec {
        tv_sec: sleep.as_secs() as i64,
        tv_nsec: sleep.subsec_nanos().into(),
    };
    match poll(&mut polled, Some(&sleep)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    Ok((0..polled.len())
        .filter(|&index| !polled[index].revents().is_empty())
        .collect())
}

impl Connection {
    /// Reads what is there; gives when the request was due, if its reply is whole.
    fn read(&mut self, server: &Server) -> Result<Option<Duration>, BenchError> {
        let port = server.port();
        let mut bytes = [0; 4096];
        match self.stream.read(&mut bytes) {
            Ok(0) => {
                return Err(BenchError::Reply {
                    port,
                    source: ReplyError::Ended,
                });
            }
            Ok(length) => self.buffer.push(&bytes[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(source) => return Err(BenchError::Talk { port, source }),
        }
        match self
            .buffer
            .take()
            .map_err(|source| BenchError::Reply { port, source })?
        {
            None => Ok(None),
            Some(reply) if reply.status == 200 => Ok(self.due.take()),
            Some(_) => Err(BenchError::Requests {
                name: server.name(),
                work: "half load",
                failed: 1,
            }),
        }
    }
}

fn summary(mut times: Vec<Duration>) -> Times {
    times.sort_unstable();
    Times {
        p50: percentile(&times, 0.5),
        p99: percentile(&times, 0.99),
    }
}

/// The time that the given part of the sorted `times` does not exceed, in milliseconds; NaN where there are none.
fn percentile(times: &[Duration], part: f64) -> f64 {
    let rank = (times.len() as f64 * part).ceil() as usize;
    times
        .get(rank.saturating_sub(1))
        .map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let times = summary((1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!(
            times,
            Times {
                p50: 100.0,
                p99: 198.0
            }
        );
        assert!(summary(Vec::new()).p50.is_nan());
    }
}
