//! What `cargo xtask chaos` torments. Every answer names the process that gave it (`served-by`), so that one can tell what a death explains.
//!
//! `/` is answered at once, `/slow?ms=N` later; `POST /upload` with the length and the CRC-32 of its body. `POST /set?key=K&value=N` is
//! answered once the value is kept for good, and `/get?key=K` reads it. `POST /tell?bytes=N` tells the master and all workers a numbered event
//! of that size; on the monitor, `/status/heard` shows for each process whom it has heard, and what it has missed. `/late?ms=N` keeps the
//! event loop from running for so long, so that heartbeats come late.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::middleware::DefaultHeaders;
use actix_web::{App, HttpResponse, Responder, get, post};
use cluster_web::CacheError;
use cluster_web::cache::Cache;
use cluster_web::prelude::*;
use serde_json::json;
use tokio::time::sleep;

/// The longest body of an upload and the largest event, in bytes.
const LARGEST: usize = 8 << 20;
/// Of one speaker, so many gaps and disorders are remembered: the first ones.
const REMEMBERED: usize = 1000;

/// A process that tells events. Its pid alone would not do: another may have it later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Speaker {
    pid: u32,
    since_ms: u64,
}

/// This process, from when it first asked.
static MYSELF: LazyLock<Speaker> = LazyLock::new(|| Speaker {
    pid: std::process::id(),
    since_ms: unix_ms(),
});

/// The number of the last event that this process has told.
static TOLD: Mutex<u64> = Mutex::new(0);

/// Told to the master and to all workers, numbered from 1 by each speaker.
#[derive(Clone, Debug, Serialize, Deserialize, Event)]
struct Told {
    by: Speaker,
    number: u64,
    filler: String,
}

/// Numbers that did not come: those between these two, which came one after the other, each at its time.
#[derive(Clone, Serialize)]
struct Gap {
    after: u64,
    before: u64,
    since_ms: u64,
    until_ms: u64,
}

/// What one process has heard of one speaker.
#[derive(Clone, Serialize)]
struct Heard {
    by: Speaker,
    last: u64,
    at_ms: u64,
    gaps: Vec<Gap>,
    /// Numbers that came though a later one, or the same, had come before: that one, and this one.
    disorder: Vec<(u64, u64)>,
}

/// What this process has heard, of all speakers.
#[derive(Default)]
struct Ears(Mutex<HashMap<Speaker, Heard>>);

impl Ears {
    fn hear(&self, by: Speaker, number: u64) {
        let at_ms = unix_ms();
        let mut all = lock(&self.0);
        let Some(heard) = all.get_mut(&by) else {
            // Whoever came later than the speaker has missed nothing.
            let heard = Heard {
                by,
                last: number,
                at_ms,
                gaps: Vec::new(),
                disorder: Vec::new(),
            };
            all.insert(by, heard);
            return;
        };
        if number <= heard.last {
            if heard.disorder.len() < REMEMBERED {
                heard.disorder.push((heard.last, number));
            }
            return;
        }
        if number > heard.last + 1 && heard.gaps.len() < REMEMBERED {
            heard.gaps.push(Gap {
                after: heard.last,
                before: number,
                since_ms: heard.at_ms,
                until_ms: at_ms,
            });
        }
        heard.last = number;
        heard.at_ms = at_ms;
    }

    fn all(&self) -> Vec<Heard> {
        lock(&self.0).values().cloned().collect()
    }
}

/// What is behind these locks is whole after every statement, so that a panic elsewhere has spoiled nothing.
fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// Master and workers listen to all but themselves, and show what they hear.
fn listen(cluster: &Cluster) {
    let ears = Arc::new(Ears::default());
    let heard = Arc::clone(&ears);
    let hear = move |told: Told, _| {
        if told.by != *MYSELF {
            heard.hear(told.by, told.number);
        }
    };
    cluster.emitter().on(hear).forever();
    cluster.status().register("heard", move || {
        let shown = json!({ "me": *MYSELF, "told": *lock(&TOLD), "heard": ears.all() });
        async move { shown }
    });
}

#[get("/")]
async fn pid() -> String {
    std::process::id().to_string()
}

#[derive(Deserialize)]
struct Time {
    ms: u64,
}

impl Time {
    fn bounded(&self) -> std::time::Duration {
        millis(self.ms.min(60_000))
    }
}

#[get("/slow")]
async fn slow(time: web::Query<Time>) -> String {
    sleep(time.bounded()).await;
    std::process::id().to_string()
}

#[get("/late")]
async fn late(time: web::Query<Time>) -> String {
    std::thread::sleep(time.bounded());
    std::process::id().to_string()
}

#[post("/upload")]
async fn upload(body: web::Bytes) -> String {
    format!("{} {:08x}", body.len(), crc32fast::hash(&body))
}

fn kept(cluster: &Cluster) -> Result<Cache, CacheError> {
    cluster.cache("kept", CacheOptions::default().persist(true))
}

/// The cache has said why not, in time: whoever asks may ask again.
fn unavailable(error: &CacheError) -> HttpResponse {
    HttpResponse::ServiceUnavailable().body(error.to_string())
}

#[derive(Deserialize)]
struct Write {
    key: String,
    value: u64,
}

#[post("/set")]
async fn keep(write: web::Query<Write>, cluster: web::Data<Cluster>) -> Result<HttpResponse> {
    Ok(match kept(&cluster)?.set(&write.key, &write.value).await {
        Ok(_) => HttpResponse::Ok().body(write.value.to_string()),
        Err(e) => unavailable(&e),
    })
}

#[derive(Deserialize)]
struct Read {
    key: String,
}

#[get("/get")]
async fn look_up(read: web::Query<Read>, cluster: web::Data<Cluster>) -> Result<HttpResponse> {
    Ok(match kept(&cluster)?.get::<u64>(&read.key).await {
        Ok(Some(value)) => HttpResponse::Ok().body(value.to_string()),
        Ok(None) => HttpResponse::NotFound().finish(),
        Err(e) => unavailable(&e),
    })
}

#[derive(Deserialize)]
struct Size {
    bytes: usize,
}

#[post("/tell")]
async fn tell(size: web::Query<Size>, cluster: web::Data<Cluster>) -> impl Responder {
    let everybody = cluster.emitter().to([Target::Master, Target::Workers]);
    // Locked until it has set out: the numbers are to leave in their order.
    let mut told = lock(&TOLD);
    *told += 1;
    let set_out = everybody.emit(Told {
        by: *MYSELF,
        number: *told,
        filler: "x".repeat(size.bytes.min(LARGEST)),
    });
    let refused = set_out.err().map(|e| e.to_string());
    HttpResponse::Ok().json(json!({ "by": *MYSELF, "number": *told, "refused": refused }))
}

#[cluster_web::main]
async fn main() -> Result<()> {
    let app = || {
        let me = std::process::id().to_string();
        App::new()
            .wrap(DefaultHeaders::new().add(("served-by", me)))
            .app_data(web::PayloadConfig::new(LARGEST))
            .service(pid)
            .service(slow)
            .service(late)
            .service(upload)
            .service(keep)
            .service(look_up)
            .service(tell)
    };
    let options = Options::loader()
        .about("What the chaos test torments.")
        .load()?;
    cluster_web::app(app)
        .options(options)
        .in_roles(&[Role::Master, Role::Worker], listen)
        .warm_up(|worker| async move { worker.get("/").await })
        .listen()
        .await?
        .wait()
        .await
}
