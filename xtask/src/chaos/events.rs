//! Events: a teller has workers tell numbered events, and what each process has heard is gathered from the monitor before it dies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde::Deserialize;

use super::clock::Ms;
use super::http::{Connection, Request};
use super::load::{Client, Load};

/// Between two looks at what has been heard.
const LOOK: Duration = Duration::from_millis(500);
/// How long the monitor may take to ask all processes.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most events are small; some are longer than a frame may be.
const SMALL: usize = 500;
const LARGE: usize = 200_000;

/// A process that tells events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) struct Speaker {
    pub(crate) pid: u32,
    pub(crate) since_ms: Ms,
}

/// Numbers that did not come: those between these two, which came one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Gap {
    pub(crate) after: u64,
    pub(crate) before: u64,
    pub(crate) since_ms: Ms,
    pub(crate) until_ms: Ms,
}

/// What a process has heard of a speaker.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Heard {
    by: Speaker,
    pub(crate) last: u64,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) disorder: Vec<(u64, u64)>,
}

/// The status `heard` of one process.
#[derive(Debug, Deserialize)]
struct Shown {
    me: Speaker,
    told: u64,
    heard: Vec<Heard>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    /// None where the process did not answer.
    status: Option<Shown>,
}

#[derive(Debug, Deserialize)]
struct SetOut {
    by: Speaker,
    number: u64,
    refused: Option<String>,
}

/// Who has heard what of whom, as last seen; those who are gone included.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// By listener and speaker.
    pub(crate) heard: BTreeMap<(Speaker, Speaker), Heard>,
    /// The last number of each speaker, as it says itself.
    pub(crate) last: BTreeMap<Speaker, u64>,
    /// Numbers of which the speaker was told that they did not set out for everybody.
    pub(crate) refused: BTreeSet<(Speaker, u64)>,
    /// Events that were told.
    pub(crate) events: u64,
}

/// What teller and gatherer share.
#[derive(Debug, Default)]
pub(crate) struct Events(Mutex<Told>);

impl Events {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn told(&self) -> Told {
        self.lock().clone()
    }

    fn set_out(&self, out: &SetOut) {
        let mut told = self.lock();
        told.events += 1;
        if out.refused.is_some() {
            told.refused.insert((out.by, out.number));
        }
    }

    fn take(&self, shown: Vec<Shown>) {
        let mut told = self.lock();
        for one in shown {
            told.last.insert(one.me, one.told);
            for heard in one.heard {
                told.heard.insert((one.me, heard.by), heard);
            }
        }
    }
}

/// Has one worker or another tell events until the load is over.
pub(crate) fn tell(load: &Load, events: &Events, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let mut client = Client::new(load, false);
    while !load.is_over() {
        let bytes = match rng.u32(0..50) {
            0 => rng.usize(..LARGE),
            _ => rng.usize(..SMALL),
        };
        tell_one(&mut client, events, bytes);
        client.rest();
    }
}

/// Who has told, where somebody has.
fn tell_one(client: &mut Client<'_>, events: &Events, bytes: usize) -> Option<Speaker> {
    let path = format!("/tell?bytes={bytes}");
    let answered = client.ask(Request::post(&path, &[]))?;
    match serde_json::from_slice::<SetOut>(&answered.reply.body) {
        Ok(out) => {
            events.set_out(&out);
            Some(out.by)
        }
        Err(_) => {
            client.refuse(&path, &answered);
            None
        }
    }
}

/// Gathers what has been heard until the load is over.
pub(crate) fn gather(load: &Load, events: &Events, monitor: u16) {
    while !load.is_over() {
        // The master may be away; what is not seen now is seen later, or has died with its process.
        look(events, monitor);
        thread::sleep(LOOK);
    }
}

