//! Looking into one process from the monitor: what `cluster log-level` and its like do, by HTTP.

use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Data, Json, Path, Query, ServiceConfig};
use actix_web::{HttpResponse, ResponseError};
use cluster_core::{Cluster, Debugging, Operation, OperationError, Subject};
use futures_util::{FutureExt, Stream, StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::guard::{Right, RightToAct};
use super::live::{Feed, streaming};
use super::operate;

/// How often a process is asked for what it has logged since.
const LOOK: Duration = Duration::from_millis(250);
/// Between two signs of life on a stream on which nothing else is said.
const SILENCE: Duration = Duration::from_secs(10);

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .route("/debug/log-level/{process}", web::put().to(set_log_level))
        .route("/debug/log/{process}", web::get().to(follow_log))
        .route("/debug/stacks/{process}", web::get().to(stacks))
        .route("/debug/profile/{process}", web::get().to(profile))
        .route("/debug/attach/{worker}", web::post().to(attach));
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("no process is called {0:?} (allowed: a worker's id or pid, master, cache-manager)")]
    NoName(String),
    #[error("too many pages are open")]
    Crowded,
    #[error(transparent)]
    Operation(#[from] OperationError),
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        match self {
            Refusal::NoName(_) => StatusCode::NOT_FOUND,
            Refusal::Crowded => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Operation(error) => operate::status_of(error),
        }
    }

    fn error_response(&self) -> HttpResponse {
        let message = json!({ "error": self.to_string() });
        HttpResponse::build(self.status_code()).json(message)
    }
}

/// The process of that name in a path: a worker's id or pid, `master`, `cache-manager`.
fn subject(name: &str) -> Result<Subject, Refusal> {
    match name {
        "master" => Ok(Subject::Master),
        "cache-manager" => Ok(Subject::CacheManager),
        number => number
            .parse()
            .map(Subject::Worker)
            .map_err(|_| Refusal::NoName(name.to_owned())),
    }
}

async fn carry_out(cluster: &Cluster, debugging: Debugging) -> Result<Value, Refusal> {
    Ok(cluster.operate(Operation::Debug(debugging)).await?)
}

/// The body of `PUT /debug/log-level/PROCESS`: null brings back what the process was started with.
#[derive(Deserialize)]
struct Level {
    filter: Option<String>,
}

async fn set_log_level(
    cluster: Data<Cluster>,
    process: Path<String>,
    Json(level): Json<Level>,
) -> Result<HttpResponse, Refusal> {
    let of = subject(&process)?;
    let filter = level.filter;
    let set = carry_out(&cluster, Debugging::LogLevel { of, filter }).await?;
    Ok(HttpResponse::Ok().json(set))
}

#[derive(Deserialize)]
struct From {
    #[serde(default)]
    from: u64,
}

/// A process's log as server-sent events, from what it keeps of it on: each with the lines and the number of the next one as its id, by
/// which a browser goes on after a break.
async fn follow_log(
    _: Right,
    cluster: Data<Cluster>,
    feed: Data<Feed>,
    process: Path<String>,
    Query(From { from }): Query<From>,
    request: actix_web::HttpRequest,
) -> Result<HttpResponse, Refusal> {
    let of = subject(&process)?;
    let place = feed.place().ok_or(Refusal::Crowded)?;
    let last = request.headers().get("last-event-id");
    let last = last.and_then(|id| id.to_str().ok()?.parse().ok());
    let from = last.unwrap_or(from);
    let cluster = cluster.into_inner();
    let first = carry_out(&cluster, Debugging::RecentLog { of, from }).await?;
    let parts = stream::unfold(Some((Some(first), from)), move |state| {
        let cluster = std::sync::Arc::clone(&cluster);
        async move {
            let (known, from) = state?;
            let part = match known {
                Some(part) => Some(part),
                None => further_part(&cluster, of, from).await,
            };
            let Some(part) = part else {
                let end = json!({ "text": "the process does not answer any more" });
                return Some((Ok(event_of("end", &end)), None));
            };
            let next = part["next"].as_u64().unwrap_or(from);
            let event = if part["lines"].as_array().is_some_and(Vec::is_empty) {
                ":\n\n".to_owned()
            } else {
                format!("id: {next}\nevent: lines\ndata: {part}\n\n")
            };
            Some((
                Ok::<_, actix_web::Error>(Bytes::from(event)),
                Some((None, next)),
            ))
        }
    });
    Ok(streaming(held(parts, place).take_until(feed.over())))
}

