//! Replicas, a manager and what is on its way between them, in any order of events: links break, managers die.

use std::collections::VecDeque;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::document::keeper::Keeper;
use crate::document::tree::tests::{paths, values};

const REPLICAS: usize = 3;

/// What happens.
#[derive(Clone, Debug)]
enum Event {
    Write(usize, Change),
    /// The manager hears this many of a replica's changes.
    Hear(usize, usize),
    /// A replica takes this many changes at once.
    Take(usize, usize),
    Cut(usize),
    /// The manager dies; what is in its file may be old.
    Kill,
    WriteFile,
    Expire,
}

fn events() -> impl Strategy<Value = Event> {
    let replica = 0..REPLICAS;
    let what = prop_oneof![
        3 => (values(), prop::option::weighted(0.3, 0u64..5)).prop_map(|(value, ttl_ms)| What::Set { value, ttl_ms }),
        1 => Just(What::Delete),
    ];
    let change = (paths(), what).prop_map(|(path, what)| Change { path, what });
    prop_oneof![
        8 => (replica.clone(), change).prop_map(|(replica, change)| Event::Write(replica, change)),
        6 => (replica.clone(), 1usize..4).prop_map(|(replica, n)| Event::Hear(replica, n)),
        6 => (replica.clone(), 1usize..6).prop_map(|(replica, n)| Event::Take(replica, n)),
        1 => replica.prop_map(Event::Cut),
        1 => Just(Event::Kill),
        1 => Just(Event::WriteFile),
        2 => Just(Event::Expire),
    ]
}

struct Process {
    replica: Replica,
    tree: Tree,
    /// The last of its changes that has set out.
    sent: u64,
    to_manager: VecDeque<(u64, Change)>,
    from_manager: VecDeque<Made>,
}

impl Process {
    fn send(&mut self) {
        let unsent: Vec<_> = self.replica.pending_after(self.sent).collect();
        let unsent: Vec<_> = unsent.into_iter().map(|(n, c)| (n, c.clone())).collect();
        for (number, change) in unsent {
            assert_eq!(number, self.sent + 1);
            self.sent = number;
            self.to_manager.push_back((number, change));
        }
    }

    /// As on a new link.
    fn join(&mut self, keeper: &Keeper) {
        self.to_manager.clear();
        self.from_manager.clear();
        if self.replica.version() != keeper.version() {
            let (tree, ledger) = (keeper.tree.clone(), keeper.ledger.clone());
            self.replica.adopt(&mut self.tree, tree, ledger);
        }
        self.sent = keeper.ledger.origins.last(self.replica.origin());
        self.send();
    }

    fn take(&mut self, most: usize) {
        let n = most.min(self.from_manager.len());
        let made: Vec<_> = self.from_manager.drain(..n).collect();
        self.replica.confirm(&mut self.tree, made).unwrap();
    }
}

struct World {
    now: Millis,
    keeper: Keeper,
    file: Keeper,
    processes: Vec<Process>,
    /// All changes in their order, as the naive model is to make them.
    order: Vec<Made>,
    /// How many of them each version of the document stands for.
    lengths: Vec<(Version, usize)>,
}

use crate::table::Millis;

impl World {
    fn new() -> Self {
        let mut keeper = Keeper::default();
        keeper.begin(1);
        let processes = (1..=REPLICAS as u64).map(|origin| {
            let mut process = Process {
                replica: Replica::new(origin),
                tree: Tree::default(),
                sent: 0,
                to_manager: VecDeque::new(),
                from_manager: VecDeque::new(),
            };
            process.join(&keeper);
            process
        });
        World {
            now: 0,
            processes: processes.collect(),
            file: keeper.clone(),
            lengths: vec![(keeper.version(), 0)],
            keeper,
            order: Vec::new(),
        }
    }

    fn tell(&mut self, made: Option<Made>) {
        let Some(made) = made else { return };
        for process in &mut self.processes {
            process.from_manager.push_back(made.clone());
        }
        self.order.push(made);
        let at = (self.keeper.version(), self.order.len());
        self.lengths.push(at);
    }

    fn hear(&mut self, replica: usize, most: usize) {
        for _ in 0..most {
            let Some((number, change)) = self.processes[replica].to_manager.pop_front() else {
                return;
            };
            let origin = self.processes[replica].replica.origin();
            let made = self.keeper.make(origin, number, Some(change), self.now);
            self.tell(made);
        }
    }

