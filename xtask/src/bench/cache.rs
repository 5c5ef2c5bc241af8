//! `bench cache`: the shared cache against Redis, memcached and bare frames over a socket; its near copies against moka;
//! and what a large one takes.

mod client;
mod memory;
mod peer;

use self::client::{Order, Ran, Work};
use self::peer::{Kind, Peer, Place};
use super::table::{Better, Row, Table};
use super::{BenchError, Plan, release};
use crate::packages::{self, Need};

/// Keys of the measurements in which their number does not matter.
const KEYS: u64 = 10_000;

/// Keys of a large cache and of a small one.
const MANY: u64 = 1_000_000;
const FEW: u64 = 1_000;

/// What the measurements of them are called.
const COPIES: &str = "read of a near copy";
const MILLION: &str = "a million entries";

/// Callers in each client where there are many.
const FLIGHT: u32 = 64;

/// What an operation of a large cache may cost, to that of a small one.
const GROWTH: f64 = 1.3;

/// What a read of a near copy may take, to moka's.
const NEAR: f64 = 1.0;

/// What a large cache may take, to what Redis takes.
const MEMORY: f64 = 2.0;

/// Measures all caches in turn.
///
/// # Errors
/// Where one cannot be built, started or asked.
pub(super) fn run(plan: &Plan) -> Result<Table, BenchError> {
    packages::ensure(Need::Bench)?;
    // Before our own build, which would be taken for somebody else's work.
    let load = super::load_average();
    release::build(&["bench-cache"])?;
    let place = Place::new()?;
    let mut rows = speed(plan, &place)?;
    rows.extend(large(plan, &place)?);
    let note = format!(
        "100-byte values over Unix sockets, a process each; medians of {} rounds of {} s, in turn{}",
        plan.rounds,
        plan.length.as_secs(),
        super::busy(load)
            .map(|said| format!("; {said}"))
            .unwrap_or_default(),
    );
    Ok(Table {
        title: "Cache: against Redis, memcached and bare frames".into(),
        note,
        rows,
    })
}

/// Every cache under the same load.
fn speed(plan: &Plan, place: &Place) -> Result<Vec<Row>, BenchError> {
    let mut orders = Vec::new();
    for flight in [FLIGHT, 1] {
        for clients in [1, 2] {
            orders.extend([Work::Get, Work::Set].map(|work| Order {
                work,
                keys: KEYS,
                flight,
                clients,
            }));
        }
    }
    orders.retain(|order| plan.wants(&order.to_string()));
    if orders.is_empty() && !plan.wants(COPIES) {
        return Ok(Vec::new());
    }
    let peers = Kind::ALL
        .iter()
        .map(|kind| Peer::start(plan, place, *kind))
        .collect::<Result<Vec<_>, _>>()?;
    for peer in &peers {
        client::run(plan, peer, &Order::fill(KEYS))?;
    }
    let mut rows = Vec::new();
    for order in &orders {
        rows.extend(in_turn(plan, &peers, order)?);
    }
    if plan.wants(COPIES) {
        rows.extend(near(plan, &peers[0])?);
    }
    Ok(rows)
}

/// What a process holds itself, against a cache that is for a single process.
fn near(plan: &Plan, ours: &Peer) -> Result<Vec<Row>, BenchError> {
    let mut rows = Vec::new();
    for threads in [1, 2] {
        let (mut copies, mut moka) = (Vec::new(), Vec::new());
        for round in 1..=plan.rounds {
            let a = client::near(plan, "ours", ours, KEYS, threads)?;
            let b = client::near(plan, "moka", ours, KEYS, threads)?;
            println!("round {round}, near copy, {threads} threads: {a:.1}, moka {b:.1} ns");
            copies.push(a);
            moka.push(b);
        }
        let plural = if threads == 1 { "" } else { "s" };
        let work = format!("{COPIES}, {threads} thread{plural}: to moka");
        let bar = Some(NEAR);
        rows.push(Row::new(work, "ns", Better::Lower, bar, &copies, &moka));
    }
    Ok(rows)
}

