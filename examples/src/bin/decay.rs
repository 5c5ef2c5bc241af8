//! Workers that get worse, each in a way of its own, so that one can see how the cluster notices and replaces them.
//!
//! `/` and `/pid` say which process answers. `POST /leak?mib=N` takes memory and never gives it back, `POST /slow?us=N` makes each further request
//! of this worker take so much longer, and a little memory with it; `POST /spin` keeps its thread busy for ever, `POST /deadlock` has it
//! wait for itself for ever. All but the last two say which process it was. Try it with `--max-memory 200MiB --nanny.tolerance 10s`.

use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix_web::{App, post, routes};
use cluster_web::prelude::*;

/// How much longer each request of this process takes.
static SLOWER_US: AtomicU64 = AtomicU64::new(0);
/// What a request leaks where it takes longer.
const CRUMB: usize = 4096;

fn leak(bytes: usize) {
    // Written to, so that it is there and not only promised.
    black_box(Vec::leak(vec![1_u8; bytes]));
}

fn pid() -> String {
    std::process::id().to_string()
}

#[routes]
#[get("/")]
#[get("/pid")]
async fn work() -> String {
    let begun = Instant::now();
    let slower = Duration::from_micros(SLOWER_US.load(Ordering::Relaxed));
    if !slower.is_zero() {
        leak(CRUMB);
    }
    while begun.elapsed() < slower {
        std::hint::spin_loop();
    }
    pid()
}

#[derive(Deserialize)]
struct Leak {
    mib: usize,
}

#[post("/leak")]
async fn leak_some(query: web::Query<Leak>) -> String {
    leak(query.mib.min(4096) * 1024 * 1024);
    pid()
}

#[derive(Deserialize)]
struct Slow {
    us: u64,
}

#[post("/slow")]
async fn slow_down(query: web::Query<Slow>) -> String {
    SLOWER_US.fetch_add(query.us.min(1_000_000), Ordering::Relaxed);
    pid()
}

#[post("/spin")]
async fn spin() -> String {
    loop {
        std::hint::spin_loop();
    }
}

#[post("/deadlock")]
async fn deadlock() -> String {
    static LOCK: Mutex<()> = Mutex::new(());
    let held = LOCK.lock();
    let again = LOCK.lock();
    drop((again, held));
    pid()
}

#[cluster_web::main]
async fn main() -> Result<()> {
    let app = || {
        App::new()
            .service(work)
            .service(leak_some)
            .service(slow_down)
            .service(spin)
            .service(deadlock)
    };
    let options = Options::loader()
        .about("A cluster whose workers get worse on request.")
        .load()?;
    cluster_web::app(app)
        .options(options)
        .listen()
        .await?
        .wait()
        .await
}
