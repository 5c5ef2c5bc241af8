//! Replicas, a manager, its board and what is on its way between them, in any order of events: links break, managers die, and replicas look at
//! the board or do not.

use std::collections::VecDeque;

use cluster_core::sys::{Board, BoardReader, MOST_RECORD_BYTES};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::document::board;
use crate::document::keeper::Keeper;
use crate::document::ledger::Done;
use crate::document::tree::tests::{paths, values};
use crate::protocol::{DocumentTold, Sequenced, Told};
use crate::table::Millis;
use crate::value;

const REPLICAS: usize = 3;

/// What happens.
#[derive(Clone, Debug)]
enum Event {
    Write(usize, Change),
    /// The manager hears this many of a replica's changes.
    Hear(usize, usize),
    /// A replica takes this many changes at once.
    Take(usize, usize),
    /// A replica looks at the board.
    Look(usize),
    /// More than the board holds, and nothing that is a change.
    Flood,
    Cut(usize),
    /// The manager dies; what is in its file may be old. Those of these bits have had no last look.
    Kill(usize),
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
        6 => replica.clone().prop_map(Event::Look),
        1 => Just(Event::Flood),
        1 => replica.prop_map(Event::Cut),
        1 => (0usize..1 << REPLICAS).prop_map(Event::Kill),
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
    board: BoardReader,
}

fn read_board(board: &Board) -> BoardReader {
    BoardReader::open(std::process::id(), board.descriptor(), board.key()).unwrap()
}

/// As it is told, and as it stands on the board.
fn record(made: &Made) -> Vec<u8> {
    let path = made.done.path().map(ToString::to_string);
    let path = path.as_deref().unwrap_or_default();
    let bytes;
    let change = match &made.done {
        Done::Nothing => Sequenced::Nothing,
        Done::Delete { .. } => Sequenced::Delete { path },
        Done::Set {
            value, deadline, ..
        } => {
            bytes = value::encode(value).unwrap();
            Sequenced::Set {
                path,
                value: &bytes,
                deadline: *deadline,
            }
        }
    };
    let told = Told::Document(DocumentTold::Changed {
        sequence: made.sequence,
        origin: made.origin,
        number: made.number,
        change,
    });
    let mut out = Vec::new();
    told.write(&mut out).unwrap();
    out
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

    fn look(&mut self) {
        let news = board::read(self.board.take().iter(), self.replica.version());
        self.replica.confirm(&mut self.tree, news).unwrap();
    }

    /// As on a new link.
    fn join(&mut self, keeper: &Keeper, board: &Board) {
        self.board = read_board(board);
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
    board: Board,
    file: Keeper,
    processes: Vec<Process>,
    /// All changes in their order, as the naive model is to make them.
    order: Vec<Made>,
    /// How many of them each version of the document stands for.
    lengths: Vec<(Version, usize)>,
}

impl World {
    fn new() -> Self {
        let mut keeper = Keeper::default();
        keeper.begin(1);
        let board = Board::create().unwrap();
        let processes = (1..=REPLICAS as u64).map(|origin| {
            let mut process = Process {
                replica: Replica::new(origin),
                tree: Tree::default(),
                sent: 0,
                to_manager: VecDeque::new(),
                from_manager: VecDeque::new(),
                board: read_board(&board),
            };
            process.join(&keeper, &board);
            process
        });
        World {
            now: 0,
            processes: processes.collect(),
            file: keeper.clone(),
            lengths: vec![(keeper.version(), 0)],
            keeper,
            board,
            order: Vec::new(),
        }
    }

    fn tell(&mut self, made: Option<Made>) {
        let Some(made) = made else { return };
        self.board.publish(&record(&made));
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
        self.board = Board::create().unwrap();
        self.lengths.push((self.keeper.version(), self.order.len()));
        for process in &mut self.processes {
            if process.replica.version() == version {
                process.replica.is_at(self.keeper.version());
            }
            process.join(&self.keeper, &self.board);
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
            Event::Look(replica) => self.processes[replica].look(),
            Event::Flood => {
                for _ in 0..5 {
                    self.board.publish(&[0; MOST_RECORD_BYTES]);
                }
            }
            Event::Cut(replica) => {
                let process = &mut self.processes[replica];
                process.look();
                process.join(&self.keeper, &self.board);
            }
            Event::Kill(blind) => {
                for (n, process) in self.processes.iter_mut().enumerate() {
                    if blind & 1 << n == 0 {
                        process.look();
                    }
                }
                self.kill();
            }
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
            made.done.clone().apply(&mut model).unwrap();
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

fn nothing(sequence: u64) -> Made {
    Made {
        sequence,
        origin: 2,
        number: sequence,
        done: Done::Nothing,
    }
}

#[test]
fn a_gap_is_noticed_and_what_is_known_is_passed_over() {
    let (mut replica, mut tree) = (Replica::new(1), Tree::default());
    let mut confirm = |all: &[u64]| {
        let all = all.iter().map(|sequence| nothing(*sequence));
        replica.confirm(&mut tree, all)
    };
    assert_eq!(confirm(&[1, 2]), Ok(vec![]));
    assert_eq!(confirm(&[1, 2, 3]), Ok(vec![]));
    assert_eq!(confirm(&[5]), Err(Torn));
    assert_eq!(replica.version().sequence, 3);
}

#[test]
fn of_a_board_counts_what_goes_on_from_what_is_known() {
    let records = |all: &[u64]| -> Vec<Vec<u8>> {
        all.iter()
            .map(|sequence| record(&nothing(*sequence)))
            .collect()
    };
    let read = |records: &[Vec<u8>]| -> Vec<u64> {
        let version = Version {
            epoch: 1,
            sequence: 2,
        };
        let news = board::read(records.iter().map(|record| &record[..]), version);
        news.iter().map(|made| made.sequence).collect()
    };
    assert_eq!(read(&records(&[1, 2, 3, 4, 6])), [3, 4]);
    assert!(read(&records(&[4, 5])).is_empty());
    let mut torn = records(&[3, 4, 5]);
    torn[1].pop();
    assert_eq!(read(&torn), [3]);
    let mut other = Vec::new();
    let destroyed = Told::Document(DocumentTold::Destroyed);
    destroyed.write(&mut other).unwrap();
    assert!(read(&[other, torn.swap_remove(0)]).is_empty());
}
