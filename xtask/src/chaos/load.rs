//! Users: some keep their connection, some take a fresh one each time; they ask at once, slowly, and upload. What fails is remembered with
//! the connection that it failed on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use fastrand::Rng;

use super::clock::{Ms, now};
use super::http::{Connection, Failure, Reply, Request};

/// How long an answer may take: a cluster without workers may start the next ones only after ten seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two requests of a user: the machine is to be busy, and not drowned.
const PAUSE: Duration = Duration::from_millis(15);
/// After a failed request.
const LICKING: Duration = Duration::from_millis(50);
/// Failures that are remembered: the first ones.
const REMEMBERED: usize = 10_000;
/// The longest upload, in bytes, and the longest slow request, in milliseconds.
const UPLOAD: usize = 600_000;
const SLOW_MS: u64 = 1_200;

/// A request that failed.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    /// The port of the client's end of the connection; none where there came to be no connection.
    pub(crate) port: Option<u16>,
    pub(crate) opened: Ms,
    pub(crate) began: Ms,
    pub(crate) ended: Ms,
    pub(crate) asked: String,
    pub(crate) how: Failure,
}

/// What all users share.
#[derive(Debug)]
pub(crate) struct Load {
    port: u16,
    over: AtomicBool,
    answered: AtomicU64,
    failed: Mutex<Vec<Failed>>,
}

impl Load {
    /// A load on a port of the loopback, with no user yet.
    pub(crate) fn on(port: u16) -> Self {
        Load {
            port,
            over: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            failed: Mutex::default(),
        }
    }

    /// Has all users end with what they are at.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Whether they are to end.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Requests that were answered, however.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Requests that failed.
    pub(crate) fn failed(&self) -> Vec<Failed> {
        let failed = self.failed.lock();
        failed.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, failed: Failed) {
        let all = self.failed.lock();
        let mut all = all.unwrap_or_else(PoisonError::into_inner);
        if all.len() < REMEMBERED {
            all.push(failed);
        }
    }
}

/// An answer, and the way that it came.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) reply: Reply,
    pub(crate) began: Ms,
    port: u16,
    opened: Ms,
}

/// One user's way to the cluster.
#[derive(Debug)]
pub(crate) struct Client<'a> {
    load: &'a Load,
    connection: Option<Connection>,
    keeps: bool,
}

impl<'a> Client<'a> {
    /// One who keeps the connection, or takes a fresh one for each request.
    pub(crate) fn new(load: &'a Load, keeps: bool) -> Self {
        Client {
            load,
            connection: None,
            keeps,
        }
    }

    /// Asks. None where the request failed, which has been remembered.
    pub(crate) fn ask(&mut self, request: Request<'_>) -> Option<Answered> {
        let request = Request {
            keep: self.keeps,
            ..request
        };
        // A server may close a connection between two requests.
        let kept = self.connection.take().filter(|kept| !kept.is_closed());
        let began = now();
        let opened = kept.map_or_else(|| Connection::open(self.load.port, PATIENCE), Ok);
        let (port, since, outcome) = match opened {
            Err(how) => (None, began, Err(how)),
            Ok(mut connection) => {
                let outcome = connection.ask(&request);
                let (port, opened) = (connection.port, connection.opened);
                if outcome.as_ref().is_ok_and(|reply| !reply.closes) && self.keeps {
                    self.connection = Some(connection);
                }
                (Some(port), opened, outcome.map(|reply| (reply, port)))
            }
        };
        match outcome {
            Ok((reply, port)) => {
                self.load.answered.fetch_add(1, Ordering::Relaxed);
                Some(Answered {
                    reply,
                    began,
                    port,
                    opened: since,
                })
            }
            Err(how) => {
                self.load.remember(Failed {
                    port,
                    opened: since,
                    began,
                    ended: now(),
                    asked: format!("{} {}", request.method, request.path),
                    how,
                });
                thread::sleep(LICKING);
                None
            }
        }
    }

    /// An answer is not what it should be: its request has failed.
    pub(crate) fn refuse(&self, asked: &str, answered: &Answered) {
        let body = answered.reply.text();
        let how = match answered.reply.status {
            200 => Failure::Wrong { body },
            status => Failure::Status { status, body },
        };
        self.load.remember(Failed {
            port: Some(answered.port),
            opened: answered.opened,
            began: answered.began,
            ended: now(),
            asked: asked.to_owned(),
            how,
        });
    }

    /// Waits for as long as a user does between two requests.
    pub(crate) fn rest(&self) {
        thread::sleep(PAUSE);
    }
}

/// A user who asks for one thing and another until the load is over.
pub(crate) fn use_it(load: &Load, keeps: bool, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let mut client = Client::new(load, keeps);
    let body: Vec<u8> = (0..UPLOAD).map(|_| rng.u8(..)).collect();
    while !load.is_over() {
        match rng.u32(0..20) {
            0 => {
                let path = format!("/slow?ms={}", rng.u64(0..SLOW_MS));
                by_its_pid(&mut client, &path);
            }
            1 => {
                let body = &body[..rng.usize(..=UPLOAD)];
                upload(&mut client, body);
            }
            _ => by_its_pid(&mut client, "/"),
        }
        client.rest();
    }
}

/// What is answered with the pid of the process.
fn by_its_pid(client: &mut Client<'_>, path: &str) {
    let Some(answered) = client.ask(Request::get(path)) else {
        return;
    };
    let reply = &answered.reply;
    let pid = reply.text().parse().ok();
    if reply.status != 200 || pid.is_none() || pid != reply.served_by {
        client.refuse(path, &answered);
    }
}

fn upload(client: &mut Client<'_>, body: &[u8]) {
    let Some(answered) = client.ask(Request::post("/upload", body)) else {
        return;
    };
    let expected = format!("{} {:08x}", body.len(), crc32fast::hash(body));
    if answered.reply.status != 200 || answered.reply.text() != expected {
        client.refuse("POST /upload", &answered);
    }
}

/// Blocks the event loop of whichever worker hears it; says which it was, where it lived to tell.
pub(crate) fn block(load: &Load, ms: u64) -> Option<u32> {
    let path = format!("/late?ms={ms}");
    let mut client = Client::new(load, false);
    let answered = client.ask(Request::get(&path))?;
    if answered.reply.status != 200 {
        client.refuse(&path, &answered);
    }
    answered.reply.served_by
}
