use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn put(value: &[u8], expires: Option<Millis>) -> Put<'_> {
    Put {
        value,
        expires,
        persist: false,
        version: 0,
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8, Option<u8>),
    Remove(u8),
    Read(u8),
    Wait(u8),
    Evict(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0u8..12;
    prop::collection::vec(
        prop_oneof![
            4 => (key.clone(), any::<u8>(), prop::option::of(1u8..20)).prop_map(|(k, v, e)| Step::Put(k, v, e)),
            1 => key.clone().prop_map(Step::Remove),
            2 => key.clone().prop_map(Step::Read),
            2 => (0u8..8).prop_map(Step::Wait),
            1 => key.prop_map(Step::Evict),
        ],
        0..200,
    )
}

proptest! {
    /// Against a map of which every entry is looked at all the time.
    #[test]
    fn it_is_a_map_whose_entries_end(steps in steps()) {
        let (mut table, mut model, mut now) = (Table::new(), BTreeMap::<String, (Vec<u8>, Option<u64>)>::new(), 0u64);
        for step in steps {
            match step {
                Step::Put(k, v, expires) => {
                    let (key, value) = (format!("k{k}"), vec![v; usize::from(v % 7)]);
                    let at = expires.map(|e| now + u64::from(e));
                    table.put(&key, &put(&value, at));
                    model.insert(key, (value, at));
                }
                Step::Remove(k) => {
                    let key = format!("k{k}");
                    let removed = table.remove(&key).map(|e| e.value().to_vec());
                    prop_assert_eq!(removed, model.remove(&key).map(|(v, _)| v));
                }
                Step::Read(k) => {
                    let key = format!("k{k}");
                    let read = table.read(&key, now).map(|e| e.value().to_vec());
                    prop_assert_eq!(read, model.get(&key).map(|(v, _)| v.clone()));
                }
                Step::Wait(ms) => {
                    now += u64::from(ms);
                    let next = model.values().filter_map(|(_, at)| *at).min();
                    prop_assert!(table.next_expiry() <= next || next.is_none());
                    let mut ended = Vec::new();
                    while let Some(entry) = table.next_over(now) {
                        ended.push(entry.key().to_owned());
                    }
                    ended.sort();
                    let due: Vec<_> = model.iter().filter(|(_, (_, at))| at.is_some_and(|at| at <= now)).map(|(k, _)| k.clone()).collect();
                    prop_assert_eq!(&ended, &due);
                    model.retain(|key, _| !due.contains(key));
                }
                Step::Evict(k) => {
                    let but = format!("k{k}");
                    match table.evict(&but) {
                        Some(entry) => {
                            prop_assert_ne!(entry.key(), &*but);
                            prop_assert!(model.remove(entry.key()).is_some());
                        }
                        None => prop_assert!(model.keys().all(|key| *key == but)),
                    }
                }
            }
            prop_assert_eq!(table.len(), model.len());
            let bytes: usize = model.iter().map(|(k, (v, _))| k.len() + v.len() + OVERHEAD).sum();
            prop_assert_eq!(table.bytes(), bytes);
            let (mut listed, mut from) = (Vec::new(), Some(0));
            while let Some(place) = from {
                let (keys, next) = table.keys(place, 3, 1024, now);
                listed.extend(keys.into_iter().map(str::to_owned));
                from = next;
            }
            listed.sort();
            prop_assert_eq!(listed, model.keys().cloned().collect::<Vec<_>>());
        }
    }
}

#[test]
fn what_is_read_outlives_what_is_not() {
    let mut table = Table::new();
    for n in 0..1000 {
        table.put(&n.to_string(), &put(b"x", None));
    }
    for n in 1000..3000 {
        // A hundred keys are read all the time; the others never again.
        for hot in 0..100 {
            assert!(table.read(&hot.to_string(), 0).is_some(), "{hot} at {n}");
        }
        table.put(&n.to_string(), &put(b"x", None));
        assert!(table.evict(&n.to_string()).is_some());
    }
    assert_eq!(table.len(), 1000);
}

