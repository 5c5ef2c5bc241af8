//! What the bridge is measured against: the same values in frames of the same lengths over a Unix socket between two
//! processes, written by the same codec and framed by hand, with nothing around them; each side on one thread of tokio.
//!
//! `bench-bridge-reference --port P` answers the same requests as `bench-bridge`. For each run it starts itself once
//! more, as the far side, with the socket as its standard input. With `bare=true` frames hold bytes that nobody writes
//! from values or reads into them. It is no example to follow.

mod payload;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::env;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as Blocking;
use std::process::{Command, ExitCode};
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::error::{ErrorBadGateway, ErrorBadRequest};
use actix_web::{App, HttpResponse, HttpServer, get, rt, web};
use cluster_core::__bench::{decode, encode};
use futures_util::future::join_all;
use payload::Payload;
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{Notify, oneshot};

/// What stands before the 128 bytes of a payload in our frames: 8 bytes of header, and the head.
const ASK: usize = 35;
const ANSWER: usize = 18;
const EVENT: usize = 31;
/// The length of a payload.
const PAYLOAD: usize = 128;
/// Questions under way at once.
const FLIGHT: usize = 64;
/// Frames per write of a stream: the best of 16, 64 and 256.
const BATCH: usize = 64;

/// The kinds of frames that the far side knows; the kind stands behind the length.
/// Beside another kind: the payload is bare bytes.
const BARE: u8 = 16;
const QUESTION: u8 = 1;
const NOTE: u8 = 2;
/// Stream for so long; the time, in milliseconds, stands behind the kind.
const FLOOD: u8 = 3;
/// All has been sent: answer with an empty frame.
const DONE: u8 = 4;

/// Appends a frame that holds a payload: so many bytes, then the value.
fn append(out: &mut Vec<u8>, kind: u8, before: usize, number: u64) {
    let start = out.len();
    out.extend_from_slice(
        &u32::try_from(before + PAYLOAD)
            .unwrap_or(u32::MAX)
            .to_le_bytes(),
    );
    out.push(kind);
    out.resize(start + before, 7);
    if kind & BARE != 0 {
        out.resize(start + before + PAYLOAD, 7);
    } else {
        encode(&Payload::new(number), out).expect("it can be written");
    }
    assert_eq!(out.len() - start, before + PAYLOAD);
}

/// Reads a payload from the end of a frame; gives back how much it holds.
fn value(kind: u8, body: &[u8]) -> usize {
    if kind & BARE != 0 {
        return body.len();
    }
    let payload: Payload = decode(&body[body.len() - PAYLOAD..]).expect("it can be read");
    payload.text.len()
}

/// Appends a frame that holds nothing.
fn append_empty(out: &mut Vec<u8>, kind: u8) {
    out.extend_from_slice(&5u32.to_le_bytes());
    out.push(kind);
}

/// Hands on each whole frame, its kind and its body, and keeps what is left over.
struct Frames {
    bytes: Vec<u8>,
    filled: usize,
}

impl Frames {
    fn new() -> Self {
        Frames {
            bytes: vec![0; 64 * 1024],
            filled: 0,
        }
    }

