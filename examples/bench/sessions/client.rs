//! A client at work: so many users on one thread, each of whom asks again when they are answered.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_session::storage::{SessionKey, SessionStore};
use actix_web::cookie::time;
use actix_web::rt;
use cluster_web::{Error, Result};
use futures_util::future::try_join_all;
use serde::Serialize;
use tokio::time::sleep;

/// Sessions of each user, who goes from one to the next.
const SESSIONS: usize = 64;
/// How long a client works before it counts, so that all clients of a measurement are there by then.
const WARM_UP: Duration = Duration::from_millis(300);
/// How long it goes on when it has counted, so that no other that still counts has the peer to itself.
const TAIL: Duration = Duration::from_millis(200);
const TTL: time::Duration = time::Duration::DAY;

/// What users do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Finds a session.
    Load,
    /// Makes a session.
    Save,
    /// Finds one, and changes it: what a request does.
    Request,
}

impl Work {
    pub(crate) fn read(word: &str) -> Result<Self> {
        match word {
            "load" => Ok(Work::Load),
            "save" => Ok(Work::Save),
            "request" => Ok(Work::Request),
            other => Err(Error::msg(format!("no such work: {other}"))),
        }
    }
}

/// What was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Ran {
    /// Pieces of work per second.
    rate: f64,
    /// The median time of one in microseconds, where there is one user.
    p50: Option<f64>,
}

#[derive(Default)]
struct Count {
    done: Cell<u64>,
    counting: Cell<bool>,
    over: Cell<bool>,
    times: RefCell<Vec<Duration>>,
}

/// What applications keep of a user.
pub(crate) fn state(visits: u64) -> HashMap<String, String> {
    let entries = [
        ("user", "\"ada.lovelace@example.org\"".to_owned()),
        ("visits", visits.to_string()),
        ("csrf", format!("\"{}\"", "c".repeat(43))),
        ("cart", "[{\"sku\":\"tea\",\"n\":2}]".to_owned()),
    ];
    entries.map(|(key, value)| (key.to_owned(), value)).into()
}

/// Works for so long, with so many users at once.
pub(crate) async fn run<S: SessionStore + 'static>(
    store: S,
    work: Work,
    flight: u64,
    length: Duration,
) -> Result<Ran> {
    let (store, count) = (Rc::new(store), Rc::new(Count::default()));
    let users = (0..flight).map(|_| {
        let (store, count) = (Rc::clone(&store), Rc::clone(&count));
        rt::spawn(async move {
            let user = user(&*store, work, flight == 1, &count);
            user.await.map_err(|e| e.to_string())
        })
    });
    let users = try_join_all(users);
    let (rate, users) = tokio::join!(watch(&count, length), users);
    for user in users? {
        user.map_err(Error::msg)?;
    }
    let mut times = count.times.take();
    times.sort_unstable();
    let p50 = times.get(times.len() / 2);
    Ok(Ran {
        rate,
        p50: p50.map(|time| time.as_secs_f64() * 1e6),
    })
}

/// Says when to count and when to end; gives back pieces of work per second.
async fn watch(count: &Count, length: Duration) -> f64 {
    // wait: the other clients start meanwhile.
    sleep(WARM_UP).await;
    count.counting.set(true);
    let (begun, before) = (Instant::now(), count.done.get());
    // wait: this is the time in which is counted.
    sleep(length).await;
    let done = count.done.get() - before;
    let rate = done as f64 / begun.elapsed().as_secs_f64();
    count.counting.set(false);
    // wait: the other clients end meanwhile.
    sleep(TAIL).await;
    count.over.set(true);
    rate
}

async fn user<S: SessionStore>(
    store: &S,
    work: Work,
    timed: bool,
    count: &Count,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut sessions = Vec::new();
    if work != Work::Save {
        for _ in 0..SESSIONS {
            sessions.push(Some(store.save(state(0), &TTL).await?));
        }
    }
    let mut visits = 0;
    while !count.over.get() {
        let begun = timed.then(Instant::now);
        visits += 1;
        let place = visits as usize % SESSIONS;
        match sessions.get_mut(place) {
            Some(session) => once(store, work, session).await?,
            None => drop(store.save(state(visits), &TTL).await?),
        }
        count.done.set(count.done.get() + 1);
        if let Some(begun) = begun.filter(|_| count.counting.get()) {
            count.times.borrow_mut().push(begun.elapsed());
        }
    }
    Ok(())
}

async fn once<S: SessionStore>(
    store: &S,
    work: Work,
    session: &mut Option<SessionKey>,
) -> Result<(), Box<dyn std::error::Error>> {
    let key = session.take().ok_or("a session is lost")?;
    let found = store.load(&key).await?;
    let mut state = found.ok_or("a session is not there")?;
    *session = Some(match work {
        Work::Request => {
            let visits = state.get("visits").ok_or("a session has lost its visits")?;
            let visits = visits.parse::<u64>()? + 1;
            state.insert("visits".to_owned(), visits.to_string());
            store.update(key, state, &TTL).await?
        }
        _ => key,
    });
    Ok(())
}
