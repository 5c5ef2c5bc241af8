//! What four processes see of a key is what one register would show them, also while the process that serves is killed and another
//! takes over: nothing that was answered is lost, and nothing comes back. And while one cache manager hands over to the next, and
//! that one to the next, all the time: then every operation is answered too, and nothing needs to be kept on disk for it.
//!
//! A round works on some keys that nobody has used: each process calls get, set, leave_if_not_null and del on all of them at the
//! same time. In three of four rounds the process that serves is killed meanwhile, at a random moment; one that waits for its turn
//! takes over, or one that is started anew. In the end each process reads each key once more; in one of four rounds the
//! process that serves is killed right before, with nothing under way. Each key is a history of its own.
//!
//! `HISTORIES=1000 cargo test -p cluster-cache --test linear` records more of them than the usual.
#![allow(clippy::unwrap_used, missing_docs)]

mod history;
// Here managers do no more than hand over.
#[allow(dead_code)]
#[path = "../handover/master.rs"]
mod master;
mod process;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use cluster_cache::Caches;
use history::{Copied, Op, Outcome, Register, Seen, is_linearizable, overlaps};
use master::Master;
use process::{Dice, Order, Process, Said, monotonic};
use tempfile::TempDir;
use todc_utils::specifications::Specification;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

const PROCESSES: usize = 4;
/// Keys of one round.
const KEYS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(60);

/// Processes that serve or wait for their turn, and the four that ask.
struct Cast {
    home: TempDir,
    caches: Caches,
    servers: Vec<Process>,
    clients: Vec<Process>,
    said: UnboundedReceiver<Said>,
    tell: UnboundedSender<Said>,
    /// When a process that served was killed.
    kills: Vec<u64>,
}

impl Cast {
    /// Two that serve, or wait for their turn.
    async fn start() -> Self {
        let mut cast = Cast::empty();
        for _ in 0..2 {
            cast.add_server().await;
        }
        cast.add_clients().await;
        cast
    }

    /// One that serves hands over to the next all the time; the moments at which the next one serves are noted.
    async fn start_handing_over(moments: Rc<RefCell<Vec<u64>>>) -> Self {
        let mut cast = Cast::empty();
        let socket = cast.caches.socket().to_owned();
        std::fs::create_dir(socket.parent().unwrap()).unwrap();
        let mut master = Master::with(|options| options.cache.domain_path = Some(socket));
        let mut manager = master.start(false).await;
        actix_rt::spawn(async move {
            loop {
                let next = master.start(true).await;
                moments.borrow_mut().push(monotonic());
                assert!(manager.ended().await.success());
                manager = next;
            }
        });
        cast.add_clients().await;
        cast
    }

    fn empty() -> Self {
        let home = tempfile::tempdir().unwrap();
        let (tell, said) = unbounded_channel();
        Cast {
            caches: process::caches(home.path()),
            home,
            servers: Vec::new(),
            clients: Vec::new(),
            said,
            tell,
            kills: Vec::new(),
        }
    }

    async fn add_clients(&mut self) {
        for number in 0..PROCESSES {
            let client = Process::start(self.home.path(), Some(number), self.tell.clone());
            self.clients.push(client);
        }
        for _ in 0..PROCESSES {
            assert!(matches!(self.next().await, Said::Ready));
        }
    }

    async fn next(&mut self) -> Said {
        timeout(PATIENCE, self.said.recv()).await.unwrap().unwrap()
    }

    async fn add_server(&mut self) {
        // It speaks on a line of its own: clients may be at work.
        let (tell, mut ready) = unbounded_channel();
        let server = Process::start(self.home.path(), None, tell);
        assert!(matches!(ready.recv().await, Some(Said::Ready)));
        self.servers.push(server);
    }

    async fn kill(&mut self) {
        let serves = self.caches.meta().await.unwrap().pid;
        let at = self
            .servers
            .iter()
            .position(|server| server.pid() == serves);
        self.kills.push(monotonic());
        drop(self.servers.remove(at.unwrap()));
        self.add_server().await;
    }

    fn order(&mut self, order: &Order) {
        for client in &mut self.clients {
            client.order(order);
        }
    }

    /// What came of an order, for each of its keys.
    async fn gather(&mut self, histories: &mut [Vec<Seen>]) {
        for _ in 0..PROCESSES {
            let Said::Did(did) = self.next().await else {
                panic!("a process was started");
            };
            for (history, seen) in histories.iter_mut().zip(did) {
                history.extend(seen);
            }
        }
    }

    async fn round(&mut self, round: u64, kept: Kept, kills: Kills) -> Vec<Vec<Seen>> {
        let mut order = Order {
            namespace: format!("{kept:?}"),
            persist: matches!(kept, Kept::OnDisk | Kept::OnDiskAndInCopies),
            copies: matches!(kept, Kept::OnDiskAndInCopies | Kept::InCopies),
            keys: (0..KEYS).map(|n| format!("{round} {n}")).collect(),
            seed: Some(round * KEYS as u64),
        };
        let mut histories = vec![Vec::new(); KEYS];
        self.order(&order);
        if kills.meanwhile {
            let moment = Duration::from_micros(Dice::new(round).roll(2000));
            tokio::time::sleep(moment).await; // wait: a random moment to be killed at
            self.kill().await;
        }
        self.gather(&mut histories).await;
        if kills.afterwards {
            self.kill().await;
        }
        order.seed = None;
        self.order(&order);
        self.gather(&mut histories).await;
        histories
    }
}

