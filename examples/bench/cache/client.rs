//! A client at work: so many callers on one thread, each of which asks again when it is answered.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::rt;
use cluster_web::{Error, Result};
use futures_util::future::try_join_all;
use serde::Serialize;
use tokio::time::{sleep, timeout};

use crate::VALUE;
use crate::key::{Dice, Key};
use crate::peer::Peer;

/// How long a client works before it counts, so that all clients of a measurement are there by then.
const WARM_UP: Duration = Duration::from_millis(300);
/// How long it goes on when it has counted, so that no other that still counts has the peer to itself.
const TAIL: Duration = Duration::from_millis(200);
/// How long the last answers may take.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    Get,
    Set,
    /// Sets every key once.
    Fill,
}

/// What a client is to do.
pub(crate) struct Order {
    work: Work,
    pub(crate) keys: u64,
    flight: u64,
    length: Duration,
}

impl Order {
    pub(crate) fn read(words: &[&str]) -> Result<Self> {
        let [work, keys, flight, ms] = words else {
            return Err(Error::msg("an order is WORK KEYS FLIGHT MS"));
        };
        let work = match *work {
            "get" => Work::Get,
            "set" => Work::Set,
            "fill" => Work::Fill,
            other => return Err(Error::msg(format!("no such work: {other}"))),
        };
        let (keys, flight) = (keys.parse()?, flight.parse()?);
        if keys == 0 || flight == 0 {
            return Err(Error::msg("there is no order without keys or callers"));
        }
        Ok(Order {
            work,
            keys,
            flight,
            length: Duration::from_millis(ms.parse()?),
        })
    }
}

/// What was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Ran {
    /// Operations per second.
    pub(crate) rate: f64,
    /// The median time of an operation in microseconds, where there is one caller.
    pub(crate) p50: Option<f64>,
}

/// What the callers of one client share.
#[derive(Default)]
struct Count {
    operations: Cell<u64>,
    counting: Cell<bool>,
    over: Cell<bool>,
    times: RefCell<Vec<Duration>>,
}

/// Does as ordered.
pub(crate) async fn run<P: Peer>(peer: P, order: &Order) -> Result<Ran> {
    let count = Rc::new(Count::default());
    let callers = (0..order.flight).map(|caller| {
        let (peer, count) = (peer.clone(), Rc::clone(&count));
        let (work, keys, flight) = (order.work, order.keys, order.flight);
        let called = async move {
            match work {
                Work::Fill => fill(peer, (caller..keys).step_by(flight as usize)).await,
                _ if flight == 1 => timed(peer, work, keys, &count).await,
                _ => call(peer, work, keys, &count, Dice::new(caller)).await,
            }
        };
        let called = rt::spawn(called);
        async { called.await? }
    });
    let callers = try_join_all(callers);
    if order.work == Work::Fill {
        let begun = Instant::now();
        callers.await?;
        return Ok(Ran {
            rate: order.keys as f64 / begun.elapsed().as_secs_f64(),
            p50: None,
        });
    }
    let whole = WARM_UP + order.length + TAIL + PATIENCE;
    let called = timeout(whole, callers);
    let (rate, called) = tokio::join!(watch(&count, order.length), called);
    called.map_err(|_| Error::msg(format!("not all is answered after {whole:?}")))??;
    let mut times = count.times.take();
    times.sort_unstable();
    let p50 = times.get(times.len() / 2);
    Ok(Ran {
        rate,
        p50: p50.map(|time| time.as_secs_f64() * 1e6),
    })
}

/// Says when to count and when to end; gives back operations per second.
async fn watch(count: &Count, length: Duration) -> f64 {
    // wait: the other clients start meanwhile.
    sleep(WARM_UP).await;
    count.counting.set(true);
    let (begun, before) = (Instant::now(), count.operations.get());
    // wait: this is the time in which is counted.
    sleep(length).await;
    let operations = count.operations.get() - before;
    let rate = operations as f64 / begun.elapsed().as_secs_f64();
    count.counting.set(false);
    // wait: the other clients end meanwhile.
    sleep(TAIL).await;
    count.over.set(true);
    rate
}

async fn once<P: Peer>(peer: &mut P, work: Work, key: Key) -> Result<()> {
    let key = key.as_str();
    if work == Work::Get {
        match peer.get(key).await? {
            Some(value) if value.len() == VALUE => Ok(()),
            Some(value) => Err(Error::msg(format!("{key} has {} bytes", value.len()))),
            None => Err(Error::msg(format!("{key} is not there"))),
        }
    } else {
        peer.set(key, &[b'v'; VALUE]).await
    }
}

/// One of many callers.
async fn call<P: Peer>(
    mut peer: P,
    work: Work,
    keys: u64,
    count: &Count,
    mut dice: Dice,
) -> Result<()> {
    while !count.over.get() {
        once(&mut peer, work, Key::new(dice.below(keys))).await?;
        count.operations.set(count.operations.get() + 1);
    }
    Ok(())
}

/// The only caller, who has the time to look at the clock.
async fn timed<P: Peer>(mut peer: P, work: Work, keys: u64, count: &Count) -> Result<()> {
    let mut dice = Dice::new(0);
    while !count.over.get() {
        let key = Key::new(dice.below(keys));
        let asked = Instant::now();
        once(&mut peer, work, key).await?;
        if count.counting.get() {
            count.times.borrow_mut().push(asked.elapsed());
        }
        count.operations.set(count.operations.get() + 1);
    }
    Ok(())
}

async fn fill<P: Peer>(mut peer: P, numbers: impl Iterator<Item = u64>) -> Result<()> {
    for number in numbers {
        once(&mut peer, Work::Fill, Key::new(number)).await?;
    }
    Ok(())
}