/// One load: a row for each of the others.
fn in_turn(plan: &Plan, peers: &[Peer], order: &Order) -> Result<Vec<Row>, BenchError> {
    // A single question in flight waits for two wake-ups, and hardly for what is around them.
    let limit = |peer: &&Peer| order.flight > 1 || peer.kind() != Kind::Raw;
    let peers: Vec<&Peer> = peers.iter().filter(limit).collect();
    let mut found = vec![Vec::new(); peers.len()];
    for round in 1..=plan.rounds {
        let mut said = Vec::new();
        for (peer, figures) in peers.iter().zip(&mut found) {
            let figure = figure(order, &client::run(plan, peer, order)?);
            said.push(format!("{} {figure:.1}", peer.name()));
            figures.push(figure);
        }
        println!("round {round}, {order}: {}", said.join(", "));
    }
    let (unit, better) = if order.flight == 1 {
        ("µs", Better::Lower)
    } else {
        ("operations/s", Better::Higher)
    };
    let others = peers.iter().zip(&found).skip(1);
    let row = |(peer, figures): (&&Peer, &Vec<f64>)| {
        let work = format!("{order}: to {}", peer.title());
        let bar = bar(peer.kind(), order);
        Row::new(work, unit, better, bar, &found[0], figures)
    };
    Ok(others.map(row).collect())
}

/// The throughput of many callers, the median time of a single one.
fn figure(order: &Order, ran: &Ran) -> f64 {
    if order.flight == 1 { ran.p50 } else { ran.rate }
}

/// The ratio that is required.
fn bar(kind: Kind, order: &Order) -> Option<f64> {
    match (kind, order.flight, order.clients) {
        (Kind::Redis, 1, _) => Some(1.1),
        (Kind::Redis, _, 1) => Some(1.5),
        (Kind::Redis, _, _) => Some(1.0),
        (Kind::Raw, _, _) => Some(0.7),
        _ => None,
    }
}

/// A million entries: what they take, and what an operation costs among them.
fn large(plan: &Plan, place: &Place) -> Result<Vec<Row>, BenchError> {
    if !plan.wants(MILLION) {
        return Ok(Vec::new());
    }
    let ours = Peer::start(plan, place, Kind::Ours)?;
    let mut rows = Vec::new();
    client::run(plan, &ours, &Order::fill(MANY))?;
    {
        let redis = Peer::start(plan, place, Kind::Redis)?;
        client::run(plan, &redis, &Order::fill(MANY))?;
        let (a, b) = (memory::of(&ours)?, memory::of(&redis)?);
        println!("a million entries: {a:.1} and {b:.1} MiB");
        let work = format!("{MILLION}: memory, to Redis");
        let bar = Some(MEMORY);
        rows.push(Row::new(work, "MiB", Better::Lower, bar, &[a], &[b]));
    }
    client::run(plan, &ours, &Order::fill(FEW))?;
    for work in [Work::Get, Work::Set] {
        let order = |keys| Order {
            work,
            keys,
            flight: FLIGHT,
            clients: 1,
        };
        let (mut many, mut few) = (Vec::new(), Vec::new());
        for round in 1..=plan.rounds {
            // The time of an operation in µs.
            let a = 1e6 / client::run(plan, &ours, &order(MANY))?.rate;
            let b = 1e6 / client::run(plan, &ours, &order(FEW))?.rate;
            println!("round {round}, {work} among a million and a thousand: {a:.3} and {b:.3} µs");
            many.push(a);
            few.push(b);
        }
        let title = format!("{work} among {MILLION}, to a thousand");
        let bar = Some(GROWTH);
        rows.push(Row::new(title, "µs", Better::Lower, bar, &many, &few));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_load_has_its_bars() {
        let order = |flight, clients| Order {
            work: Work::Get,
            keys: KEYS,
            flight,
            clients,
        };
        assert_eq!(bar(Kind::Redis, &order(FLIGHT, 1)), Some(1.5));
        assert_eq!(bar(Kind::Redis, &order(FLIGHT, 2)), Some(1.0));
        assert_eq!(bar(Kind::Redis, &order(1, 2)), Some(1.1));
        assert_eq!(bar(Kind::Raw, &order(FLIGHT, 2)), Some(0.7));
        assert_eq!(bar(Kind::Memcached, &order(FLIGHT, 1)), None);
    }

    #[test]
    fn one_caller_is_timed_and_many_are_counted() {
        let ran = Ran {
            rate: 9.0,
            p50: 2.0,
        };
        let mut order = Order::fill(KEYS);
        assert_eq!(figure(&order, &ran), 9.0);
        order.flight = 1;
        assert_eq!(figure(&order, &ran), 2.0);
    }
}
