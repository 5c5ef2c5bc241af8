//! The processes of the test: its own binary, started again in one of two roles.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use actix_rt::{Arbiter, ArbiterHandle};
use cluster_cache::{
    Cache, CacheError, CacheOptions, Caches, CopyOptions, Inspected, Sharing, enable,
};
use futures_util::future::join_all;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::history::{Op, Outcome, Seen};

const HOME: &str = "LINEAR_HOME";
/// The number of a client; a process without one serves.
const CLIENT: &str = "LINEAR_CLIENT";
/// Operations of one process on one key before the last look at it.
const OPS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(60);

/// What a client is told: to work on keys at the same time, or to read them a last time.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) namespace: String,
    pub(crate) persist: bool,
    /// Whether each process keeps copies.
    pub(crate) copies: bool,
    pub(crate) keys: Vec<String>,
    /// What its choices come from; none where it only reads.
    pub(crate) seed: Option<u64>,
}

/// What a process says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Said {
    Ready,
    /// What came of an order: the operations on each of its keys.
    Did(Vec<Vec<Seen>>),
}

/// Numbers that look random and are the same in every run: Lehmer's generator.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        // What follows from neighbouring seeds differs only after some rolls.
        let mut dice = Dice(seed % 0x7fff_fffe + 1);
        for _ in 0..8 {
            dice.roll(1);
        }
        dice
    }

    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0 * 48_271 % 0x7fff_ffff;
        self.0 % sides
    }
}

pub(crate) fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap()
}

pub(crate) fn caches(home: &Path) -> Caches {
    Caches::connect(home.join("cache/cache.sock"), PATIENCE)
}

fn say(said: &Said) {
    println!("\n{}", serde_json::to_string(said).unwrap());
}

/// Not a test of its own, but what the others start.
#[test]
fn a_process_of_the_test() {
    let Some(home) = std::env::var_os(HOME).map(PathBuf::from) else {
        return;
    };
    actix_rt::System::new().block_on(async move {
        match std::env::var(CLIENT) {
            Ok(number) => work(&home, number.parse().unwrap()).await,
            Err(_) => serve(&home).await,
        }
    });
}

async fn serve(home: &Path) {
    let sharing = Sharing::new("linear")
        .directory(home.join("cache"))
        .persist_path(home.join("cache.log"));
    let _caches = enable(sharing).unwrap();
    say(&Said::Ready);
    std::future::pending::<()>().await;
}

async fn work(home: &Path, process: usize) {
    let caches = caches(home);
    caches.meta().await.unwrap();
    say(&Said::Ready);
    let (line, mut lines) = unbounded_channel();
    thread::spawn(move || {
        for text in std::io::stdin().lines().map_while(Result::ok) {
            let _ = line.send(text);
        }
    });
    let other = Arbiter::new();
    while let Some(text) = lines.recv().await {
        let order: Order = serde_json::from_str(&text).unwrap();
        let mut options = CacheOptions::default().persist(order.persist);
        if order.copies {
            options = options.copy(CopyOptions::default());
        }
        let worker = Worker {
            process,
            cache: caches.cache(&order.namespace, options).unwrap(),
            other: other.handle(),
        };
        let on_each = order.keys.iter().enumerate().map(|(number, key)| {
            let ops = match order.seed {
                Some(seed) => choose(process, seed + number as u64),
                None => vec![Op::Inspect],
            };
            worker.on_key(key, ops)
        });
        let mut did = join_all(on_each).await;
        if order.seed.is_none() {
            for (seen, key) in did.iter_mut().zip(&order.keys) {
                worker.settle(key, seen).await;
            }
        }
        say(&Said::Did(did));
    }
}

fn choose(process: usize, seed: u64) -> Vec<Op> {
    let mut dice = Dice::new(seed * 7919 + process as u64);
    let choose = |n: usize| {
        let value = (process * OPS + n) as u64;
        match dice.roll(20) {
            0..8 => Op::Get,
            8..13 => Op::Set(value),
            13..17 => Op::SetIfAbsent(value),
            _ => Op::Del,
        }
    };
    (0..OPS).map(choose).collect()
}

/// A process at work on a namespace, in two threads: what one writes the other is to know.
struct Worker {
    process: usize,
    cache: Cache,
    other: ArbiterHandle,
}

impl Worker {
    /// Does one after the other, in turn in either thread.
    async fn on_key(&self, key: &str, ops: Vec<Op>) -> Vec<Seen> {
        let mut all = Vec::new();
        for (n, op) in ops.into_iter().enumerate() {
            let called = monotonic();
            let outcome = if n % 2 == 0 {
                carry_out(&self.cache, key, op).await
            } else {
                self.elsewhere(key, op).await
            };
            all.push(Seen {
                process: self.process,
                called,
                op,
                returned: monotonic(),
                outcome,
            });
        }
        all
    }

    async fn elsewhere(&self, key: &str, op: Op) -> Outcome {
        let (tell, told) = oneshot::channel();
        let (cache, key) = (self.cache.clone(), key.to_owned());
        self.other.spawn_fn(move || {
            actix_rt::spawn(async move {
                let _ = tell.send(carry_out(&cache, &key, op).await);
            });
        });
        told.await.unwrap()
    }

    /// Reads until it is what the manager says, as it has to be soon; nobody writes any more.
    async fn settle(&self, key: &str, seen: &mut Vec<Seen>) {
        let outcome = seen.last().unwrap().outcome;
        let begun = Instant::now();
        loop {
            let read = self.on_key(key, vec![Op::Get]).await;
            let settled = read[0].outcome == outcome;
            // Of many that are late one says enough.
            if settled || seen.len() == 1 {
                seen.extend(read);
            }
            if settled {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{key} is never {outcome:?}");
            tokio::task::yield_now().await;
        }
    }
}

async fn carry_out(cache: &Cache, key: &str, op: Op) -> Outcome {
    let answer = match op {
        Op::Get => cache.get(key).await.map(Outcome::Value),
        Op::Inspect => {
            let held = |found: Inspected| found.value.map(|value| value.get().unwrap());
            let inspected = cache.inspect(key).await;
            inspected.map(|found| Outcome::Value(found.and_then(held)))
        }
        Op::Set(value) => cache.set(key, &value).await.map(Outcome::Accepted),
        Op::SetIfAbsent(value) => {
            let set = cache.set(key, &value).leave_if_not_null();
            set.await.map(Outcome::Accepted)
        }
        Op::Del => cache.del(key).await.map(Outcome::Value),
    };
    match answer {
        Ok(outcome) => outcome,
        Err(CacheError::LinkLost | CacheError::Deadline { .. }) => Outcome::Unknown,
        Err(e) => panic!("{op:?}: {e}"),
    }
}

/// A started process; killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    orders: ChildStdin,
}

impl Process {
    /// Starts one that serves, or a client; what it says comes with its number.
    pub(crate) fn start(home: &Path, number: Option<usize>, tell: UnboundedSender<Said>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "process::a_process_of_the_test", "--nocapture"])
            .env(HOME, home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(number) = number {
            command.env(CLIENT, number.to_string());
        }
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Ok(said) = serde_json::from_str(&line) {
                    let _ = tell.send(said);
                }
            }
        });
        let orders = child.stdin.take().unwrap();
        Process { child, orders }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn order(&mut self, order: &Order) {
        writeln!(self.orders, "{}", serde_json::to_string(order).unwrap()).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
