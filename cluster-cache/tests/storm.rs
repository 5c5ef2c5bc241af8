//! A thousand callers in four processes want one key that nobody has: one of them loads it. In every other round the process that
//! loads is killed in the midst of it: one further process loads, and every caller that is left has the value.
//!
//! `STORM_ROUNDS=200 cargo test -p cluster-cache --test storm` runs more rounds than the usual.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use cluster_cache::{CacheOptions, Sharing, enable};
use futures_util::future::join_all;

const PROCESSES: usize = 4;
const CALLERS: usize = 250;
/// How long a load takes that is to be interrupted; much less than anybody waits.
const HOLD: Duration = Duration::from_millis(150);
const PATIENCE: Duration = Duration::from_secs(60);
const DIRECTORY: &str = "STORM_DIRECTORY";

fn sharing(directory: &Path) -> Sharing {
    Sharing::new("storm").directory(directory).wait(PATIENCE)
}

/// What a process says.
#[derive(Debug, PartialEq)]
enum Said {
    Ready,
    Loading(String),
    /// All its callers have this one value.
    Got(String, u32),
}

/// One of the four: not a test of its own, but what the other one starts.
#[test]
fn a_process_of_the_storm() {
    use std::future::IntoFuture;

    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else {
        return;
    };
    actix_rt::System::new().block_on(async move {
        let caches = enable(sharing(&directory)).unwrap();
        let cache = caches.cache("storm", CacheOptions::default()).unwrap();
        cache.stat().await.unwrap();
        let (line, mut lines) = tokio::sync::mpsc::unbounded_channel();
        thread::spawn(move || {
            for text in std::io::stdin().lines().map_while(Result::ok) {
                let _ = line.send(text);
            }
        });
        println!("\nsaid ready");
        while let Some(text) = lines.recv().await {
            let (key, hold) = text.split_once(' ').unwrap();
            let hold = Duration::from_millis(hold.parse().unwrap());
            let call = |_| {
                let name = key.to_owned();
                let load = move || async move {
                    println!("\nsaid loading {name}");
                    tokio::time::sleep(hold).await; // wait: the load takes its time
                    Ok::<_, std::convert::Infallible>(std::process::id())
                };
                cache.get_or_load(key, load).into_future()
            };
            let got: Vec<u32> = join_all((0..CALLERS).map(call))
                .await
                .into_iter()
                .map(Result::unwrap)
                .collect();
            assert!(got.iter().all(|value| *value == got[0]));
            println!("\nsaid got {key} {}", got[0]);
        }
    });
}

struct Process {
    child: Child,
    orders: ChildStdin,
}

impl Process {
    fn start(number: usize, directory: &Path, tell: Sender<(usize, Said)>) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_process_of_the_storm", "--nocapture"])
            .env(DIRECTORY, directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let words: Vec<_> = line.split(' ').collect();
                let said = match words[..] {
                    ["said", "ready"] => Said::Ready,
                    ["said", "loading", key] => Said::Loading(key.to_owned()),
                    ["said", "got", key, by] => Said::Got(key.to_owned(), by.parse().unwrap()),
                    _ => continue,
                };
                let _ = tell.send((number, said));
            }
        });
        let orders = child.stdin.take().unwrap();
        Process { child, orders }
    }

    fn order(&mut self, key: &str, hold: Duration) {
        writeln!(self.orders, "{key} {}", hold.as_millis()).unwrap();
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn next(said: &Receiver<(usize, Said)>) -> (usize, Said) {
    said.recv_timeout(PATIENCE).unwrap()
}

#[test]
fn one_loads_for_all_and_its_death_costs_one_more_load() {
    let rounds: usize = std::env::var("STORM_ROUNDS").map_or(40, |text| text.parse().unwrap());
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("cache");
    // This process serves: it is none of those that are killed.
    let (served, serves) = mpsc::channel();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let of_server = directory.clone();
    let server = thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let caches = enable(sharing(&of_server)).unwrap();
            served.send(()).unwrap();
            let _ = ended.await;
            caches.close().await;
        });
    });
    serves.recv_timeout(PATIENCE).unwrap();

    let (tell, said) = mpsc::channel();
    let mut processes: Vec<_> = (0..PROCESSES)
        .map(|number| Process::start(number, &directory, tell.clone()))
        .collect();
    for _ in 0..PROCESSES {
        assert_eq!(next(&said).1, Said::Ready);
    }
    for round in 0..rounds {
        let (key, kills) = (format!("key-{round}"), round % 2 == 1);
        let hold = if kills {
            HOLD
        } else {
            Duration::from_millis(5)
        };
        for process in &mut processes {
            process.order(&key, hold);
        }
        let (loader, first) = next(&said);
        assert_eq!(first, Said::Loading(key.clone()), "round {round}");
        let (mut by, mut left) = (processes[loader].child.id(), PROCESSES);
        if kills {
            processes[loader].kill();
            let (heir, second) = next(&said);
            assert_eq!(second, Said::Loading(key.clone()), "round {round}");
            assert_ne!(heir, loader);
            (by, left) = (processes[heir].child.id(), PROCESSES - 1);
        }
        for _ in 0..left {
            // Any further load would be said before what it came to.
            assert_eq!(next(&said).1, Said::Got(key.clone(), by), "round {round}");
        }
        if kills {
            processes[loader] = Process::start(loader, &directory, tell.clone());
            assert_eq!(next(&said), (loader, Said::Ready));
        }
    }
    drop(processes);
    let _ = end.send(());
    server.join().unwrap();
}