fn look(events: &Events, monitor: u16) -> Option<()> {
    let mut connection = Connection::open(monitor, PATIENCE).ok()?;
    let reply = connection.ask(&Request::get("/status/heard")).ok()?;
    let entries: Vec<Entry> = serde_json::from_slice(&reply.body).ok()?;
    let shown = entries.into_iter().filter_map(|entry| entry.status);
    events.take(shown.collect());
    Some(())
}

/// A last word of each of these workers, and a look at whether all of them and the master have heard all of it: those who have not, and of whom.
pub(crate) fn last_words(
    load: &Load,
    events: &Events,
    monitor: u16,
    master: u32,
    workers: &BTreeSet<u32>,
) -> Vec<(u32, u32)> {
    const LIMIT: Duration = Duration::from_secs(10);
    let until = Instant::now() + LIMIT;
    let mut client = Client::new(load, false);
    let mut speakers = BTreeSet::new();
    while speakers.len() < workers.len() && Instant::now() < until {
        let speaker = tell_one(&mut client, events, 1);
        speakers.extend(speaker.filter(|speaker| workers.contains(&speaker.pid)));
    }
    loop {
        look(events, monitor);
        let deaf = deaf(&events.told(), &speakers, master, workers);
        if deaf.is_empty() || Instant::now() >= until {
            return deaf;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Of these listeners, those who have not heard the last of these speakers.
fn deaf(
    told: &Told,
    speakers: &BTreeSet<Speaker>,
    master: u32,
    workers: &BTreeSet<u32>,
) -> Vec<(u32, u32)> {
    // Of processes that have had the same pid, the last one.
    let alive: BTreeMap<u32, Speaker> = told.last.keys().map(|one| (one.pid, *one)).collect();
    let mut deaf = Vec::new();
    for listener in workers.iter().chain([&master]) {
        for speaker in speakers.iter().filter(|speaker| speaker.pid != *listener) {
            let last = told.last.get(speaker);
            let heard = alive
                .get(listener)
                .and_then(|listener| told.heard.get(&(*listener, *speaker)))
                .map(|heard| heard.last);
            if last.is_none() || heard < last.copied() {
                deaf.push((*listener, speaker.pid));
            }
        }
    }
    deaf
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn speaker(pid: u32) -> Speaker {
        Speaker { pid, since_ms: 1 }
    }

    #[test]
    fn what_the_monitor_shows_is_understood() {
        let shown = r#"[
            {"pid": 1, "name": "heard", "status": {"me": {"pid": 1, "since_ms": 1}, "told": 0, "heard": [
                {"by": {"pid": 2, "since_ms": 1}, "last": 9, "at_ms": 5, "disorder": [[4, 4]],
                 "gaps": [{"after": 4, "before": 6, "since_ms": 2, "until_ms": 3}]}]}},
            {"pid": 2, "name": "heard", "status": null, "error": "it did not answer"}]"#;
        let entries: Vec<Entry> = serde_json::from_str(shown).unwrap();
        let events = Events::default();
        events.take(entries.into_iter().filter_map(|e| e.status).collect());
        let told = events.told();
        let heard = &told.heard[&(speaker(1), speaker(2))];
        assert_eq!(heard.last, 9);
        assert_eq!((heard.gaps.len(), heard.disorder.len()), (1, 1));
        assert_eq!(told.last[&speaker(1)], 0);
    }

    #[test]
    fn whoever_lacks_the_last_word_is_named() {
        let heard = |by, last| Heard {
            by,
            last,
            gaps: Vec::new(),
            disorder: Vec::new(),
        };
        let (one, two, master) = (speaker(1), speaker(2), speaker(9));
        let mut told = Told::default();
        told.last.extend([(one, 5), (two, 7), (master, 0)]);
        told.heard.insert((one, two), heard(two, 7));
        told.heard.insert((two, one), heard(one, 4));
        told.heard.insert((master, one), heard(one, 5));
        let deaf = deaf(&told, &[one, two].into(), 9, &[1, 2].into());
        assert_eq!(deaf, [(2, 1), (9, 2)]);
    }
}
