//! How long a change takes until watches in three other processes are told.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cluster_web::{Error, Result};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::other::{OTHERS, Other, clock};
use crate::{IDLE, open, p50};

/// What is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Stamp {
    number: u64,
    /// When, in ns of the clock that all processes share; at 0 they are to say what they have seen.
    at: u64,
}

/// Is told of changes, and says in the end how long each has taken.
pub(crate) async fn watch(directory: &str) -> Result<()> {
    let document = open(directory).await?;
    let mut stamps = document.watch("bench.stamp")?;
    let mut seen = BTreeMap::new();
    println!("ready");
    while let Some(value) = stamps.next().await {
        let now = clock();
        let Some(value) = value else { continue };
        let stamp: Stamp = serde_json::from_value(value)?;
        if stamp.at == 0 {
            println!("{}", serde_json::to_string(&seen)?);
            return Ok(());
        }
        seen.insert(stamp.number, now.saturating_sub(stamp.at));
    }
    Err(Error::msg("the document was closed"))
}

/// The median time until all others are told of a change, one now and then.
pub(crate) async fn run(directory: &str, length: Duration) -> Result<f64> {
    let document = open(directory).await?;
    document.delete("bench")?;
    document.sync().await?;
    let others: Result<Vec<_>> = (0..OTHERS)
        .map(|_| Other::start("watch", directory))
        .collect();
    let mut others = others?;
    let (begun, mut number) = (Instant::now(), 0);
    while begun.elapsed() < length {
        sleep(IDLE).await;
        number += 1;
        let at = clock();
        document.set("bench.stamp", Stamp { number, at })?;
    }
    sleep(IDLE).await;
    document.set("bench.stamp", Stamp { number: 0, at: 0 })?;
    document.sync().await?;
    let mut last: BTreeMap<u64, (usize, u64)> = BTreeMap::new();
    for other in &mut others {
        let seen: BTreeMap<u64, u64> = serde_json::from_str(&other.line()?)?;
        for (number, took) in seen {
            let all = last.entry(number).or_default();
            *all = (all.0 + 1, all.1.max(took));
        }
    }
    let by_all = last.into_values().filter(|(seen, _)| *seen == OTHERS);
    let times: Vec<u64> = by_all.map(|(_, took)| took).collect();
    // One that came together with the next one was not seen by itself.
    if (times.len() as u64) < number / 2 {
        return Err(Error::msg(format!(
            "{} of {number} changes were told by themselves",
            times.len()
        )));
    }
    p50(times)
}
