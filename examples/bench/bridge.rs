//! What `bench bridge` measures: a cluster whose worker tells and asks the master, and is told by it.
//!
//! `/` asks the master once, inside its handler. `/run?work=W&ms=N` works for so long and answers with a figure: `ask` is
//! the median time of a question in µs, one at a time; `flight` questions per second, 64 under way; `up` and `down` events
//! per second, from worker to master and back. `/run?work=count&events=N` tells the master so many.

mod payload;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::error::{ErrorBadGateway, ErrorBadRequest};
use actix_web::{App, HttpResponse, get, rt};
use cluster_web::prelude::*;
use cluster_web::{AskError, EmitError, ProcessId};
use futures_util::future::join_all;
use payload::Payload;
use serde_json::json;

/// Questions under way at once.
const FLIGHT: usize = 64;
/// How long the other side may take to work off what was sent.
const PATIENCE: Duration = Duration::from_secs(60);
#[derive(Clone, Debug, Serialize, Deserialize, Event)]
struct Tick(Payload);

/// Answered with what it holds.
#[derive(Clone, Debug, Serialize, Deserialize, Request)]
#[reply(Payload)]
struct Echo(Payload);

/// How many ticks were heard so far. It waits in line behind those that were sent before it.
#[derive(Clone, Debug, Serialize, Deserialize, Request)]
#[reply(u64)]
struct Heard;

/// Tells ticks to whoever asks, for so long; answered with how many there were.
#[derive(Clone, Debug, Serialize, Deserialize, Request)]
#[reply(u64)]
struct Flood {
    ms: u64,
}

/// Hears ticks, as an application would: an actor in each process.
#[derive(Default, HandlerActor)]
#[handles(Tick, Echo, Heard)]
struct Counter {
    ticks: u64,
    bytes: u64,
}

impl Handler<Tick> for Counter {
    type Result = ();

    fn handle(&mut self, Tick(payload): Tick, _: &mut Context<Self>) {
        self.ticks += 1;
        self.bytes += payload.text.len() as u64;
    }
}

impl Handler<Echo> for Counter {
    type Result = MessageResult<Echo>;

    fn handle(&mut self, Echo(payload): Echo, _: &mut Context<Self>) -> Self::Result {
        MessageResult(payload)
    }
}

impl Handler<Heard> for Counter {
    type Result = u64;

    fn handle(&mut self, _: Heard, _: &mut Context<Self>) -> u64 {
        self.ticks
    }
}

#[get("/")]
async fn one(cluster: web::Data<Cluster>) -> actix_web::Result<String> {
    let reply = cluster
        .emitter()
        .ask(Target::Master, Echo(Payload::new(1)))
        .await;
    Ok(reply.map_err(ErrorBadGateway)?.text)
}

#[derive(Deserialize)]
struct Run {
    work: String,
    #[serde(default)]
    ms: u64,
    #[serde(default)]
    events: u64,
}

#[get("/run")]
async fn run(run: web::Query<Run>, cluster: web::Data<Cluster>) -> actix_web::Result<HttpResponse> {
    let emitter = cluster.emitter();
    let length = millis(run.ms.min(60_000));
    let figure = match run.work.as_str() {
        "ask" => ask(emitter, length).await,
        "flight" => flight(emitter, length).await,
        "up" => up(emitter, Until::Time(Instant::now() + length)).await,
        "down" => down(emitter, length).await,
        "count" => up(emitter, Until::Events(run.events)).await,
        _ => return Err(ErrorBadRequest("no such work")),
    };
    let figure = figure.map_err(ErrorBadGateway)?;
    let counters = emitter.counters();
    Ok(HttpResponse::Ok().json(json!({
        "figure": figure,
        "dropped": counters.dropped,
        "master": std::os::unix::process::parent_id(),
    })))
}

/// The median time of a question, in microseconds.
async fn ask(emitter: &Emitter, length: Duration) -> Result<f64> {
    let mut times = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < length {
        let echo = Echo(Payload::new(1));
        let asked = Instant::now();
        emitter.ask(Target::Master, echo).await?;
        times.push(asked.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2].as_secs_f64() * 1e6)
}

