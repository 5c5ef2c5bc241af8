//! What `bench cache` runs: the cache manager, the clients of every cache, and the server of bare frames.
//!
//! `bench-cache manager DIRECTORY` serves the cache, and `bench-cache raw SOCKET` bare frames, until SIGTERM.
//! `bench-cache client PEER PLACE WORK KEYS FLIGHT MS` asks one of them, Redis or memcached, `bench-cache near PEER PLACE KEYS
//! THREADS MS` reads what it holds itself; both print what they measured as JSON. It is no example to follow.

mod client;
mod key;
mod multiplex;
mod near;
mod peer;

use std::env;
use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use actix_web::rt;
use cluster_web::{Error, Result};
use tokio::signal::unix::{SignalKind, signal};

use client::{Order, Ran};
use peer::{memcached, ours, raw, redis};

/// As long as every value is.
const VALUE: usize = 100;

/// Serves until somebody asks it to stop.
async fn serve(server: impl Future<Output = Result<()>>) -> Result<()> {
    let mut stop = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = server => ended,
        _ = stop.recv() => Ok(()),
    }
}

/// Connects to a peer at its place, and does as ordered.
async fn ask(peer: &str, place: &str, order: &Order) -> Result<Ran> {
    match peer {
        "ours" => client::run(ours::connect(place, order.keys).await?, order).await,
        "redis" => client::run(redis::connect(place).await?, order).await,
        "memcached" => client::run(memcached::connect(place).await?, order).await,
        "raw" => client::run(raw::connect(place).await?, order).await,
        other => Err(Error::msg(format!(
            "no such peer: {other} (ours, redis, memcached, raw)"
        ))),
    }
}

async fn run(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["manager", directory] => serve(ours::serve(directory)).await,
        ["raw", socket] => serve(raw::serve(socket)).await,
        ["client", peer, place, order @ ..] => {
            let ran = ask(peer, place, &Order::read(order)?).await?;
            println!("{}", serde_json::to_string(&ran)?);
            Ok(())
        }
        ["near", peer, place, keys, threads, ms] => {
            let length = Duration::from_millis(ms.parse()?);
            let ran = near::run(peer, place, keys.parse()?, threads.parse()?, length).await?;
            println!("{}", serde_json::to_string(&ran)?);
            Ok(())
        }
        _ => Err(Error::msg(
            "usage: bench-cache manager DIRECTORY | raw SOCKET | client PEER PLACE get|set|fill KEYS FLIGHT MS \
             | near ours|moka DIRECTORY KEYS THREADS MS",
        )),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match rt::System::new().block_on(run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-cache: {error}");
            ExitCode::FAILURE
        }
    }
}
