//! Readers and writers go on while managers change: nobody is refused, and nothing is lost.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::thread;

use cluster_cache::{Cache, CacheOptions, Caches};
use futures_util::TryStreamExt;
use tokio::sync::oneshot;

use crate::master::{Manager, Master};
use crate::millis;

/// Writers of each namespace, each with keys of its own.
const WRITERS: u64 = 8;
/// Keys of each writer.
const KEYS: u64 = 40;
/// Entries that nobody changes.
const STILL: u64 = 20_000;

fn handovers() -> usize {
    std::env::var("HANDOVERS").map_or(4, |text| text.parse().unwrap())
}

/// What a writer knows: the last number that it has set under each of its keys, none where it has deleted it.
type Known = HashMap<String, Option<u64>>;

/// Sets and deletes, and reads what it has set, until it is told to end. No operation may fail.
async fn write(cache: Cache, writer: u64, done: Rc<Cell<bool>>) -> (Known, u64) {
    let (mut known, mut n) = (Known::new(), 0);
    while !done.get() {
        n += 1;
        let key = format!("{writer} {}", n * n % KEYS);
        let last = known.get(&key).copied().flatten();
        assert_eq!(cache.get::<u64>(&key).await.unwrap(), last, "{key} at {n}");
        if n % 7 == 0 {
            assert_eq!(cache.del::<u64>(&key).await.unwrap(), last, "{key} at {n}");
            known.insert(key, None);
        } else {
            assert!(cache.set(&key, &n).await.unwrap());
            known.insert(key, Some(n));
        }
    }
    (known, n)
}

/// Reads what nobody changes.
async fn read(cache: Cache, done: Rc<Cell<bool>>) -> u64 {
    let mut n = 0;
    while !done.get() {
        let key = n % STILL;
        let read = cache.get::<u64>(&format!("still {key}")).await.unwrap();
        assert_eq!(read, Some(key));
        n += 1;
    }
    n
}

/// Runs on a thread of its own until it is told to end.
struct Elsewhere {
    end: oneshot::Sender<()>,
    thread: thread::JoinHandle<u64>,
}

impl Elsewhere {
    fn read(caches: Caches) -> Self {
        let (end, ended) = oneshot::channel();
        let thread = thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let cache = caches.cache("memory", CacheOptions::default()).unwrap();
                let done = Rc::new(Cell::new(false));
                let reading = actix_rt::spawn(read(cache, Rc::clone(&done)));
                let _ = ended.await;
                done.set(true);
                reading.await.unwrap()
            })
        });
        Elsewhere { end, thread }
    }

    fn end(self) -> u64 {
        let _ = self.end.send(());
        self.thread.join().unwrap()
    }
}

