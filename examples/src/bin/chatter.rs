//! Workers that say much, so that one can see where it goes: run it with `--log files`, and beside it `cluster logs -f`.
//!
//! `POST /say?lines=N&bytes=N&threads=N&by=tracing` has a worker say so many lines of so many bytes in each of so many threads at once, by
//! `tracing`, `print` (standard output) or `eprint` (standard error); `POST /panic` has it panic; `/` and `/pid` say which process answers.
//!
//! Whose lines they are is told by `--logger`: `cluster`, the cluster's own; `given`, a subscriber that the application gives; `first`, one
//! that it has set before all else.

use std::fmt;

use actix_web::{App, post, routes};
use cluster_web::prelude::*;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// What a worker is to say.
#[derive(Clone, Deserialize)]
struct Say {
    lines: u32,
    #[serde(default = "usual_bytes")]
    bytes: usize,
    #[serde(default = "one")]
    threads: u32,
    #[serde(default)]
    by: Means,
}

fn usual_bytes() -> usize {
    100
}

fn one() -> u32 {
    1
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Means {
    #[default]
    Tracing,
    Print,
    Eprint,
}

impl Say {
    /// Each line says which thread's it is, and which of its lines; and that it is whole.
    fn line(&self, thread: u32, number: u32) {
        let filling = "x".repeat(self.bytes.min(1 << 20));
        match self.by {
            Means::Tracing => tracing::info!("said {thread} {number} {filling} whole"),
            Means::Print => println!("printed {thread} {number} {filling} whole"),
            Means::Eprint => eprintln!("complained {thread} {number} {filling} whole"),
        }
    }

    fn all(&self) {
        std::thread::scope(|scope| {
            for thread in 0..self.threads.min(64) {
                scope.spawn(move || (0..self.lines).for_each(|number| self.line(thread, number)));
            }
        });
    }
}

fn pid() -> String {
    std::process::id().to_string()
}

#[routes]
#[get("/")]
#[get("/pid")]
async fn who() -> String {
    pid()
}

#[post("/say")]
async fn say(query: web::Query<Say>) -> Result<String> {
    web::block(move || query.all()).await?;
    Ok(pid())
}

#[post("/panic")]
async fn panic() -> String {
    panic!("process {} panics, as it was asked to", pid())
}

/// Says in place of the time whose line it is.
struct Whose(String);

impl FormatTime for Whose {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        w.write_str(&self.0)
    }
}

#[cluster_web::main]
async fn main() -> Result<()> {
    let options = Options::loader()
        .about("A cluster whose workers say much.")
        .flag("logger", "Whose lines: cluster, given or first", "cluster")
        .load()?;
    let logger = options.app("logger").unwrap_or_default().to_owned();
    let mut cluster = cluster_web::app(|| App::new().service(who).service(say).service(panic));
    match logger.as_str() {
        "cluster" => {}
        "given" => {
            cluster = cluster.get_logger(|log| {
                tracing_subscriber::fmt()
                    .with_ansi(log.ansi())
                    .with_writer(log.writer())
                    .with_timer(Whose(format!("given to the {}", log.process())))
                    .finish()
            });
        }
        "first" => tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(std::io::stderr)
            .with_timer(Whose("set first".to_owned()))
            .init(),
        other => {
            return Err(Error::msg(format!(
                "--logger: {other:?} is no logger (allowed: cluster, given, first)"
            )));
        }
    }
    cluster.options(options).listen().await?.wait().await
}
