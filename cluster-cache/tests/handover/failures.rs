//! Handovers that come to nothing: the present manager serves on, or, where it is the one that is gone, its successor says so.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use cluster_cache::{Cache, CacheOptions, Sharing, enable};
use futures_util::StreamExt;
use futures_util::stream;
use rustix::process::Signal;

use crate::by_hand::ByHand;
use crate::master::{Manager, Master, Report, TAKE_OVER, WAIT};

/// So many that a handover takes a while.
const ENTRIES: u64 = 100_000;
const HANDS_OVER: &str = "handing the cache over";
const SERVES_ON: &str = "was not handed over";

async fn fill(cache: &Cache) {
    let set = async |n: u64| cache.set(&n.to_string(), &n).await.unwrap();
    stream::iter(0..ENTRIES)
        .map(set)
        .buffer_unordered(256)
        .for_each(async |set| assert!(set))
        .await;
}

async fn is_whole(cache: &Cache) -> bool {
    let get = async |n: u64| cache.get::<u64>(&n.to_string()).await.unwrap() == Some(n);
    stream::iter(0..ENTRIES)
        .map(get)
        .buffer_unordered(256)
        .all(async |there| there)
        .await
}

/// Sets and reads one key until it is told to end; gives back the longest time that an answer took.
async fn go_on(cache: Cache, done: Rc<Cell<bool>>) -> Duration {
    let (mut n, mut longest) = (0_u64, Duration::ZERO);
    while !done.get() {
        n += 1;
        let begun = Instant::now();
        cache.set("n", &n).await.unwrap();
        assert_eq!(cache.get("n").await.unwrap(), Some(n));
        longest = longest.max(begun.elapsed());
    }
    longest
}

async fn failed(master: &mut Master, successor: Manager) -> String {
    let (pid, report) = master.reported().await;
    let Report::StartFailed(TAKE_OVER, cause) = report else {
        panic!("{report:?}; its log:\n{}", successor.log());
    };
    assert_eq!(pid, successor.pid());
    assert_eq!(successor.ended().await.code(), Some(1));
    cause
}

#[actix_rt::test]
async fn a_successor_that_is_killed_on_the_way_is_forgotten() {
    let mut master = Master::new();
    let mut manager = master.start(false).await;
    let cache = master
        .caches()
        .cache("things", CacheOptions::default())
        .unwrap();
    fill(&cache).await;
    let begun = Instant::now();
    manager = master.hand_over(manager).await;
    let usual = u64::try_from(begun.elapsed().as_micros()).unwrap();

    let done = Rc::new(Cell::new(false));
    let going = actix_rt::spawn(go_on(cache.clone(), Rc::clone(&done)));
    // A generator of Lehmer's: the moments differ, and are the same in every run.
    let (mut dice, mut broken_off) = (0x2545_f491_u64, 0);
    for _ in 0..10 {
        let successor = master.spawn(true);
        assert!(manager.says(HANDS_OVER, broken_off + 1).await);
        dice = dice * 48_271 % 0x7fff_ffff;
        tokio::time::sleep(Duration::from_micros(dice % (usual / 2))).await; // wait: a random moment to be killed at
        if manager.log().contains("the cache is handed over") {
            // It was quicker than usual.
            master.reported().await;
            assert!(manager.ended().await.success());
            (manager, broken_off) = (successor, 0);
            continue;
        }
        drop(successor);
        assert!(
            manager.says(SERVES_ON, broken_off + 1).await,
            "{}",
            manager.log()
        );
        broken_off += 1;
        assert_eq!(cache.meta().await.unwrap().pid, manager.pid());
    }
    done.set(true);
    let longest = going.await.unwrap();
    println!("{broken_off} successors were killed; an answer took {longest:?} at most");
    assert!(broken_off > 0);
    assert!(is_whole(&cache).await);
    manager = master.hand_over(manager).await;
    assert!(is_whole(&cache).await, "{}", manager.log());
}

#[actix_rt::test]
async fn a_successor_that_keeps_silent_is_left() {
    let mut master = Master::new();
    let mut manager = master.start(false).await;
    let cache = master
        .caches()
        .cache("things", CacheOptions::default())
        .unwrap();
    fill(&cache).await;
    let done = Rc::new(Cell::new(false));
    let going = actix_rt::spawn(go_on(cache.clone(), Rc::clone(&done)));
    let successor = master.spawn(true);
    assert!(manager.says(HANDS_OVER, 1).await);
    successor.signal(Signal::STOP);
    assert!(manager.says(SERVES_ON, 1).await);
    successor.signal(Signal::CONT);
    let cause = failed(&mut master, successor).await;
    // Its own clock went on while it was stopped: when it runs again, either may be noticed first.
    let causes = [
        "the present cache manager broke off",
        "the present cache manager said nothing",
    ];
    assert!(
        causes.iter().any(|known| cause.starts_with(known)),
        "{cause}"
    );
    done.set(true);
    assert!(going.await.unwrap() < WAIT);
    assert!(is_whole(&cache).await);
    master.hand_over(manager).await;
}

