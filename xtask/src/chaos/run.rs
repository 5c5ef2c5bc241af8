//! One run: load comes up, acts are carried out, all comes to rest, stock is taken, and the cluster is stopped.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::ChaosError;
use super::acts::{CALM, Planned};
use super::builds::Builds;
use super::cache::{self, Board};
use super::census::{Census, Sample};
use super::cluster::{Cluster, WORKERS, pids, sockets};
use super::disk::Disk;
use super::events::{self, Events};
use super::hands::Hands;
use super::inventory;
use super::journal::Journal;
use super::load::{self, Load};
use super::verdict::{Calm, Records};

/// How long the cluster may take to become ready.
const START: Duration = Duration::from_secs(60);
/// How long there is load before the first act.
const LEAD: Duration = Duration::from_secs(2);
/// How long it is waited for that all is as wanted again, to tell late from never.
const NEVER: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// Users who keep their connection, and users who do not.
const KEEPERS: u64 = 6;
const OTHERS: u64 = 4;
/// Writers and readers of the cache; every second one keeps the connection.
const WRITERS: usize = 3;
const READERS: u64 = 3;

/// What a run is made with.
pub(super) struct Means<'a> {
    pub(super) cluster: &'a mut Cluster,
    pub(super) disk: Option<&'a Disk>,
    pub(super) builds: Mutex<Builds>,
    pub(super) journal: &'a Journal,
    pub(super) log: &'a Path,
    pub(super) interrupted: &'a AtomicBool,
}

/// Carries out all of it.
///
/// # Errors
/// Where the cluster does not become ready, or somebody interrupts.
pub(super) fn all(
    means: Means<'_>,
    planned: &[Planned],
    seconds: u64,
    seed: u64,
) -> Result<Records, ChaosError> {
    let Means {
        cluster,
        disk,
        builds,
        journal,
        log,
        interrupted,
    } = means;
    let census = Census::by(cluster.monitor);
    let (load, board, events) = (Load::on(cluster.port), Board::default(), Events::default());
    let folder = cluster.folder().to_owned();
    let (operator, port, monitor) = (cluster.operator(), cluster.port, cluster.monitor);
    let hands = Hands {
        operator,
        census: &census,
        journal,
        load: &load,
        port,
        folder: &folder,
        disk,
        builds: &builds,
        stopped: Mutex::default(),
        full_until: Mutex::default(),
    };
    ready(cluster, &census, log, interrupted)?;
    let goes_on = || !interrupted.load(Ordering::Relaxed);
    let over = AtomicBool::new(false);
    let mut records = Records::default();
    let ended = Mutex::new(&mut *cluster);
    thread::scope(|scope| {
        // Whatever becomes of this thread, the others are to end.
        let _end = End {
            load: &load,
            over: &over,
        };
        let lives = || goes_on() && !has_ended(&ended);
        scope.spawn(|| census.take(|| !over.load(Ordering::Relaxed)));
        let users = users(scope, &load, &board, &events, monitor, seed);
        pause(LEAD, lives);
        let before = census
            .look()
            .map(|sample| inventory::take(&sample, &folder));
        journal.say("the first act is to come");
        hands.perform(scope, planned, Duration::from_secs(seconds), lives);
        hands.settle(lives);
        let (calm, last) = calm(&hands, &census, &ended, lives);
        load.end();
        for user in users {
            // A user who has panicked has said so.
            let _ = user.join();
        }
        records.calm = calm;
        if let (Some(before), Some(last)) = (before, last) {
            let workers: BTreeSet<u32> = last.active().map(|worker| worker.pid).collect();
            records.deaf = events::last_words(&load, &events, monitor, last.master.pid, &workers);
            records.unread = cache::read_all(&load, &board);
            records.leaks = inventory::take(&last, &folder).leaks_since(&before);
        }
    });
    if !goes_on() {
        return Err(ChaosError::Interrupted);
    }
    records.leaks.extend(stop(cluster, &folder));
    records.answered = load.answered();
    records.failed = load.failed();
    records.kept = board.kept();
    records.told = events.told();
    records.deeds = journal.deeds();
    records.samples = census.samples();
    Ok(records)
}

struct End<'a> {
    load: &'a Load,
    over: &'a AtomicBool,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.load.end();
        self.over.store(true, Ordering::Relaxed);
    }
}

