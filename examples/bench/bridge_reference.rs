//! What the bridge is measured against: frames of the same lengths over a Unix socket between two processes, framed by
//! hand, with nothing around them; each side on one thread of tokio.
//!
//! `bench-bridge-reference --port P` answers the same requests as `bench-bridge`. For each run it starts itself once
//! more, as the far side, with the socket as its standard input. It is no example to follow.

use std::cell::RefCell;
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
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{Notify, oneshot};

/// The lengths of our frames: 8 bytes of header, the head, 128 bytes of payload.
const ASK: usize = 163;
const ANSWER: usize = 146;
const EVENT: usize = 159;
/// Questions under way at once.
const FLIGHT: usize = 64;
/// Frames per write of a stream: the best of 16, 64 and 256.
const BATCH: usize = 64;

/// The kinds of frames that the far side knows; the kind stands behind the length.
const QUESTION: u8 = 1;
const NOTE: u8 = 2;
/// Stream for so long; the time, in milliseconds, stands behind the kind.
const FLOOD: u8 = 3;
/// All has been sent: answer with an empty frame.
const DONE: u8 = 4;

/// Appends a frame of this length in all.
fn append(out: &mut Vec<u8>, kind: u8, length: usize) {
    let start = out.len();
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    out.push(kind);
    out.resize(start + length, 7);
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
        let read = frames.read(&mut stream, |kind, body| match kind {
            QUESTION => append(&mut out, QUESTION, ANSWER),
            FLOOD => flood = body.first_chunk().map(|ms| u64::from_le_bytes(*ms)),
            DONE => append(&mut out, DONE, 5),
            _ => heard += body.len() as u64,
        });
        match read.await {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => break,
            other => other?,
        }
        if let Some(ms) = flood {
            pour(&mut stream, Duration::from_millis(ms)).await?;
            append(&mut out, DONE, 5);
        }
        stream.write_all(&out).await?;
        out.clear();
    }
    // So that what was heard is worth something to the compiler.
    std::hint::black_box(heard);
    Ok(())
}

/// Streams events for so long; gives back how many.
async fn pour(stream: &mut (impl AsyncWriteExt + Unpin), length: Duration) -> io::Result<u64> {
    let (begun, mut out, mut sent) = (Instant::now(), Vec::new(), 0);
    while begun.elapsed() < length {
        for _ in 0..BATCH {
            append(&mut out, NOTE, EVENT);
        }
        stream.write_all(&out).await?;
        sent += BATCH as u64;
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
}

#[get("/run")]
async fn run(run: web::Query<Run>) -> actix_web::Result<HttpResponse> {
    let length = Duration::from_millis(run.ms.min(60_000));
    let mut stream = connect()?;
    let figure = match run.work.as_str() {
        "ask" => ask(&mut stream, length).await,
        "flight" => flight(&mut stream, length).await,
        "up" => up(&mut stream, length).await,
        "down" => down(&mut stream, length).await,
        _ => return Err(ErrorBadRequest("no such work")),
    };
    Ok(HttpResponse::Ok().json(json!({ "figure": figure? })))
}

async fn ask(stream: &mut UnixStream, length: Duration) -> io::Result<f64> {
    let (mut times, begun) = (Vec::new(), Instant::now());
    let (mut question, mut answer) = (Vec::new(), [0; ANSWER]);
    append(&mut question, QUESTION, ASK);
    while begun.elapsed() < length {
        let asked = Instant::now();
        stream.write_all(&question).await?;
        stream.read_exact(&mut answer).await?;
        times.push(asked.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2].as_secs_f64() * 1e6)
}

async fn flight(stream: &mut UnixStream, length: Duration) -> io::Result<f64> {
    let (mut frames, mut out, mut answered) = (Frames::new(), Vec::new(), 0u64);
    for _ in 0..FLIGHT {
        append(&mut out, QUESTION, ASK);
    }
    let begun = Instant::now();
    while begun.elapsed() < length {
        stream.write_all(&out).await?;
        out.clear();
        let each = |_, _: &[u8]| {
            answered += 1;
            append(&mut out, QUESTION, ASK);
        };
        frames.read(stream, each).await?;
    }
    Ok(answered as f64 / begun.elapsed().as_secs_f64())
}

async fn up(stream: &mut UnixStream, length: Duration) -> io::Result<f64> {
    let begun = Instant::now();
    let sent = pour(stream, length).await?;
    let (mut out, mut last) = (Vec::new(), [0; 5]);
    append(&mut out, DONE, 5);
    stream.write_all(&out).await?;
    stream.read_exact(&mut last).await?;
    Ok(sent as f64 / begun.elapsed().as_secs_f64())
}

async fn down(stream: &mut UnixStream, length: Duration) -> io::Result<f64> {
    let begun = Instant::now();
    let mut out = 13u32.to_le_bytes().to_vec();
    out.push(FLOOD);
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
            _ => heard += u64::from(!body.is_empty()),
        };
        frames.read(stream, each).await?;
    }
    Ok(heard as f64 / begun.elapsed().as_secs_f64())
}

/// Questions of many handlers over one stream; answers come in the order of the questions.
struct Shared {
    out: RefCell<Vec<u8>>,
    waiting: RefCell<VecDeque<oneshot::Sender<usize>>>,
    wake: Notify,
}

impl Shared {
    fn start(stream: UnixStream) -> Rc<Self> {
        let shared = Rc::new(Shared {
            out: RefCell::default(),
            waiting: RefCell::default(),
            wake: Notify::new(),
        });
        let (mut reader, writer) = stream.into_split();
        rt::spawn(Rc::clone(&shared).write(writer));
        let here = Rc::clone(&shared);
        rt::spawn(async move {
            let mut frames = Frames::new();
            let each = |_, body: &[u8]| {
                if let Some(waiter) = here.waiting.borrow_mut().pop_front() {
                    let _ = waiter.send(body.len());
                }
            };
            while frames.read(&mut reader, each).await.is_ok() {}
        });
        shared
    }

    async fn write(self: Rc<Self>, mut writer: OwnedWriteHalf) {
        loop {
            let out = self.out.take();
            if out.is_empty() {
                self.wake.notified().await;
            } else if writer.write_all(&out).await.is_err() {
                return;
            }
        }
    }
}

#[get("/")]
async fn one(shared: web::Data<Rc<Shared>>) -> actix_web::Result<String> {
    let (answer, answered) = oneshot::channel();
    append(&mut shared.out.borrow_mut(), QUESTION, ASK);
    shared.waiting.borrow_mut().push_back(answer);
    shared.wake.notify_one();
    let length = answered.await.map_err(ErrorBadGateway)?;
    Ok(format!("{length:032}"))
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
