//! Session stores that are busy: who asks for something else waits for none of them, during a handover neither.

use std::fs::{self, File};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use cluster_cache::{CacheOptions, Caches};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::sync::oneshot;

use crate::master::{Master, PATIENCE, Report, TAKE_OVER};

/// Files in a store that is cleared.
const FILES: u64 = 100_000;
/// No client of the cache waits for longer, whatever a store does: much less than a handover waits for stores.
const LONGEST: Duration = Duration::from_millis(500);

/// Reads a value of the cache all the time, on a thread of its own; says how often it was read, and the longest time that took.
struct Reads {
    end: oneshot::Sender<()>,
    thread: thread::JoinHandle<(u64, Duration)>,
}

impl Reads {
    async fn start(caches: Caches) -> Self {
        let (end, mut ended) = oneshot::channel();
        let (begin, begun) = oneshot::channel();
        let thread = thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let cache = caches.cache("things", CacheOptions::default()).unwrap();
                cache.set("a", &1).await.unwrap();
                begin.send(()).unwrap();
                let (mut reads, mut longest) = (0, Duration::ZERO);
                while ended.try_recv().is_err() {
                    let begun = Instant::now();
                    assert_eq!(cache.get::<u8>("a").await.unwrap(), Some(1));
                    longest = longest.max(begun.elapsed());
                    reads += 1;
                }
                (reads, longest)
            })
        });
        begun.await.unwrap();
        Reads { end, thread }
    }

    fn end(self) -> (u64, Duration) {
        self.end.send(()).unwrap();
        self.thread.join().unwrap()
    }
}

/// A reader of the store waits from here on, until what comes is dropped.
async fn keep_busy(master: &Master) -> File {
    let gate = master.home.path().join("gate");
    let sessions = master.caches().sessions("gated").with_wait(PATIENCE);
    actix_rt::spawn(async move { sessions.get::<u8>("a").await });
    // It opens when there is a reader.
    let opened = tokio::task::spawn_blocking(|| File::options().write(true).open(gate));
    opened.await.unwrap().unwrap()
}

#[actix_rt::test]
async fn a_busy_store_is_waited_for_by_nobody_but_its_own_clients() {
    let mut master = Master::new();
    master.add_stores();
    let gate = master.home.path().join("gate");
    mknodat(CWD, gate, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let manager = master.start(false).await;
    let busy = keep_busy(&master).await;
    let reads = Reads::start(master.caches()).await;
    // For as long as it is busy there is no handover.
    let refused = master.spawn(true);
    let (pid, report) = master.reported().await;
    assert_eq!(pid, refused.pid());
    assert!(
        matches!(report, Report::StartFailed(TAKE_OVER, _)),
        "{report:?}"
    );
    assert!(
        manager.log().contains("a session store has been busy"),
        "{}",
        manager.log()
    );
    // One that comes to rest meanwhile is handed over, and whoever had to wait is answered.
    let successor = master.spawn(true);
    let mut manager = manager;
    assert!(manager.says("handing the cache over", 2).await);
    let files = master.caches().sessions("files");
    let set = actix_rt::spawn(async move { files.set("a", &1, None).await });
    drop(busy);
    let reported = master.reported().await;
    assert_eq!(
        reported,
        (successor.pid(), Report::Listening),
        "{}",
        successor.log()
    );
    assert!(manager.ended().await.success());
    set.await.unwrap().unwrap();
    let found = master.caches().sessions("files").get::<u8>("a").await;
    assert_eq!(found.unwrap(), Some(1));
    let (count, longest) = reads.end();
    println!("{count} reads beside a busy store and two handovers: {longest:?} at most");
    assert!(longest < LONGEST, "{longest:?}");
}

/// Makes a store of files, as its layout says.
fn fill(directory: &Path) {
    fs::create_dir(directory).unwrap();
    fs::write(directory.join("version"), "1\n").unwrap();
    for shard in 0..256 {
        fs::create_dir(directory.join(format!("{shard:02x}"))).unwrap();
    }
    for n in 0..FILES {
        let path = format!("{:02x}/{:02x}{n:062x}.json", n % 256, n % 256);
        let entry = r#"{"version":1,"key":"k","changed_ms":1,"expires_ms":null,"value":1}"#;
        fs::write(directory.join(path), entry).unwrap();
    }
}

#[actix_rt::test]
async fn a_large_store_is_cleared_beside_a_handover() {
    let mut master = Master::new();
    master.add_stores();
    let directory = master.home.path().join("files");
    fill(&directory);
    let manager = master.start(false).await;
    let sessions = master.caches().sessions("files").with_wait(PATIENCE);
    assert_eq!(sessions.length().await.unwrap(), FILES);
    let reads = Reads::start(master.caches()).await;
    tokio::time::sleep(Duration::from_millis(500)).await; // wait: values are read meanwhile
    let (count, longest) = reads.end();
    println!("{count} reads alone: {longest:?} at most");

    let reads = Reads::start(master.caches()).await;
    let begun = Instant::now();
    let clearing = async {
        sessions.clear().await.unwrap();
        sessions.set("after", &1, None).await.unwrap();
    };
    let ((), successor) = futures_util::future::join(clearing, master.start(true)).await;
    let took = begun.elapsed();
    assert!(manager.ended().await.success());
    let (count, longest) = reads.end();
    println!(
        "{count} reads beside clearing {FILES} files and a handover, {took:?}: {longest:?} at most"
    );
    assert!(longest < LONGEST, "{longest:?}");
    // What was set after it is there, and nothing else.
    assert_eq!(sessions.get::<u8>("after").await.unwrap(), Some(1));
    assert_eq!(sessions.length().await.unwrap(), 1);
    // The disk is freed in the background.
    let begun = Instant::now();
    let left = || fs::read_dir(directory.join("cleared")).unwrap().count();
    while left() > 0 {
        assert!(begun.elapsed() < PATIENCE, "{}", successor.log());
        tokio::time::sleep(Duration::from_millis(20)).await; // wait: between two looks at a directory
    }
}