fn in_lines(history: &[Seen]) -> String {
    let mut seen = history.to_vec();
    seen.sort_by_key(|seen| seen.called);
    seen.iter().map(|seen| format!("\n{seen:?}")).collect()
}

/// Where the values of a namespace are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    InMemory,
    InCopies,
    OnDisk,
    OnDiskAndInCopies,
}

struct Kills {
    meanwhile: bool,
    afterwards: bool,
}

#[actix_rt::test]
async fn four_processes_see_one_register_whoever_serves_it() {
    record::<Register>(Kept::OnDisk).await;
}

/// Each with copies of its own: what it reads there never goes back, is never older than what it wrote, and settles.
#[actix_rt::test]
async fn copies_in_four_processes_never_go_back_whoever_serves_them() {
    record::<Copied>(Kept::OnDiskAndInCopies).await;
}

/// Records histories, and holds them against what they have to be.
async fn record<S: Specification<Operation = Seen>>(kept: Kept) {
    let wanted = std::env::var("HISTORIES").map_or(400, |text| text.parse().unwrap());
    let mut cast = Cast::start().await;
    let (mut histories, mut round) = (Vec::new(), 0);
    while histories.len() < wanted {
        let kills = Kills {
            meanwhile: round % 4 != 0,
            afterwards: round % 4 == 3,
        };
        histories.extend(cast.round(round, kept, kills).await);
        round += 1;
    }
    let seen = check::<S>(&histories, &cast.kills);
    println!("{} kills: {seen}", cast.kills.len());
    assert!(
        seen.struck * 4 >= histories.len(),
        "the kills miss the histories"
    );
}

#[actix_rt::test]
async fn four_processes_see_one_register_while_it_is_handed_over() {
    record_handing_over::<Register>(Kept::InMemory).await;
}

#[actix_rt::test]
async fn copies_in_four_processes_never_go_back_while_managers_hand_over() {
    record_handing_over::<Copied>(Kept::InCopies).await;
}

/// The same while cache managers hand over.
async fn record_handing_over<S: Specification<Operation = Seen>>(kept: Kept) {
    let wanted = std::env::var("HISTORIES").map_or(400, |text| text.parse().unwrap());
    let moments = Rc::default();
    let mut cast = Cast::start_handing_over(Rc::clone(&moments)).await;
    let (mut histories, mut round) = (Vec::new(), 0);
    while histories.len() < wanted {
        let kills = Kills {
            meanwhile: false,
            afterwards: false,
        };
        histories.extend(cast.round(round, kept, kills).await);
        round += 1;
    }
    let moments = moments.take();
    let seen = check::<S>(&histories, &moments);
    println!("{} handovers: {seen}", moments.len());
    assert!(seen.struck > 0, "the handovers miss the histories");
    assert_eq!(seen.unknown, 0, "an operation failed");
}

/// What was seen of histories that are what they have to be.
struct Checked {
    histories: usize,
    ops: usize,
    unknown: usize,
    overlapping: usize,
    struck: usize,
    late: usize,
}

impl std::fmt::Display for Checked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Checked {
            histories,
            ops,
            unknown,
            overlapping,
            struck,
            late,
        } = self;
        write!(
            f,
            "{histories} histories of {ops} operations are what they have to be, {struck} of them struck, copies late in {late}; \
             {unknown} operations were never answered, {overlapping} overlapped one of another process"
        )
    }
}

fn check<S: Specification<Operation = Seen>>(histories: &[Vec<Seen>], moments: &[u64]) -> Checked {
    let (mut ops, mut unknown, mut overlapping, mut struck) = (0, 0, 0, 0);
    let late = |history: &&Vec<Seen>| !is_linearizable::<Register>(history);
    let late = histories.iter().filter(late).count();
    for history in histories {
        assert!(is_linearizable::<S>(history), "{}", in_lines(history));
        ops += history.len();
        let unanswered = |seen: &&Seen| seen.outcome == Outcome::Unknown;
        unknown += history.iter().filter(unanswered).count();
        overlapping += overlaps(history);
        let under_way = |moment: &u64| {
            // The last look comes after it in any case.
            let looks = history.iter().filter(|seen| seen.op == Op::Inspect);
            let end = looks.map(|seen| seen.called).min();
            let works = history.iter().filter(|seen| Some(seen.called) < end);
            works.clone().any(|seen| seen.called < *moment)
                && works.clone().any(|seen| seen.returned > *moment)
        };
        struck += usize::from(moments.iter().any(under_way));
    }
    assert!(overlapping * 4 >= ops, "the operations do not meet");
    Checked {
        histories: histories.len(),
        ops,
        unknown,
        overlapping,
        struck,
        late,
    }
}

/// The same on a namespace that does not persist: the test sees what is lost.
#[actix_rt::test]
async fn what_a_kill_loses_is_seen() {
    let mut cast = Cast::start().await;
    let kills = Kills {
        meanwhile: false,
        afterwards: true,
    };
    let histories = cast.round(0, Kept::InMemory, kills).await;
    let lost = |history: &Vec<Seen>| !is_linearizable::<Register>(history);
    assert!(histories.iter().any(lost));
}
