//! Reads of what this process holds itself: a document of ours, and a plain value behind a lock.

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use cluster_cache::{DocumentOptions, enable};
use cluster_web::{Error, Result};
use parking_lot::RwLock;
use serde_json::{Value, json};

use crate::sharing;

/// Flags in the document.
const FLAGS: usize = 100;

/// Reads after which a thread looks at the clock.
const TURN: usize = 256;

fn flags() -> Value {
    let flag = |n: usize| {
        (
            format!("flag{n}"),
            json!({ "on": n.is_multiple_of(2), "share": 0.5 }),
        )
    };
    let flags: serde_json::Map<_, _> = (0..FLAGS).map(flag).collect();
    json!({ "checkout": { "flags": flags }, "search": {}, "version": 3 })
}

/// Reads per second of all threads.
pub(crate) fn run(kind: &str, threads: usize, length: Duration) -> Result<f64> {
    match kind {
        "ours" => {
            let home = tempfile::tempdir()?;
            let directory = home.path().join("run");
            let caches = enable(sharing(&directory.to_string_lossy()))?;
            let document = caches.document("bench", DocumentOptions::default().dir(home.path()))?;
            document.set("", flags())?;
            let paths: Arc<[String]> = (0..FLAGS)
                .map(|n| format!("checkout.flags.flag{n}.on"))
                .collect();
            on_threads(threads, length, move || {
                let (document, paths) = (document.clone(), Arc::clone(&paths));
                move |n: usize| document.get(&paths[n]).ok().flatten()
            })
        }
        "plain" => {
            let plain = Arc::new(RwLock::new(flags()));
            let names: Arc<[String]> = (0..FLAGS).map(|n| format!("flag{n}")).collect();
            on_threads(threads, length, move || {
                let (plain, names) = (Arc::clone(&plain), Arc::clone(&names));
                move |n: usize| {
                    let root = plain.read();
                    let flags = root.get("checkout")?.get("flags")?;
                    flags.get(&names[n])?.get("on").cloned()
                }
            })
        }
        other => Err(Error::msg(format!("no such kind: {other} (ours, plain)"))),
    }
}

fn on_threads<R>(threads: usize, length: Duration, reader: impl Fn() -> R) -> Result<f64>
where
    R: Fn(usize) -> Option<Value> + Send + 'static,
{
    let all_there = Arc::new(Barrier::new(threads));
    let started: Vec<_> = (0..threads)
        .map(|number| {
            let (read, all_there) = (reader(), Arc::clone(&all_there));
            thread::spawn(move || {
                all_there.wait();
                let (begun, mut done, mut at) = (Instant::now(), 0, number);
                while begun.elapsed() < length {
                    for _ in 0..TURN {
                        at = (at + 37) % FLAGS;
                        let found = black_box(read(black_box(at)));
                        assert!(found.is_some(), "a flag is not there");
                    }
                    done += TURN;
                }
                done as f64 / begun.elapsed().as_secs_f64()
            })
        })
        .collect();
    let mut rate = 0.0;
    for thread in started {
        rate += thread.join().map_err(|_| Error::msg("a thread panicked"))?;
    }
    Ok(rate)
}