    /// The next manager takes over what the one knows that knows most.
    fn kill(&mut self) {
        let mut best = self.file.clone();
        for process in &mut self.processes {
            if process.replica.version() > best.version() {
                let (root, ledger) = process.replica.confirmed(&mut process.tree);
                best = Keeper {
                    tree: Tree::of(root),
                    ledger: ledger.clone(),
                };
            }
        }
        let version = best.version();
        let kept = self.lengths.iter().find(|(at, _)| *at == version);
        self.order.truncate(kept.unwrap().1);
        let epoch = self.keeper.version().epoch + 1;
        best.begin(epoch);
        self.keeper = best;
        self.lengths.push((self.keeper.version(), self.order.len()));
        for process in &mut self.processes {
            if process.replica.version() == version {
                process.replica.is_at(self.keeper.version());
            }
            process.join(&self.keeper);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Write(replica, change) => {
                let Process { replica, tree, .. } = &mut self.processes[replica];
                let at = change.path.clone();
                let what = change.what.clone();
                if replica.write(tree, change).is_ok() {
                    // What this process has written it sees at once.
                    match what {
                        What::Set { value, .. } => assert_eq!(tree.get(&at), Some(&value)),
                        What::Delete => assert!(tree.get(&at).is_none_or(|left| {
                            left.is_null() || (at.len() == 0 && *left == json!({}))
                        })),
                    }
                }
                let written = &mut self.processes.iter_mut();
                written.for_each(Process::send);
            }
            Event::Hear(replica, most) => self.hear(replica, most),
            Event::Take(replica, most) => self.processes[replica].take(most),
            Event::Cut(replica) => {
                let keeper = &self.keeper;
                self.processes[replica].join(keeper);
            }
            Event::Kill => self.kill(),
            Event::WriteFile => self.file = self.keeper.clone(),
            Event::Expire => {
                self.now += 1;
                let made = self.keeper.expire(self.now);
                self.tell(made);
            }
        }
    }

    /// All that is on its way arrives.
    fn settle(&mut self) {
        for replica in 0..REPLICAS {
            self.hear(replica, usize::MAX);
        }
        for process in &mut self.processes {
            process.take(usize::MAX);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn replicas_agree_whatever_happens(events in prop::collection::vec(events(), 0..80)) {
        let mut world = World::new();
        let mut written = [0; REPLICAS];
        for event in events {
            world.happen(event);
            for (replica, process) in world.processes.iter().enumerate() {
                written[replica] = process.replica.last;
            }
        }
        world.settle();
        // The naive model: all changes in their order, each on the whole document.
        let mut model = Tree::default();
        for made in &world.order {
            made.done.apply(&mut model).unwrap();
        }
        prop_assert_eq!(world.keeper.root(), model.root());
        for (replica, process) in world.processes.iter().enumerate() {
            prop_assert_eq!(&process.tree, &world.keeper.tree);
            prop_assert!(process.replica.pending.is_empty());
            prop_assert_eq!(process.replica.bytes, 0);
            prop_assert_eq!(&process.replica.ledger, &world.keeper.ledger);
            // Each change of each process was made once, in its own order.
            let origin = process.replica.origin();
            let own = world.order.iter().filter(|made| made.origin == origin);
            let numbers: Vec<_> = own.map(|made| made.number).collect();
            let all: Vec<_> = (1..=written[replica]).collect();
            prop_assert_eq!(numbers, all);
        }
    }
}

#[test]
fn what_changes_nothing_is_not_sent() {
    let (mut replica, mut tree) = (Replica::new(1), Tree::default());
    let path = |text| Path::read(text).unwrap();
    let set = |at, value, ttl_ms| Change {
        path: path(at),
        what: What::Set { value, ttl_ms },
    };
    let delete = |at| Change {
        path: path(at),
        what: What::Delete,
    };
    assert_eq!(replica.write(&mut tree, delete("a")), Ok(None));
    assert_eq!(
        replica.write(&mut tree, set("a.b", json!(1), None)),
        Ok(Some(1))
    );
    assert_eq!(
        replica.write(&mut tree, set("a.b", json!(1), None)),
        Ok(None)
    );
    // A time is a change, and so is that there is none any more.
    assert_eq!(
        replica.write(&mut tree, set("a.b", json!(1), Some(9))),
        Ok(Some(2))
    );
    assert_eq!(
        replica.write(&mut tree, set("a", json!({"b": 1}), None)),
        Ok(Some(3))
    );
    assert_eq!(replica.write(&mut tree, delete("a.b")), Ok(Some(4)));
}

#[test]
fn what_waits_is_bounded() {
    let (mut replica, mut tree) = (Replica::new(1), Tree::default());
    let change = |value| Change {
        path: Path::read("a").unwrap(),
        what: What::Set {
            value,
            ttl_ms: None,
        },
    };
    for n in 0..MOST_PENDING {
        replica.write(&mut tree, change(json!(n))).unwrap();
    }
    let before = tree.clone();
    let full = replica.write(&mut tree, change(json!("x")));
    assert_eq!((full, &tree), (Err(Unwritten::Backlogged), &before));
    let (mut replica, mut tree) = (Replica::new(1), Tree::default());
    for n in 0.. {
        let large = format!("{n}{}", "x".repeat(1 << 20));
        match replica.write(&mut tree, change(json!(large))) {
            Ok(_) => assert!(n < 8),
            Err(e) => {
                assert_eq!((e, n), (Unwritten::Backlogged, 7));
                break;
            }
        }
    }
}

#[test]
fn a_gap_is_noticed() {
    let (mut replica, mut tree) = (Replica::new(1), Tree::default());
    let made = |sequence| Made {
        sequence,
        origin: 2,
        number: sequence,
        done: crate::document::ledger::Done::Nothing,
    };
    assert_eq!(replica.confirm(&mut tree, [made(1), made(2)]), Ok(vec![]));
    assert_eq!(replica.confirm(&mut tree, [made(4)]), Err(Torn));
}
