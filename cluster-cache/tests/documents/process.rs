//! The processes of the test: its own binary, started again in one of two roles.

use std::io::{BufRead, BufReader, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::Duration;

use cluster_cache::{Caches, Document, DocumentError, DocumentOptions, Sharing, enable};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

const HOME: &str = "DOCUMENTS_HOME";
/// What a process is: `serves`, `shares`, or nothing for one that only uses it.
const ROLE: &str = "DOCUMENTS_ROLE";
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a process is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// To make so many changes after so many others, chosen by a seed.
    Change {
        process: u64,
        after: u64,
        changes: u64,
        seed: u64,
    },
    Set {
        path: String,
        value: Value,
        ttl_ms: Option<u64>,
    },
    Flush,
    /// To show all of it, when all is known that the manager knows.
    Show,
}

/// What a process says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Said {
    Ready,
    Done,
    Shown(String),
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

pub(crate) fn options(home: &Path) -> DocumentOptions {
    DocumentOptions::default()
        .dir(home)
        .gc_interval(Duration::from_millis(50))
        .wait(PATIENCE)
}

fn sharing(home: &Path) -> Sharing {
    Sharing::new("documents").directory(home.join("run"))
}

pub(crate) fn caches(home: &Path) -> Caches {
    Caches::connect(home.join("run/cache.sock"), PATIENCE)
}

/// All of a document as text.
pub(crate) fn text(document: &Document) -> String {
    let root = document.get("").unwrap().unwrap();
    serde_json::to_string_pretty(&root).unwrap() + "\n"
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
        match std::env::var(ROLE).as_deref() {
            Ok("serves") => {
                let _caches = enable(sharing(&home)).unwrap();
                say(&Said::Ready);
                std::future::pending::<()>().await;
            }
            Ok("shares") => work(&home, enable(sharing(&home)).unwrap()).await,
            _ => work(&home, caches(&home)).await,
        }
    });
}

async fn work(home: &Path, caches: Caches) {
    let document = caches.document("shared", options(home)).unwrap();
    document.sync().await.unwrap();
    say(&Said::Ready);
    let (line, mut lines) = unbounded_channel();
    thread::spawn(move || {
        for text in std::io::stdin().lines().map_while(Result::ok) {
            let _ = line.send(text);
        }
    });
    while let Some(text) = lines.recv().await {
        match serde_json::from_str(&text).unwrap() {
            Order::Change {
                process,
                after,
                changes,
                seed,
            } => change(&document, process, after + 1..=after + changes, seed).await,
            Order::Set {
                path,
                value,
                ttl_ms: Some(ttl),
            } => drop(
                document
                    .set_for(&path, value, Duration::from_millis(ttl))
                    .unwrap(),
            ),
            Order::Set { path, value, .. } => drop(document.set(&path, value).unwrap()),
            Order::Flush => document.flush().await.unwrap(),
            Order::Show => {
                document.sync().await.unwrap();
                say(&Said::Shown(self::text(&document)));
                continue;
            }
        }
        say(&Said::Done);
    }
}

const PATHS: &[&str] = &[
    "a",
    "a.b",
    "a.b.c",
    "a.b.d[0]",
    "a.b.d[1]",
    "a.b.d",
    "a.b.d[3].e",
    "x[0]",
    "x[1]",
    "x[2].y",
    "x",
    "x[1].z",
    "[\"q.r\"]",
    "[\"q.r\"].s",
    "n.0.m",
    "n",
    "n.1",
];

/// Makes changes of paths that overlap with those of other processes, and notes in a path of its own how many it has made.
async fn change(document: &Document, process: u64, numbers: RangeInclusive<u64>, seed: u64) {
    let mut dice = Dice::new(seed);
    for n in numbers {
        let path = PATHS[usize::try_from(dice.roll(PATHS.len() as u64)).unwrap()];
        let kind = dice.roll(10);
        let value = match dice.roll(6) {
            0 => json!({"b": {"c": n}, "0": process}),
            1 => json!([n, [process], null]),
            2 => json!(n as f64 / 7.0),
            3 => json!(format!("text {n}")),
            4 => json!({"d": [1, 2, 3, 4], "y": {}}),
            _ => json!(n),
        };
        let ttl = Duration::from_millis(dice.roll(40));
        let attempt = || match kind {
            0..2 => document.delete(path).map(drop),
            2..4 => document.set_for(path, &value, ttl).map(drop),
            _ => document.set(path, &value).map(drop),
        };
        let own = format!("own.p{process}");
        until_made(document, attempt).await;
        until_made(document, || document.set(&own, n).map(drop)).await;
        assert_eq!(document.get_as::<u64>(&own).unwrap(), Some(n));
        if n % 16 == 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// Where too many changes wait, they are waited for.
async fn until_made(document: &Document, attempt: impl Fn() -> Result<(), DocumentError>) {
    loop {
        match attempt() {
            Ok(()) | Err(DocumentError::Misfit { .. }) => return,
            Err(DocumentError::Backlogged) => document.sync().await.unwrap(),
            Err(e) => panic!("{e}"),
        }
    }
}

/// A started process; killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    orders: ChildStdin,
    said: UnboundedReceiver<Said>,
}

impl Process {
    pub(crate) async fn start(home: &Path, role: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "process::a_process_of_the_test", "--nocapture"])
            .env(HOME, home)
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, said): (UnboundedSender<Said>, _) = unbounded_channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Ok(said) = serde_json::from_str(&line) {
                    let _ = tell.send(said);
                }
            }
        });
        let orders = child.stdin.take().unwrap();
        let mut process = Process {
            child,
            orders,
            said,
        };
        assert!(matches!(process.next().await, Said::Ready));
        process
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn order(&mut self, order: &Order) {
        writeln!(self.orders, "{}", serde_json::to_string(order).unwrap()).unwrap();
    }

    pub(crate) async fn next(&mut self) -> Said {
        let said = timeout(5 * PATIENCE, self.said.recv()).await;
        said.unwrap().expect("the process has ended")
    }

    pub(crate) async fn does(&mut self, order: &Order) {
        self.order(order);
        assert!(matches!(self.next().await, Said::Done));
    }

    pub(crate) async fn sets(&mut self, path: &str, value: Value) {
        let path = path.to_owned();
        let ttl_ms = None;
        self.does(&Order::Set {
            path,
            value,
            ttl_ms,
        })
        .await;
    }

    pub(crate) async fn shows(&mut self) -> String {
        self.order(&Order::Show);
        match self.next().await {
            Said::Shown(text) => text,
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