/// What a process has logged from a line on, as soon as there is something, or after a silence; nothing where it does not answer.
///
/// One part a look: a process that logs faster than that loses lines here, and holds up nobody.
async fn further_part(cluster: &Cluster, of: Subject, from: u64) -> Option<Value> {
    let silence = Instant::now() + SILENCE;
    loop {
        tokio::time::sleep(LOOK).await;
        let asked = Operation::Debug(Debugging::RecentLog { of, from });
        let part = cluster.operate(asked).await.ok()?;
        if part["next"] != from || Instant::now() >= silence {
            return Some(part);
        }
    }
}

/// The stacks of a process's threads, as JSON.
async fn stacks(
    cluster: Data<Cluster>,
    process: Path<String>,
    _: RightToAct,
) -> Result<HttpResponse, Refusal> {
    let of = subject(&process)?;
    let seen = carry_out(&cluster, Debugging::Stacks { of }).await?;
    let mut response = HttpResponse::Ok();
    Ok(response
        .insert_header(("cache-control", "no-store"))
        .json(seen))
}

/// How long a process is looked at where nobody says.
const SECONDS: u32 = 5;

#[derive(Deserialize)]
struct For {
    seconds: Option<u32>,
}

/// The flame graph of a process, as SVG. Closing the connection ends the look.
async fn profile(
    cluster: Data<Cluster>,
    process: Path<String>,
    Query(For { seconds }): Query<For>,
    _: RightToAct,
) -> Result<HttpResponse, Refusal> {
    let of = subject(&process)?;
    let seconds = seconds.unwrap_or(SECONDS);
    let mut seen = carry_out(&cluster, Debugging::Profile { of, seconds }).await?;
    let svg = match seen["svg"].take() {
        Value::String(svg) => svg,
        _ => String::new(),
    };
    Ok(HttpResponse::Ok()
        .content_type("image/svg+xml")
        .insert_header(("cache-control", "no-store"))
        .insert_header(("x-content-type-options", "nosniff"))
        .body(svg))
}

/// Between two signs of life on the stream of a debugging session: that a page was closed is noticed by them, and the worker stands still
/// until then.
const PULSE: Duration = Duration::from_millis(500);
/// What may wait to be told of a debugging session: a few words in its life.
const NOTES: usize = 16;

/// A debugging session of a worker (or of one that is started for it, called `fresh`) as server-sent events: `note`, `attached` with the
/// command that connects a debugger, and at its end `end` or `refused`. It ends where the connection is closed.
async fn attach(
    cluster: Data<Cluster>,
    feed: Data<Feed>,
    worker: Path<String>,
) -> Result<HttpResponse, Refusal> {
    let place = feed.place().ok_or(Refusal::Crowded)?;
    let worker = match worker.as_str() {
        "fresh" => None,
        name => match subject(name)? {
            Subject::Worker(number) => Some(number),
            _ => return Err(Refusal::NoName(worker.into_inner())),
        },
    };
    let cluster = cluster.into_inner();
    let (notes, noted) = mpsc::channel(NOTES);
    let session = async move {
        let operation = Operation::Debug(Debugging::Attach { worker });
        cluster.operate_with_progress(operation, Some(notes)).await
    };
    let state = Some((session.boxed_local(), noted));
    let events = stream::unfold(state, |state| async {
        let (mut session, mut noted) = state?;
        let silence = tokio::time::sleep(PULSE);
        let (event, goes_on) = tokio::select! {
            biased;
            Some(note) = noted.recv() => {
                let event = if note.done == 1 { "attached" } else { "note" };
                (event_of(event, &json!({ "text": note.note })), true)
            }
            over = &mut session => match over {
                Ok(outcome) => (event_of("end", &outcome), false),
                Err(e) => (event_of("refused", &json!({ "error": e.to_string() })), false),
            },
            () = silence => (Bytes::from_static(b":\n\n"), true),
        };
        let next = goes_on.then_some((session, noted));
        Some((Ok::<_, actix_web::Error>(event), next))
    });
    Ok(streaming(held(events, place)))
}

/// A stream that keeps its place among the pages that are open until its end.
fn held<T>(parts: impl Stream<Item = T>, place: OwnedSemaphorePermit) -> impl Stream<Item = T> {
    parts.inspect(move |_| {
        let _ = &place;
    })
}

fn event_of(name: &str, data: &Value) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}