    async fn read(
        &mut self,
        from: &mut (impl AsyncReadExt + Unpin),
        mut each: impl FnMut(u8, &[u8]),
    ) -> io::Result<()> {
        match from.read(&mut self.bytes[self.filled..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => self.filled += n,
        }
        let mut start = 0;
        while let Some(head) = self.bytes[start..self.filled].first_chunk::<5>() {
            let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
            let Some(frame) = self.bytes[start..self.filled].get(5..length) else {
                break;
            };
            each(head[4], frame);
            start += length;
        }
        self.bytes.copy_within(start..self.filled, 0);
        self.filled -= start;
        Ok(())
    }
}

/// The far side: answers questions, takes notes, streams when told to.
async fn far_side() -> io::Result<()> {
    let socket = Blocking::from(io::stdin().as_fd().try_clone_to_owned()?);
    socket.set_nonblocking(true)?;
    let mut stream = UnixStream::from_std(socket)?;
    let (mut frames, mut out) = (Frames::new(), Vec::new());
    let mut heard = 0u64;
    loop {
        let mut flood = None;
        let read = frames.read(&mut stream, |kind, body| match kind & !BARE {
            QUESTION => {
                heard += value(kind, body) as u64;
                append(&mut out, kind, ANSWER, heard);
            }
            FLOOD => {
                flood = body
                    .first_chunk()
                    .map(|ms| (kind & BARE, u64::from_le_bytes(*ms)))
            }
            DONE => append_empty(&mut out, DONE),
            _ => heard += value(kind, body) as u64,
        });
        match read.await {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => break,
            other => other?,
        }
        if let Some((bare, ms)) = flood {
            pour(&mut stream, bare, Duration::from_millis(ms)).await?;
            append_empty(&mut out, DONE);
        }
        stream.write_all(&out).await?;
        out.clear();
    }
    // So that what was heard is worth something to the compiler.
    std::hint::black_box(heard);
    Ok(())
}

/// Streams events for so long; gives back how many.
async fn pour(
    stream: &mut (impl AsyncWriteExt + Unpin),
    bare: u8,
    length: Duration,
) -> io::Result<u64> {
    let (begun, mut out, mut sent) = (Instant::now(), Vec::new(), 0);
    while begun.elapsed() < length {
        for _ in 0..BATCH {
            append(&mut out, NOTE | bare, EVENT, sent);
            sent += 1;
        }
        stream.write_all(&out).await?;
        out.clear();
    }
    Ok(sent)
}

/// Starts the far side; it ends when its socket does.
fn connect() -> io::Result<UnixStream> {
    let (here, there) = Blocking::pair()?;
    let program = env::current_exe()?;
    let mut child = Command::new(program)
        .arg("--far")
        .stdin(OwnedFd::from(there))
        .spawn()?;
    // It is waited for where nothing else waits.
    std::thread::spawn(move || child.wait());
    here.set_nonblocking(true)?;
    UnixStream::from_std(here)
}

#[derive(Deserialize)]
struct Run {
    work: String,
    ms: u64,
    #[serde(default)]
    bare: bool,
}

#[get("/run")]
async fn run(run: web::Query<Run>) -> actix_web::Result<HttpResponse> {
    let length = Duration::from_millis(run.ms.min(60_000));
    let mut stream = connect()?;
    let bare = if run.bare { BARE } else { 0 };
    let figure = match run.work.as_str() {
        "ask" => ask(&mut stream, bare, length).await,
        "flight" => flight(stream, bare, length).await,
        "up" => up(&mut stream, bare, length).await,
        "down" => down(&mut stream, bare, length).await,
        _ => return Err(ErrorBadRequest("no such work")),
    };
    Ok(HttpResponse::Ok().json(json!({ "figure": figure? })))
}

async fn ask(stream: &mut UnixStream, bare: u8, length: Duration) -> io::Result<f64> {
    let (mut times, begun) = (Vec::new(), Instant::now());
    let (mut question, mut answer, mut heard) = (Vec::new(), [0; ANSWER + PAYLOAD], 0);
    while begun.elapsed() < length {
        let asked = Instant::now();
        question.clear();
        append(&mut question, QUESTION | bare, ASK, 1);
        stream.write_all(&question).await?;
        stream.read_exact(&mut answer).await?;
        heard += value(answer[4], &answer);
        times.push(asked.elapsed());
    }
    std::hint::black_box(heard);
    times.sort_unstable();
    Ok(times[times.len() / 2].as_secs_f64() * 1e6)
}

/// Bare bytes in batches of as many questions as are under way; values as 64 callers ask for them, each its own.
async fn flight(stream: UnixStream, bare: u8, length: Duration) -> io::Result<f64> {
    let begun = Instant::now();
    let answered = match bare {
        0 => callers(Shared::start(stream), begun, length).await?,
        _ => batches(stream, bare, begun, length).await?,
    };
    Ok(answered as f64 / begun.elapsed().as_secs_f64())
}

async fn callers(shared: Rc<Shared>, begun: Instant, length: Duration) -> io::Result<u64> {
    let calls = (0..FLIGHT).map(|_| {
        let shared = Rc::clone(&shared);
        rt::spawn(async move {
            let mut answered = 0;
            while begun.elapsed() < length {
                shared.ask().await?;
                answered += 1;
            }
            Ok::<u64, io::Error>(answered)
        })
    });
    let mut answered = 0;
    for call in join_all(calls).await {
        answered += call??;
    }
    shared.end();
    Ok(answered)
}

async fn batches(
    mut stream: UnixStream,
    bare: u8,
    begun: Instant,
    length: Duration,
) -> io::Result<u64> {
    let (mut frames, mut out, mut answered) = (Frames::new(), Vec::new(), 0u64);
    for _ in 0..FLIGHT {
        append(&mut out, QUESTION | bare, ASK, 1);
    }
    while begun.elapsed() < length {
        stream.write_all(&out).await?;
        out.clear();
        let each = |kind, body: &[u8]| {
            answered += u64::from(value(kind, body) > 0);
            append(&mut out, kind, ASK, answered);
        };
        frames.read(&mut stream, each).await?;
    }
    Ok(answered)
}

async fn up(stream: &mut UnixStream, bare: u8, length: Duration) -> io::Result<f64> {
    let begun = Instant::now();
    let sent = pour(stream, bare, length).await?;
    let (mut out, mut last) = (Vec::new(), [0; 5]);
    append_empty(&mut out, DONE);
    stream.write_all(&out).await?;
    stream.read_exact(&mut last).await?;
    Ok(sent as f64 / begun.elapsed().as_secs_f64())
}

async fn down(stream: &mut UnixStream, bare: u8, length: Duration) -> io::Result<f64> {
    let begun = Instant::now();
    let mut out = 13u32.to_le_bytes().to_vec();
    out.push(FLOOD | bare);
    out.extend_from_slice(
        &u64::try_from(length.as_millis())
            .unwrap_or(u64::MAX)
            .to_le_bytes(),
    );
    stream.write_all(&out).await?;
    let (mut frames, mut heard, mut done) = (Frames::new(), 0u64, false);
    while !done {
        let each = |kind, body: &[u8]| match kind {
            DONE => done = true,
            _ => heard += u64::from(value(kind, body) > 0),
        };
        frames.read(stream, each).await?;
    }
    Ok(heard as f64 / begun.elapsed().as_secs_f64())
}

/// Questions of many callers over one stream; answers come in the order of the questions.
struct Shared {
    out: RefCell<Vec<u8>>,
    waiting: RefCell<VecDeque<oneshot::Sender<usize>>>,
    wake: Notify,
    ended: Cell<bool>,
}

impl Shared {
    fn start(stream: UnixStream) -> Rc<Self> {
        let shared = Rc::new(Shared {
            out: RefCell::default(),
            waiting: RefCell::default(),
            wake: Notify::new(),
            ended: Cell::new(false),
        });
        let (mut reader, writer) = stream.into_split();
        rt::spawn(Rc::clone(&shared).write(writer));
        let here = Rc::clone(&shared);
        rt::spawn(async move {
            let mut frames = Frames::new();
            let each = |kind, body: &[u8]| {
                let length = value(kind, body);
                if let Some(waiter) = here.waiting.borrow_mut().pop_front() {
                    let _ = waiter.send(length);
                }
            };
            while frames.read(&mut reader, each).await.is_ok() {}
        });
        shared
    }