/// Questions per second, many under way.
async fn flight(emitter: &Emitter, length: Duration) -> Result<f64> {
    let answered = Rc::new(RefCell::new(0u64));
    let begun = Instant::now();
    let lanes = (0..FLIGHT).map(|_| {
        let (emitter, answered) = (emitter.clone(), Rc::clone(&answered));
        rt::spawn(async move {
            while begun.elapsed() < length {
                emitter.ask(Target::Master, Echo(Payload::new(1))).await?;
                *answered.borrow_mut() += 1;
            }
            Ok::<_, AskError>(())
        })
    });
    for lane in join_all(lanes).await {
        lane??;
    }
    let answered = *answered.borrow();
    Ok(answered as f64 / begun.elapsed().as_secs_f64())
}

#[derive(Clone, Copy)]
enum Until {
    Time(Instant),
    Events(u64),
}

impl Until {
    fn reached(self, sent: u64) -> bool {
        match self {
            Until::Time(end) => sent.is_multiple_of(64) && Instant::now() >= end,
            Until::Events(events) => sent >= events,
        }
    }
}

/// Tells ticks as an application would: in a loop, waiting where the link is full.
async fn tell(
    emitter: &Emitter,
    target: Target,
    until: Until,
) -> std::result::Result<u64, EmitError> {
    let to = emitter.to([target]);
    let mut sent = 0;
    while !until.reached(sent) {
        match to.emit(Tick(Payload::new(sent))) {
            Ok(()) => sent += 1,
            Err(e) if e.is_retryable() => emitter.ready().await,
            Err(e) => return Err(e),
        }
    }
    Ok(sent)
}

/// Events per second to the master, until it has heard them all.
async fn up(emitter: &Emitter, until: Until) -> Result<f64> {
    let begun = Instant::now();
    let sent = tell(emitter, Target::Master, until).await?;
    let master = emitter.to([Target::Master]).wait(PATIENCE);
    for answer in master.ask(Heard).await {
        answer.result?;
    }
    Ok(sent as f64 / begun.elapsed().as_secs_f64())
}

/// Events per second from the master, until this worker has heard them all.
async fn down(emitter: &Emitter, length: Duration) -> Result<f64> {
    let begun = Instant::now();
    let heard = emitter.ask(Target::Myself, Heard).await?;
    let master = emitter.to([Target::Master]).wait(length + PATIENCE);
    let ms = u64::try_from(length.as_millis())?;
    let mut sent = 0;
    for answer in master.ask(Flood { ms }).await {
        sent += answer.result?;
    }
    let mut still = sent;
    while still > 0 && begun.elapsed() < length + PATIENCE {
        let now = emitter.ask(Target::Myself, Heard).await?;
        still = (heard + sent).saturating_sub(now);
    }
    if still > 0 {
        return Err(Error::msg(format!(
            "{still} of {sent} events did not arrive"
        )));
    }
    Ok(sent as f64 / begun.elapsed().as_secs_f64())
}

/// The master floods a worker that asks for it.
fn answer_floods(cluster: &Cluster) {
    let emitter = cluster.emitter().clone();
    cluster
        .emitter()
        .answer(move |Flood { ms }: Flood, from: ProcessId| {
            let emitter = emitter.clone();
            async move {
                let end = Until::Time(Instant::now() + millis(ms));
                tell(&emitter, from.into(), end).await.unwrap_or_else(|e| {
                    tracing::error!(error = %e, "the flood broke off");
                    0
                })
            }
        });
}

#[cluster_web::main]
async fn main() -> Result<()> {
    let running: Running = cluster_web::app(|| App::new().service(one).service(run))
        .options(
            Options::loader()
                .about("What `bench bridge` measures.")
                .load()?,
        )
        .actor(Role::ALL, Counter::default)
        .in_roles(Role::MASTER, answer_floods)
        .listen()
        .await?;
    running.wait().await
}