#[actix_rt::test]
async fn where_the_present_one_dies_its_successor_says_so_and_the_next_begins_with_what_persists() {
    let mut master = Master::new();
    let mut manager = master.start(false).await;
    let caches = master.caches();
    let kept = CacheOptions::default().persist(true);
    let kept = caches.cache("kept", kept).unwrap();
    let cache = caches.cache("things", CacheOptions::default()).unwrap();
    fill(&cache).await;
    for n in 0..1000 {
        kept.set(&n.to_string(), &n).await.unwrap();
    }
    let successor = master.spawn(true);
    assert!(manager.says(HANDS_OVER, 1).await);
    drop(manager);
    let cause = failed(&mut master, successor).await;
    assert!(
        cause.starts_with("the present cache manager broke off"),
        "{cause}"
    );
    let _manager = master.start(false).await;
    for n in 0..1000 {
        assert_eq!(kept.get(&n.to_string()).await.unwrap(), Some(n));
    }
    assert_eq!(cache.stat().await.unwrap().entries, 0);
}

#[actix_rt::test]
async fn one_takes_over_at_a_time() {
    let mut master = Master::new();
    let mut manager = master.start(false).await;
    let cache = master
        .caches()
        .cache("things", CacheOptions::default())
        .unwrap();
    fill(&cache).await;
    // One that asks, and reads no further.
    let mut first = ByHand::connect(&master.socket(), true).await;
    let hand_over = 18_u32;
    first.ask(&hand_over).await;
    let second = master.spawn(true);
    let cause = failed(&mut master, second).await;
    assert_eq!(
        cause,
        "the present cache manager refused: it is being handed over to another process already"
    );
    drop(first);
    assert!(manager.says("the successor is gone", 1).await);
    manager = master.hand_over(manager).await;
    assert!(is_whole(&cache).await, "{}", manager.log());

    // One that asks for something else first.
    let mut stranger = ByHand::connect(&master.socket(), true).await;
    let take_over = 19_u32;
    stranger.tell(&take_over).await;
    assert!(manager.says("asks for something else", 1).await);
    // A client cannot ask for it.
    let mut client = ByHand::connect(&master.socket(), false).await;
    let told = client.ask(&hand_over).await;
    let (_, _, _, refused, unknown): (u32, u64, u64, u32, u32) =
        cluster_core::endpoint::read_head(&told).unwrap();
    assert_eq!((refused, unknown), (12, 7));
}

#[actix_rt::test]
async fn where_there_is_nobody_to_take_over_from_it_says_so() {
    let mut master = Master::new();
    let successor = master.spawn(true);
    let cause = failed(&mut master, successor).await;
    let path = master.socket();
    let expected = format!(
        "the present cache manager, at {}, cannot be reached",
        path.display()
    );
    assert!(cause.starts_with(&expected), "{cause}");
}

#[actix_rt::test]
async fn a_cache_that_a_process_serves_beside_other_things_is_not_handed_over() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("cache");
    let caches = enable(Sharing::new("beside").directory(&directory)).unwrap();
    let socket = caches.socket().to_owned();
    let mut master = Master::with(|options| options.cache.domain_path = Some(socket));
    let successor = master.spawn(true);
    let cause = failed(&mut master, successor).await;
    assert_eq!(
        cause,
        "the present cache manager refused: it has no process of its own, and is not handed over"
    );
    caches.close().await;
}

#[actix_rt::test]
async fn what_persists_stays_in_its_file() {
    let mut master = Master::new();
    let manager = master.start(false).await;
    let cache = master
        .caches()
        .cache("things", CacheOptions::default())
        .unwrap();
    cache.set("a", &1).await.unwrap();
    let ours = master.home.path().join("cache.log");
    let theirs = master.home.path().join("other.log");
    master.change(|options| options.cache.persist_path = Some(theirs.clone()));
    let successor = master.spawn(true);
    let cause = failed(&mut master, successor).await;
    assert_eq!(
        cause,
        format!(
            "the present cache manager keeps what is to persist in {}, and this one is to keep it in {}: that takes a restart of the cluster",
            ours.display(),
            theirs.display()
        )
    );
    assert_eq!(cache.get("a").await.unwrap(), Some(1));
    assert_eq!(cache.meta().await.unwrap().pid, manager.pid());
}
