//! The process that serves is killed at random moments, under writers who note every set that was answered: none of them is lost.
//!
//! `KILLS=100 cargo test -p cluster-cache --test kills` kills it more often than the usual.
#![allow(clippy::unwrap_used, missing_docs)]

use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use cluster_cache::{Cache, CacheError, CacheOptions, Caches, Sharing, enable};

const HOME: &str = "KILLS_HOME";
const WRITERS: u64 = 16;
const PATIENCE: Duration = Duration::from_secs(60);

/// The process that serves: not a test of its own, but what the other one starts.
#[test]
fn a_process_that_serves() {
    let Some(home) = std::env::var_os(HOME).map(PathBuf::from) else {
        return;
    };
    actix_rt::System::new().block_on(async move {
        let sharing = Sharing::new("kills")
            .directory(home.join("cache"))
            .persist_path(home.join("cache.log"));
        let _caches = enable(sharing).unwrap();
        println!("\nserving");
        std::future::pending::<()>().await;
    });
}

struct Server(Child);

impl Server {
    fn start(home: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_process_that_serves", "--nocapture"])
            .env(HOME, home)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let serving = lines.map_while(Result::ok).any(|line| line == "serving");
        assert!(serving, "it has ended: {:?}", child.wait());
        Server(child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[derive(Default)]
struct Noted {
    /// Each writer's numbers that were answered.
    answered: Vec<(u64, u64)>,
    /// Sets whose outcome nobody knows.
    unknown: u64,
    done: bool,
}

async fn write(cache: Cache, writer: u64, noted: Rc<RefCell<Noted>>) {
    for n in 0.. {
        if noted.borrow().done {
            return;
        }
        let outcome = cache.set(&format!("{writer} {n}"), &n).await;
        match outcome {
            Ok(accepted) => {
                assert!(accepted);
                noted.borrow_mut().answered.push((writer, n));
            }
            Err(CacheError::LinkLost) => noted.borrow_mut().unknown += 1,
            Err(e) => panic!("{e}"),
        }
    }
}

#[actix_rt::test]
async fn nothing_that_was_answered_is_lost_with_the_process() {
    let kills: u64 = std::env::var("KILLS").map_or(20, |text| text.parse().unwrap());
    let home = tempfile::tempdir().unwrap();
    let mut server = Server::start(home.path());
    let caches = Caches::connect(home.path().join("cache/cache.sock"), PATIENCE);
    let options = CacheOptions::default().persist(true);
    let cache = caches.cache("kept", options).unwrap();
    let noted = Rc::new(RefCell::new(Noted::default()));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| actix_rt::spawn(write(cache.clone(), writer, Rc::clone(&noted))))
        .collect();
    // A generator of Lehmer's: the moments differ, and are the same in every run.
    let mut dice = 0x2545_f491_u64;
    for _ in 0..kills {
        let before = noted.borrow().answered.len();
        while noted.borrow().answered.len() == before {
            tokio::task::yield_now().await;
        }
        dice = dice * 48_271 % 0x7fff_ffff;
        tokio::time::sleep(Duration::from_micros(dice % 30_000)).await; // wait: a random moment to be killed at
        drop(server);
        server = Server::start(home.path());
    }
    noted.borrow_mut().done = true;
    for writer in writers {
        writer.await.unwrap();
    }
    let noted = noted.take();
    for (writer, n) in &noted.answered {
        let kept = cache.get::<u64>(&format!("{writer} {n}")).await.unwrap();
        assert_eq!(kept, Some(*n), "of writer {writer}");
    }
    println!(
        "{} answered sets outlived {kills} kills; {} more may have been done",
        noted.answered.len(),
        noted.unknown
    );
}