    async fn write(self: Rc<Self>, mut writer: OwnedWriteHalf) {
        let mut bytes = Vec::new();
        while !self.ended.get() {
            std::mem::swap(&mut bytes, &mut self.out.borrow_mut());
            if bytes.is_empty() {
                self.wake.notified().await;
            } else if writer.write_all(&bytes).await.is_err() {
                return;
            }
            bytes.clear();
        }
    }

    /// Asks once; gives back how much the answer holds.
    async fn ask(&self) -> io::Result<usize> {
        let (answer, answered) = oneshot::channel();
        append(&mut self.out.borrow_mut(), QUESTION, ASK, 1);
        self.waiting.borrow_mut().push_back(answer);
        self.wake.notify_one();
        answered.await.map_err(io::Error::other)
    }

    /// Closes the stream.
    fn end(&self) {
        self.ended.set(true);
        self.wake.notify_one();
    }
}

#[get("/")]
async fn one(shared: web::Data<Rc<Shared>>) -> actix_web::Result<String> {
    let length = shared.ask().await.map_err(ErrorBadGateway)?;
    Ok(format!("{length:085}"))
}

async fn near_side(port: u16) -> io::Result<()> {
    let make = || {
        let shared = Shared::start(connect().expect("the far side starts"));
        App::new()
            .app_data(web::Data::new(shared))
            .service(one)
            .service(run)
    };
    HttpServer::new(make)
        .workers(1)
        .bind((Ipv4Addr::LOCALHOST, port))?
        .run()
        .await
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ended = match arguments.as_slice() {
        ["--far"] => rt::System::new().block_on(far_side()),
        ["--port", port] => match port.parse() {
            Ok(port) => rt::System::new().block_on(near_side(port)),
            Err(_) => Err(io::ErrorKind::InvalidInput.into()),
        },
        _ => {
            eprintln!("usage: bench-bridge-reference --port P");
            return ExitCode::from(2);
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-bridge-reference: {error}");
            ExitCode::FAILURE
        }
    }
}