#[test]
fn times_that_no_entry_has_do_not_pile_up() {
    let mut table = Table::new();
    for n in 0..100_000 {
        table.put("one", &put(b"x", Some(1_000_000 + n)));
    }
    assert!(table.expiries.len() < 5000, "{}", table.expiries.len());
    assert!(table.next_over(1_000_000 + 99_998).is_none());
    assert!(table.next_over(1_000_000 + 99_999).is_some());
}

/// Sends up to so many places from a place on, as the manager does; gives back where to go on.
fn send(table: &mut Table, heir: &mut Table, from: usize, most: usize) -> usize {
    let mut from = from;
    for _ in 0..most {
        match table.next_unsent(from) {
            None => return 0,
            Some(Sent::Cleared) => {
                heir.clear();
                from = 0;
            }
            Some(Sent::Vacant(place)) => {
                heir.vacate(place);
                from = place + 1;
            }
            Some(Sent::Entry(place, entry)) => {
                let put = Put {
                    value: entry.value(),
                    expires: entry.expires(),
                    persist: entry.persist,
                    version: entry.version(),
                };
                heir.fill(place, entry.key(), &put, entry.read);
                from = place + 1;
            }
        }
    }
    from
}

proptest! {
    /// Whatever changes while it is sent: a successor has the same entries at the same places in the end.
    #[test]
    fn a_successor_has_all_of_it(
        before in steps(),
        meanwhile in prop::collection::vec((steps(), 0usize..20, prop::bool::weighted(0.1)), 0..10),
    ) {
        let (mut table, mut heir, mut now, mut version) = (Table::new(), Table::new(), 0u64, 0);
        let mut carry_out = |table: &mut Table, steps: Vec<Step>| {
            for step in steps {
                version += 1;
                match step {
                    Step::Put(k, v, expires) => {
                        let expires = expires.map(|e| now + u64::from(e));
                        let value = vec![v; usize::from(v % 7)];
                        let put = Put { version, ..put(&value, expires) };
                        table.put(&format!("k{k}"), &put);
                    }
                    Step::Remove(k) => drop(table.remove(&format!("k{k}"))),
                    Step::Read(k) => drop(table.read(&format!("k{k}"), now).is_some()),
                    Step::Wait(ms) => {
                        now += u64::from(ms);
                        while table.next_over(now).is_some() {}
                    }
                    Step::Evict(k) => drop(table.evict(&format!("k{k}"))),
                }
            }
        };
        carry_out(&mut table, before);
        table.begin_sending();
        let mut from = 0;
        for (steps, most, clears) in meanwhile {
            carry_out(&mut table, steps);
            if clears {
                table.clear();
            }
            from = send(&mut table, &mut heir, from, most);
        }
        while table.unsent() > 0 || from > 0 {
            from = send(&mut table, &mut heir, from, 100);
        }
        send(&mut table, &mut heir, 0, 1);
        prop_assert_eq!((table.len(), table.bytes()), (heir.len(), heir.bytes()));
        for place in 0..table.entries.end() {
            let same = |entry: &Entry| {
                let mut same = entry.clone();
                same.read = false;
                same
            };
            let (here, there) = (table.at(place).0.map(same), heir.at(place).0.map(same));
            prop_assert_eq!(&here, &there);
            if let Some(entry) = here {
                prop_assert_eq!(heir.entry(entry.key()).map(same), Some(entry));
            }
        }
        prop_assert_eq!(heir.index.len(), heir.len());
        // Both go on alike.
        let ends = |table: &mut Table| std::iter::from_fn(|| table.next_over(u64::MAX)).count();
        prop_assert_eq!(ends(&mut table), ends(&mut heir));
        for n in 0..20 {
            heir.put(&format!("new {n}"), &put(b"x", None));
        }
        prop_assert_eq!(heir.keys(0, 100, 10_000, now).0.len(), heir.len());
    }
}
