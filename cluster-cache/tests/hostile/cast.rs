//! The process that serves, and one that behaves well: the test's own binary, started again.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cluster_cache::{CacheError, CacheOptions, Caches, Sharing, enable};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const HOME: &str = "HOSTILE_HOME";
const ROLE: &str = "HOSTILE_ROLE";
/// Reads of one window, of which the slowest hundredth begins at its p99.
const READS: usize = if cfg!(debug_assertions) { 500 } else { 2000 };
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Serialize, Deserialize)]
enum Said {
    Ready,
    /// The p99 of each window.
    Read(Vec<Duration>),
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
            Ok("serves") => serve(&home).await,
            Ok("opens") => open(&home),
            _ => behave(&home).await,
        }
    });
}

async fn serve(home: &Path) {
    let sharing = Sharing::new("hostile").directory(home.join("cache"));
    let _caches = enable(sharing).unwrap();
    say(&Said::Ready);
    std::future::pending::<()>().await;
}

/// Opens ten thousand namespaces, and says so.
fn open(home: &Path) {
    let (caches, mut opened, mut refused) = (caches(home), 0, 0);
    for n in 0..10_000 {
        match caches.cache(&format!("n{n}"), CacheOptions::default()) {
            Ok(_) => opened += 1,
            Err(CacheError::Namespaces { most: 4096, .. }) => refused += 1,
            Err(e) => panic!("{e}"),
        }
    }
    assert_eq!((opened, refused), (4096, 5904));
    say(&Said::Ready);
}

/// Reads one value after the other, for as many windows as each line says.
async fn behave(home: &Path) {
    let cache = caches(home).cache("good", CacheOptions::default()).unwrap();
    cache.set("key", &"v".repeat(100)).await.unwrap();
    say(&Said::Ready);
    let (line, mut lines) = unbounded_channel();
    thread::spawn(move || {
        for text in std::io::stdin().lines().map_while(Result::ok) {
            let _ = line.send(text);
        }
    });
    while let Some(text) = lines.recv().await {
        let mut windows = Vec::new();
        for _ in 0..text.parse().unwrap() {
            let mut took = Vec::new();
            for _ in 0..READS {
                let begun = Instant::now();
                assert!(cache.get::<String>("key").await.unwrap().is_some());
                took.push(begun.elapsed());
            }
            took.sort();
            windows.push(took[READS * 99 / 100]);
        }
        say(&Said::Read(windows));
    }
}

fn caches(home: &Path) -> Caches {
    Caches::connect(home.join("cache/cache.sock"), PATIENCE)
}

struct Process {
    child: Child,
    orders: ChildStdin,
    said: UnboundedReceiver<Said>,
}

impl Process {
    async fn start(home: &Path, role: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "cast::a_process_of_the_test", "--nocapture"])
            .env(HOME, home)
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, mut said) = unbounded_channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Ok(said) = serde_json::from_str(&line) {
                    let _ = tell.send(said);
                }
            }
        });
        let orders = child.stdin.take().unwrap();
        assert!(matches!(said.recv().await, Some(Said::Ready)));
        Process {
            child,
            orders,
            said,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) struct Cast {
    serves: Process,
    behaves: Process,
    pub(crate) caches: Caches,
    home: tempfile::TempDir,
}

impl Cast {
    pub(crate) async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let serves = Process::start(home.path(), "serves").await;
        let behaves = Process::start(home.path(), "behaves").await;
        Cast {
            serves,
            behaves,
            caches: caches(home.path()),
            home,
        }
    }

    /// Has a process open more namespaces than it may, and be told so.
    pub(crate) async fn opens(&self) {
        Process::start(self.home.path(), "opens").await;
    }

    pub(crate) fn socket(&self) -> &Path {
        self.caches.socket()
    }

    /// The most memory that the process that serves has ever had, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        let path = format!("/proc/{}/status", self.serves.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let kib = line.unwrap().trim().trim_end_matches(" kB").parse::<u64>();
        kib.unwrap() * 1024
    }

    fn begin_reading(&mut self, windows: usize) {
        writeln!(self.behaves.orders, "{windows}").unwrap();
    }

    /// The p99 of each window, once all are read.
    fn has_read(&mut self) -> Option<Vec<Duration>> {
        match self.behaves.said.try_recv() {
            Ok(Said::Read(windows)) => Some(windows),
            Ok(Said::Ready) => panic!("a process was started"),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => panic!("the process that behaves well is gone"),
        }
    }

    /// Has the other process read, for so many windows, and does something again and again meanwhile.
    pub(crate) async fn read_while(
        &mut self,
        windows: usize,
        mut again: impl AsyncFnMut(),
    ) -> Vec<Duration> {
        self.begin_reading(windows);
        loop {
            again().await;
            if let Some(read) = self.has_read() {
                return read;
            }
        }
    }

    /// Has it read, and waits for it.
    pub(crate) async fn read(&mut self, windows: usize) -> Vec<Duration> {
        self.begin_reading(windows);
        match self.behaves.said.recv().await {
            Some(Said::Read(windows)) => windows,
            said => panic!("{said:?}"),
        }
    }
}
