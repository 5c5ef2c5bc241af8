//! What `bench documents` runs: the manager, processes that hold a document, and an echo of bare bytes.
//!
//! `bench-documents manager DIRECTORY` keeps documents, with `aside` away from the core of who looks, and `bench-documents echo SOCKET` answers bytes with the same, until SIGTERM.
//! `bench-documents get ours|plain THREADS MS` reads what this process holds itself; `bench-documents see DIRECTORY MS` sets a path now and
//! then, and measures until a `get` in three other processes sees it, each a `bench-documents look DIRECTORY`; `bench-documents spread
//! DIRECTORY MS` likewise until watches in three are told, each a `bench-documents watch DIRECTORY`; `bench-documents trip SOCKET MS`
//! measures a round trip as often. All print what they measured as JSON. It is no example to follow.

mod cores;
mod echo;
mod get;
mod other;
mod see;
mod spread;

use std::env;
use std::future::{Future, pending};
use std::process::ExitCode;
use std::time::Duration;

use actix_web::rt;
use cluster_cache::{Document, DocumentOptions, Sharing, enable};
use cluster_web::{Error, Result};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

/// Between two times that something is measured while all else is idle.
const IDLE: Duration = Duration::from_millis(5);

/// What was measured: reads per second, or the median time in µs.
#[derive(Debug, Serialize)]
struct Ran {
    figure: f64,
}

fn sharing(directory: &str) -> Sharing {
    Sharing::new("bench").directory(directory)
}

/// The document of a process that does not keep it.
async fn open(directory: &str) -> Result<Document> {
    let caches = enable(sharing(directory))?;
    // Not by itself: changes within one process would be measured.
    if caches.meta().await?.pid == std::process::id() {
        return Err(Error::msg(format!("no manager serves in {directory}")));
    }
    let document = caches.document("bench", DocumentOptions::default().dir(directory))?;
    document.sync().await?;
    Ok(document)
}

/// Serves until somebody asks it to stop.
async fn serve(server: impl Future<Output = Result<()>>) -> Result<()> {
    let mut stop = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = server => ended,
        _ = stop.recv() => Ok(()),
    }
}

async fn keep(directory: &str) -> Result<()> {
    let _caches = enable(sharing(directory))?;
    pending().await
}

/// The median of times in ns, as µs.
fn p50(mut times: Vec<u64>) -> Result<f64> {
    times.sort_unstable();
    let middle = times.get(times.len() / 2);
    let middle = middle.ok_or_else(|| Error::msg("nothing was measured"))?;
    Ok(*middle as f64 / 1000.0)
}

fn millis(text: &str) -> Result<Duration> {
    Ok(Duration::from_millis(text.parse()?))
}

async fn run(arguments: &[&str]) -> Result<()> {
    let figure = match arguments {
        ["manager", directory] => return serve(keep(directory)).await,
        ["manager", directory, "aside"] => {
            cores::spare_last()?;
            return serve(keep(directory)).await;
        }
        ["echo", socket] => return serve(echo::serve(socket)).await,
        ["watch", directory] => return spread::watch(directory).await,
        ["look", directory] => return see::look(directory).await,
        ["get", kind, threads, ms] => get::run(kind, threads.parse()?, millis(ms)?)?,
        ["see", directory, ms] => see::run(directory, millis(ms)?).await?,
        ["spread", directory, ms] => spread::run(directory, millis(ms)?).await?,
        ["trip", socket, ms] => echo::trips(socket, millis(ms)?).await?,
        _ => {
            return Err(Error::msg(
                "usage: bench-documents manager DIRECTORY [aside] | echo SOCKET | look DIRECTORY | watch DIRECTORY \
                 | get ours|plain THREADS MS | see DIRECTORY MS | spread DIRECTORY MS | trip SOCKET MS",
            ));
        }
    };
    println!("{}", serde_json::to_string(&Ran { figure })?);
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match rt::System::new().block_on(run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-documents: {error}");
            ExitCode::FAILURE
        }
    }
}
