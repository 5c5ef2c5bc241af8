//! Reads of what this process holds itself: our near copies, and moka's cache, each bounded in bytes.

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use actix_web::rt;
use cluster_cache::{Cache, CacheOptions, CopyOptions};
use cluster_web::{Error, Result};
use serde_bytes::ByteBuf;

use crate::VALUE;
use crate::client::Ran;
use crate::key::{Dice, Key};
use crate::peer::ours;

/// What either may take, in bytes: far more than it does.
const ROOM: usize = 64 << 20;

/// Reads after which a thread looks at the clock, and lets others run.
const TURN: u64 = 256;

/// Something to read from, of which each thread has a clone.
trait Near: Clone + Send + 'static {
    async fn read(&self, key: &str) -> Result<Option<Arc<ByteBuf>>>;
}

impl Near for Cache {
    async fn read(&self, key: &str) -> Result<Option<Arc<ByteBuf>>> {
        Ok(self.get_shared(key).await?)
    }
}

type Moka = moka::sync::Cache<String, Arc<ByteBuf>>;

impl Near for Moka {
    async fn read(&self, key: &str) -> Result<Option<Arc<ByteBuf>>> {
        Ok(self.get(key))
    }
}

/// Reads for so long, on so many threads.
pub(crate) async fn run(
    peer: &str,
    place: &str,
    keys: u64,
    threads: usize,
    length: Duration,
) -> Result<Ran> {
    let rate = match peer {
        "ours" => {
            let copy = CacheOptions::default().copy(CopyOptions::default().max_bytes(ROOM));
            let cache = ours::open(place, keys, copy).await?;
            let rate = on_threads(&cache, keys, threads, length)?;
            let misses = cache.copy_stat().map_or(u64::MAX, |stat| stat.misses);
            if misses > keys * threads as u64 {
                return Err(Error::msg(format!("{misses} reads found no copy")));
            }
            rate
        }
        "moka" => on_threads(&moka(keys), keys, threads, length)?,
        other => return Err(Error::msg(format!("no such peer: {other} (ours, moka)"))),
    };
    Ok(Ran { rate, p50: None })
}

fn moka(keys: u64) -> Moka {
    let held = Moka::builder()
        .weigher(|key: &String, value: &Arc<ByteBuf>| (key.len() + value.len()) as u32)
        .max_capacity(ROOM as u64)
        .build();
    for number in 0..keys {
        let value = ByteBuf::from(vec![b'v'; VALUE]);
        held.insert(Key::new(number).as_str().to_owned(), Arc::new(value));
    }
    held.run_pending_tasks();
    held
}

/// Reads per second of all threads.
fn on_threads<N: Near>(near: &N, keys: u64, threads: usize, length: Duration) -> Result<f64> {
    let all_there = Arc::new(Barrier::new(threads));
    let started: Vec<_> = (0..threads)
        .map(|number| {
            let (near, all_there) = (near.clone(), Arc::clone(&all_there));
            let dice = Dice::new(number as u64);
            thread::spawn(move || {
                let reading = read(near, keys, dice, &all_there, length);
                rt::System::new().block_on(reading)
            })
        })
        .collect();
    let mut rate = 0.0;
    for thread in started {
        let read = thread.join().map_err(|_| Error::msg("a thread panicked"))?;
        rate += read?;
    }
    Ok(rate)
}

/// Reads per second of this thread, from when all threads have read each key once.
async fn read<N: Near>(
    near: N,
    keys: u64,
    mut dice: Dice,
    all_there: &Barrier,
    length: Duration,
) -> Result<f64> {
    let mut first = Ok(());
    for number in 0..keys {
        first = first.and(once(&near, Key::new(number)).await);
    }
    // Also where it has failed: the others wait for it.
    all_there.wait();
    first?;
    let (begun, mut read) = (Instant::now(), 0);
    while begun.elapsed() < length {
        for _ in 0..TURN {
            once(&near, Key::new(dice.below(keys))).await?;
        }
        read += TURN;
        tokio::task::yield_now().await;
    }
    Ok(read as f64 / begun.elapsed().as_secs_f64())
}

async fn once<N: Near>(near: &N, key: Key) -> Result<()> {
    match black_box(near.read(key.as_str()).await?) {
        Some(value) if value.len() == VALUE => Ok(()),
        _ => Err(Error::msg(format!("{} is not there", key.as_str()))),
    }
}
