//! How long nobody is answered while a large cache is handed over.
//!
//! It is printed; held to a tight bound it is only where somebody says so, as it means nothing on a machine on which others are at work:
//! `HANDOVER_PAUSE_MS=200 cargo test --release -p cluster-cache --test handover -- --nocapture --test-threads 1 pause`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cluster_cache::{Cache, CacheOptions, Caches};
use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::oneshot;

use crate::master::{Master, WAIT};

const ENTRIES: u64 = if cfg!(debug_assertions) {
    100_000
} else {
    1_000_000
};
const BYTES: usize = 100;
/// How long the same is asked without a handover.
const ALONE: Duration = Duration::from_secs(3);
/// What a handover may take of the memory of who hands over.
const MEMORY: u64 = 64 << 20;

/// Asks all the time, on a thread of its own; says how many answers came, and the longest time between two.
struct Asks {
    end: oneshot::Sender<()>,
    thread: thread::JoinHandle<(u64, Duration)>,
}

impl Asks {
    fn start(caches: Caches) -> Self {
        let (end, mut ended) = oneshot::channel();
        let thread = thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let cache = caches.cache("many", CacheOptions::default()).unwrap();
                let (mut n, mut longest, mut last) = (0, Duration::ZERO, None);
                while ended.try_recv().is_err() {
                    let key = n * 7919 % ENTRIES;
                    if n % 4 == 0 {
                        cache.set(&key.to_string(), &value(key)).await.unwrap();
                    } else {
                        let read = cache.get::<String>(&key.to_string()).await.unwrap();
                        assert_eq!(read, Some(value(key)));
                    }
                    let now = Instant::now();
                    longest = longest.max(last.map_or(Duration::ZERO, |last| now - last));
                    last = Some(now);
                    n += 1;
                }
                (n, longest)
            })
        });
        Asks { end, thread }
    }

    fn end(self) -> (u64, Duration) {
        let _ = self.end.send(());
        self.thread.join().unwrap()
    }
}

fn value(n: u64) -> String {
    format!("{n:0BYTES$}")
}

async fn fill(cache: &Cache) {
    let set = async |n: u64| cache.set(&n.to_string(), &value(n)).await.unwrap();
    let filling = stream::iter(0..ENTRIES).map(set).buffer_unordered(256);
    filling.for_each(async |set| assert!(set)).await;
}

#[actix_rt::test]
async fn a_million_entries() {
    let mut master = Master::new();
    let manager = master.start(false).await;
    let caches = master.caches();
    let cache = caches.cache("many", CacheOptions::default()).unwrap();
    fill(&cache).await;

    // As long as a handover may take, without one: what is the machine's is not the handover's.
    let asks = Asks::start(caches.clone());
    tokio::time::sleep(ALONE).await; // wait: answers come meanwhile
    let (_, alone) = asks.end();
    let asks = Asks::start(caches.clone());
    let before = manager.peak().unwrap();
    let begun = Instant::now();
    let successor = master.start(true).await;
    let took = begun.elapsed();
    let mut peak = before;
    while let Some(more) = manager.peak() {
        peak = peak.max(more);
        tokio::task::yield_now().await;
    }
    let log = manager.log();
    assert!(manager.ended().await.success(), "{log}");
    let (answers, longest) = asks.end();
    let said = log
        .lines()
        .find(|line| line.contains("is handed over"))
        .unwrap();
    println!("{said}");
    println!(
        "{ENTRIES} entries of {BYTES} bytes in {took:?}, beside {answers} answers: {longest:?} between two of them at most, {alone:?} without a \
         handover; {} MiB more than {} in the old process",
        (peak - before) >> 20,
        before >> 20
    );
    assert_eq!(cache.stat().await.unwrap().entries, ENTRIES);
    assert_eq!(cache.meta().await.unwrap().pid, successor.pid());
    assert!(peak - before < MEMORY, "{before} {peak}");
    let most = std::env::var("HANDOVER_PAUSE_MS")
        .map_or(WAIT, |text| Duration::from_millis(text.parse().unwrap()));
    assert!(longest <= most, "{longest:?}");
}

/// The same beside clients that write as fast as they can, all over it: it comes to its end all the same.
#[actix_rt::test]
async fn under_writers_without_a_pause() {
    let mut master = Master::new();
    let manager = master.start(false).await;
    let caches = master.caches();
    let cache = caches.cache("many", CacheOptions::default()).unwrap();
    fill(&cache).await;
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..2_u64)
        .map(|writer| {
            let (cache, done) = (cache.clone(), Arc::clone(&done));
            thread::spawn(move || {
                actix_rt::System::new().block_on(async {
                    let numbers = (0_u64..).map(|n| (2 * n + writer) * 7919 % ENTRIES);
                    let numbers = numbers.take_while(|_| !done.load(Ordering::Relaxed));
                    let set = async |n: u64| cache.set(&n.to_string(), &value(n)).await.unwrap();
                    let setting = stream::iter(numbers).map(set).buffer_unordered(128);
                    setting.fold(0_u64, async |sets, _| sets + 1).await
                })
            })
        })
        .collect();
    let asks = Asks::start(caches.clone());
    let begun = Instant::now();
    let successor = master.start(true).await;
    let took = begun.elapsed();
    let log = manager.log();
    assert!(manager.ended().await.success(), "{log}");
    done.store(true, Ordering::Relaxed);
    let writes: u64 = writers
        .into_iter()
        .map(|writer| writer.join().unwrap())
        .sum();
    let (_, longest) = asks.end();
    for line in log.lines().filter(|line| line.contains("handed over")) {
        println!("{line}");
    }
    println!(
        "{ENTRIES} entries in {took:?}, beside {writes} writes: {longest:?} between two answers at most"
    );
    assert_eq!(cache.stat().await.unwrap().entries, ENTRIES);
    assert_eq!(cache.meta().await.unwrap().pid, successor.pid());
}