fn has_ended(cluster: &Mutex<&mut Cluster>) -> bool {
    cluster
        .lock()
        .is_ok_and(|mut cluster| cluster.ended().is_some())
}

fn pause(time: Duration, goes_on: impl Fn() -> bool) {
    let begun = Instant::now();
    while begun.elapsed() < time && goes_on() {
        thread::sleep(LOOK);
    }
}

fn ready(
    cluster: &mut Cluster,
    census: &Census,
    log: &Path,
    interrupted: &AtomicBool,
) -> Result<(), ChaosError> {
    let begun = Instant::now();
    while begun.elapsed() < START && cluster.ended().is_none() {
        if interrupted.load(Ordering::Relaxed) {
            return Err(ChaosError::Interrupted);
        }
        if census
            .look()
            .is_some_and(|sample| sample.unlike(WORKERS).is_none())
        {
            return Ok(());
        }
        thread::sleep(LOOK);
    }
    Err(ChaosError::NotReady {
        log: log.to_owned(),
    })
}

/// All who use the cluster, until the load is over.
fn users<'scope, 'env>(
    scope: &'scope thread::Scope<'scope, 'env>,
    load: &'env Load,
    board: &'env Board,
    events: &'env Events,
    monitor: u16,
    seed: u64,
) -> Vec<ScopedJoinHandle<'scope, ()>> {
    let mut users = Vec::new();
    for user in 0..KEEPERS + OTHERS {
        let seed = seed.wrapping_add(user);
        users.push(scope.spawn(move || load::use_it(load, user < KEEPERS, seed)));
    }
    for writer in 0..WRITERS {
        users.push(scope.spawn(move || cache::write(load, board, writer, writer % 2 == 0)));
    }
    for reader in 0..READERS {
        let seed = seed.wrapping_add(reader);
        users.push(scope.spawn(move || cache::read(load, board, reader % 2 == 0, seed)));
    }
    users.push(scope.spawn(move || events::tell(load, events, seed)));
    users.push(scope.spawn(move || events::gather(load, events, monitor)));
    users
}

/// Waits until the cluster is as wanted; says how long that took, and what was wrong when its time was over. Also how it looked last.
fn calm(
    hands: &Hands<'_>,
    census: &Census,
    cluster: &Mutex<&mut Cluster>,
    goes_on: impl Fn() -> bool,
) -> (Calm, Option<Sample>) {
    let begun = Instant::now();
    let mut calm = Calm::default();
    loop {
        hands.follow_up();
        let sample = census.look();
        let unlike = match &sample {
            None => Some("no master answers".to_owned()),
            Some(sample) => sample
                .unlike(WORKERS)
                .or_else(|| strangers(sample, cluster)),
        };
        if unlike.is_none() {
            let after = begun.elapsed();
            hands
                .journal
                .say(&format!("as wanted after {} ms", after.as_millis()));
            calm.after = Some(after);
            return (calm, sample);
        }
        if begun.elapsed() >= CALM && calm.unlike.is_none() {
            calm.unlike.clone_from(&unlike);
        }
        if begun.elapsed() >= NEVER || !goes_on() {
            calm.unlike = unlike;
            return (calm, sample);
        }
        thread::sleep(LOOK);
    }
}

/// Processes of the cluster that nobody knows.
fn strangers(sample: &Sample, cluster: &Mutex<&mut Cluster>) -> Option<String> {
    let cluster = cluster.lock().ok()?;
    let mut left = cluster.processes();
    left.remove(&cluster.parent());
    let known = sample.pids();
    left.retain(|pid| !known.contains(pid));
    (!left.is_empty()).then(|| format!("processes that the cluster does not know: {left:?}"))
}

/// Stops the cluster; what is left of it.
fn stop(cluster: &mut Cluster, folder: &Path) -> Vec<String> {
    let mut left = Vec::new();
    match cluster.stop() {
        None => left.push("the cluster has not stopped in time".to_owned()),
        Some(status) if !status.success() => left.push(format!("the cluster ended with {status}")),
        Some(_) => {}
    }
    let processes = cluster.processes();
    if !processes.is_empty() {
        left.push(format!("processes are left after the stop: {processes:?}"));
    }
    for directory in [sockets(folder), pids(folder)] {
        let entries = std::fs::read_dir(&directory)
            .into_iter()
            .flatten()
            .flatten();
        left.extend(
            entries.map(|entry| format!("{} is left after the stop", entry.path().display())),
        );
    }
    left
}
