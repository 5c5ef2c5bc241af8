//! What `bench sessions` runs: the owner of a session store, and clients of actix-session's stores.
//!
//! `bench-sessions owner STORE DIRECTORY` owns a store until SIGTERM. `bench-sessions client PEER PLACE WORK FLIGHT MS` loads and saves
//! sessions in it, or in Redis; `bench-sessions million DIRECTORY SESSIONS` fills an embedded one, kills its owner, and starts another.
//! Both print what they measured as JSON. It is no example to follow.

mod client;
mod million;
mod owner;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use actix_session::storage::RedisSessionStore;
use actix_web::rt;
use cluster_web::{Error, Result};

use client::Work;

async fn client(peer: &str, place: &str, work: Work, flight: u64, length: Duration) -> Result<()> {
    let ran = match peer {
        "ours" => client::run(owner::connect(place).await?, work, flight, length).await?,
        "redis" => {
            let store = RedisSessionStore::new(format!("redis+unix://{place}")).await;
            let store = store.map_err(|e| Error::msg(e.to_string()))?;
            client::run(store, work, flight, length).await?
        }
        other => {
            return Err(Error::msg(format!("no such peer: {other} (ours, redis)")));
        }
    };
    println!("{}", serde_json::to_string(&ran)?);
    Ok(())
}

async fn run(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["owner", store, directory] => owner::serve(store, directory).await,
        ["client", peer, place, work, flight, ms] => {
            let length = Duration::from_millis(ms.parse()?);
            client(peer, place, Work::read(work)?, flight.parse()?, length).await
        }
        ["million", directory, sessions] => {
            let ran = million::run(directory, sessions.parse()?).await?;
            println!("{}", serde_json::to_string(&ran)?);
            Ok(())
        }
        _ => Err(Error::msg(
            "usage: bench-sessions owner memory|embedded|sqlite|files DIRECTORY \
             | client ours|redis PLACE load|save|request FLIGHT MS | million DIRECTORY SESSIONS",
        )),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match rt::System::new().block_on(run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-sessions: {error}");
            ExitCode::FAILURE
        }
    }
}