#[actix_rt::test]
async fn nobody_is_refused_and_nothing_is_lost() {
    let mut master = Master::new();
    let mut manager = master.start(false).await;
    let caches = master.caches();
    let memory = caches.cache("memory", CacheOptions::default()).unwrap();
    let disk = CacheOptions::default().persist(true).max_bytes(64 << 20);
    let disk = caches.cache("disk", disk).unwrap();
    let empty = CacheOptions::default().expire(millis(600_000));
    let empty = caches.cache("empty", empty).unwrap();
    empty.set("gone", &1).await.unwrap();
    empty.del::<u8>("gone").await.unwrap();
    for n in 0..STILL {
        memory.set(&format!("still {n}"), &n).await.unwrap();
    }
    let large = "x".repeat((8 << 20) - 16);
    disk.set("large", &large).await.unwrap();
    disk.set("later", &5).expire(millis(600_000)).await.unwrap();
    disk.set("soon", &6).expire(millis(300)).await.unwrap();
    disk.set("not kept", &7).persist(false).await.unwrap();

    let done = Rc::new(Cell::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .flat_map(|writer| [(memory.clone(), writer), (disk.clone(), writer)])
        .map(|(cache, writer)| {
            let name = cache.name().to_owned();
            let writing = actix_rt::spawn(write(cache, writer, Rc::clone(&done)));
            (name, writing)
        })
        .collect();
    let reader = Elsewhere::read(caches.clone());
    let mut stat = disk.stat().await.unwrap();
    for _ in 0..handovers() {
        let before = disk.stat().await.unwrap();
        let pid = manager.pid();
        manager = master.hand_over(manager).await;
        let meta = disk.meta().await.unwrap();
        assert!(meta.pid == manager.pid() && meta.pid != pid);
        // Also its figures are.
        stat = disk.stat().await.unwrap();
        assert!(
            stat.hits > before.hits && stat.misses > before.misses,
            "{before:?} {stat:?}"
        );
    }
    done.set(true);
    let (mut writes, mut entries) = (0, HashMap::<String, u64>::new());
    let mut all = Vec::new();
    for (name, writing) in writers {
        let (known, n) = writing.await.unwrap();
        writes += n;
        for (key, last) in known {
            *entries.entry(name.clone()).or_default() += u64::from(last.is_some());
            all.push((name.clone(), key, last));
        }
    }
    let reads = reader.end();
    println!(
        "{writes} writes and {reads} reads beside {} handovers: none failed",
        handovers()
    );
    let holds = async |manager: &Manager| {
        for (name, key, last) in &all {
            let cache = if name == "disk" { &disk } else { &memory };
            assert_eq!(
                cache.get::<u64>(key).await.unwrap(),
                *last,
                "{key} of {name}"
            );
        }
        for n in 0..STILL {
            let still = memory.get::<u64>(&format!("still {n}")).await.unwrap();
            assert_eq!(still, Some(n));
        }
        assert!(disk.get::<String>("large").await.unwrap().unwrap() == large);
        assert_eq!(disk.get::<u8>("soon").await.unwrap(), None);
        assert_eq!(disk.get::<u8>("not kept").await.unwrap(), Some(7));
        let later = disk.inspect("later").await.unwrap().unwrap();
        let left = later.left.unwrap();
        assert!(left > millis(400_000) && left < millis(600_000), "{left:?}");
        assert!(later.persist);
        assert!(!disk.inspect("not kept").await.unwrap().unwrap().persist);
        let (memory, disk) = (memory.stat().await.unwrap(), disk.stat().await.unwrap());
        assert_eq!(
            memory.entries,
            STILL + entries["memory"],
            "{}",
            manager.log()
        );
        assert_eq!(disk.entries, 3 + entries["disk"]);
        let meta = empty.meta().await.unwrap();
        assert_eq!(
            (meta.namespaces, meta.bytes),
            (3, memory.bytes + disk.bytes)
        );
        let mut names = caches.namespaces().await.unwrap();
        names.sort();
        assert_eq!(names, ["disk", "empty", "memory"]);
    };
    holds(&manager).await;
    assert_eq!(stat.expired, 1, "{stat:?}");
    manager = master.hand_over(manager).await;
    holds(&manager).await;
    // The options of a namespace go along, also of one with nothing in it.
    empty.set("a", &1).await.unwrap();
    assert!(empty.inspect("a").await.unwrap().unwrap().left.is_some());

    // What persists is in the file, and nothing else is.
    drop(manager);
    let manager = master.start(false).await;
    for (name, key, last) in &all {
        if name == "disk" {
            assert_eq!(disk.get::<u64>(key).await.unwrap(), *last, "{key}");
        }
    }
    assert_eq!(disk.get::<u8>("not kept").await.unwrap(), None);
    assert_eq!(memory.stat().await.unwrap().entries, 0);
    assert!(disk.get::<String>("large").await.unwrap().unwrap() == large);
    manager.signal(rustix::process::Signal::TERM);
    assert!(manager.ended().await.success());
    assert!(!master.socket().exists());
}

/// A listing that one manager began goes on with the next: what is there all the while comes exactly once.
#[actix_rt::test]
async fn a_listing_goes_on() {
    let mut master = Master::new();
    let manager = master.start(false).await;
    let cache = master
        .caches()
        .cache("list", CacheOptions::default())
        .unwrap();
    for n in 0..5000 {
        cache.set(&format!("gone {n}"), &n).await.unwrap();
        cache.set(&format!("stays {n}"), &n).await.unwrap();
    }
    let mut listed = Vec::new();
    let mut keys = std::pin::pin!(cache.keys());
    while listed.len() < 2500 {
        listed.push(keys.try_next().await.unwrap().unwrap());
    }
    for n in 0..2500 {
        cache.del::<i32>(&format!("gone {}", n * 2)).await.unwrap();
        cache.set(&format!("new {n}"), &n).await.unwrap();
    }
    let manager = master.hand_over(manager).await;
    while let Some(key) = keys.try_next().await.unwrap() {
        listed.push(key);
    }
    let mut stays = listed;
    stays.retain(|key| key.starts_with("stays"));
    stays.sort();
    let all = stays.len();
    stays.dedup();
    assert_eq!((all, stays.len()), (5000, 5000));
    drop(manager);
}
