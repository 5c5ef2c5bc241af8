//! The smallest application that shows a cluster at work.
//!
//! `/` says hello, `/pid` which process did, `/whoami` more of it; `/slow?ms=N` takes its time, `/panic` panics in its handler, `/crash` takes its
//! whole worker down; `/roll-call` makes every process of the cluster answer an event.

use std::time::Duration;

use actix_web::{App, HttpResponse, Responder, get};
use cluster_web::ProcessId;
use cluster_web::prelude::*;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// Told to every process, which answers with [`Present`].
#[derive(Clone, Debug, Serialize, Deserialize, Event)]
struct RollCall {
    number: u64,
}

/// The answer to a [`RollCall`], to the process that called.
#[derive(Clone, Debug, Serialize, Deserialize, Event)]
struct Present {
    number: u64,
    pid: u32,
    role: Role,
}

#[get("/")]
async fn hello() -> &'static str {
    "hello"
}

#[get("/pid")]
async fn pid() -> String {
    std::process::id().to_string()
}

#[derive(Deserialize)]
struct Slow {
    ms: u64,
}

#[get("/slow")]
async fn slow(query: web::Query<Slow>) -> impl Responder {
    sleep(millis(query.ms.min(600_000))).await;
    format!("slept {} ms", query.ms)
}

#[get("/crash")]
async fn crash() -> &'static str {
    std::process::abort()
}

#[get("/panic")]
async fn panic() -> &'static str {
    panic!("this handler panics, as it was asked to")
}

#[get("/whoami")]
async fn whoami(cluster: web::Data<Cluster>) -> impl Responder {
    HttpResponse::Ok().json(json!({
        "pid": std::process::id(),
        "role": cluster.role(),
        "id": cluster.worker(),
        "generation": cluster.generation(),
        "build": cluster.build(),
    }))
}

#[get("/roll-call")]
async fn roll_call(cluster: web::Data<Cluster>) -> Result<impl Responder> {
    let number = rand_number();
    let (heard, mut answers) = mpsc::channel(1024);
    let listening = cluster.emitter().on(move |present: Present, _| {
        if present.number == number {
            let _ = heard.try_send(present);
        }
    });
    cluster
        .emitter()
        .to([Target::Master, Target::Workers])
        .emit(RollCall { number })?;
    let mut present = Vec::new();
    while let Ok(Some(answer)) = timeout(Duration::from_millis(200), answers.recv()).await {
        present.push(json!({ "pid": answer.pid, "role": answer.role }));
    }
    drop(listening);
    Ok(HttpResponse::Ok().json(present))
}

/// A number that no other call has: the time and the process.
fn rand_number() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = now.map_or(0, |t| u64::from(t.subsec_nanos()) | (t.as_secs() << 30));
    nanos ^ (u64::from(std::process::id()) << 40)
}

/// Every process answers a roll call, to the one that called.
fn answer_roll_calls(cluster: &Cluster) {
    let here = cluster.clone();
    let answer = move |RollCall { number }: RollCall, from: ProcessId| {
        let present = Present {
            number,
            pid: std::process::id(),
            role: here.role(),
        };
        if let Err(e) = here.emitter().emit_to(from.into(), present) {
            tracing::warn!(error = %e, "a roll call was not answered");
        }
    };
    cluster.emitter().on(answer).forever();
}

#[cluster_web::main]
async fn main() -> Result<()> {
    cluster_web::app(|| {
        App::new()
            .service(hello)
            .service(pid)
            .service(slow)
            .service(crash)
            .service(panic)
            .service(whoami)
            .service(roll_call)
    })
    .options(
        Options::loader()
            .about("The smallest cluster: says hello.")
            .load()?,
    )
    .dependencies(cluster_web::dependencies!())
    .in_roles(Role::ALL, answer_roll_calls)
    .warm_up(|worker| async move { worker.get("/").await })
    .listen()
    .await?
    .wait()
    .await
}
