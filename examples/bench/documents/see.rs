//! How long a change takes until a `get` in three other processes sees it.
//!
//! Each change is made at a time that all know, and is the time at which it is. The others take turns, change by change: whose turn it is begins to look a moment before, and
//! looks until it sees it; the others sleep. It has a core from which the others, who sets and the manager keep away, so that it looks when there is
//! something to be seen.

use std::thread;
use std::time::Duration;

use cluster_cache::Document;
use cluster_web::{Error, Result};
use rustix::thread::clock_nanosleep_absolute;
use rustix::time::{ClockId, Timespec};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::other::{OTHERS, Other, clock};
use crate::{IDLE, cores, open, p50};

/// How long before a change is due it is looked for, in ns.
const EARLY: u64 = 300_000;

const PERIOD: u64 = IDLE.as_nanos() as u64;

/// When changes are made.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Schedule {
    /// In ns of the clock that all processes share.
    begin: u64,
    changes: u64,
    /// The first change that a process is to see; it sees each third one.
    first: u64,
    /// The core of who looks, where there are several.
    core: Option<usize>,
}

impl Schedule {
    fn due(&self, number: u64) -> u64 {
        self.begin + number * PERIOD
    }
}

/// Sees changes when it is told when they are made, and says how long each has taken.
pub(crate) async fn look(directory: &str) -> Result<()> {
    let document = open(directory).await?;
    println!("ready");
    let look = move || {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        look_for_all(&document, serde_json::from_str(&line)?)
    };
    println!("{}", serde_json::to_string(&on_a_thread(look).await?)?);
    Ok(())
}

/// Does something on a thread of its own, and not on that which has the connection.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (say, said) = oneshot::channel();
    thread::spawn(move || drop(say.send(work())));
    said.await?
}

fn set_all(document: &Document, schedule: Schedule) -> Result<()> {
    for number in 0..schedule.changes {
        sleep_until(schedule.due(number));
        // As little as a flag is.
        document.set("bench.stamp", clock())?;
    }
    Ok(())
}

fn look_for_all(document: &Document, schedule: Schedule) -> Result<Vec<u64>> {
    schedule.core.map_or(Ok(()), cores::take)?;
    let mut times = Vec::new();
    for number in (schedule.first..schedule.changes).step_by(OTHERS) {
        let due = schedule.due(number);
        sleep_until(due - EARLY);
        // One that is not seen before the next one is made is not seen.
        while clock() < due + PERIOD - EARLY {
            let seen: Option<u64> = document.get_as("bench.stamp")?;
            let now = clock();
            if let Some(at) = seen.filter(|at| *at >= due) {
                times.push(now.saturating_sub(at));
                break;
            }
        }
    }
    Ok(times)
}

fn sleep_until(at: u64) {
    let at = Timespec {
        tv_sec: (at / 1_000_000_000) as i64,
        tv_nsec: (at % 1_000_000_000) as i64,
    };
    // What is made too early, after a signal, is not seen in time, and does not count.
    let _ = clock_nanosleep_absolute(ClockId::Monotonic, &at);
}

/// The largest of the others' median times until they see a change, one now and then.
pub(crate) async fn run(directory: &str, length: Duration) -> Result<f64> {
    let core = cores::spare_last()?;
    let document = open(directory).await?;
    document.delete("bench")?;
    document.sync().await?;
    let others: Result<Vec<_>> = (0..OTHERS)
        .map(|_| Other::start("look", directory))
        .collect();
    let mut others = others?;
    let mut schedule = Schedule {
        begin: clock() + 2 * PERIOD,
        changes: length.as_nanos() as u64 / PERIOD,
        first: 0,
        core,
    };
    for other in &mut others {
        schedule.first += 1;
        other.order(&schedule)?;
    }
    on_a_thread(move || set_all(&document, schedule)).await?;
    let mut slowest = 0.0_f64;
    for other in &mut others {
        let times: Vec<u64> = serde_json::from_str(&other.line()?)?;
        let due = schedule.changes / OTHERS as u64;
        if (times.len() as u64) < due / 2 {
            return Err(Error::msg(format!(
                "{} of {due} changes were seen",
                times.len()
            )));
        }
        slowest = slowest.max(p50(times)?);
    }
    Ok(slowest)
}
