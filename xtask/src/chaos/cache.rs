//! Writers, each of keys of its own, with values that only rise; readers, who must never see less than was acknowledged or seen before.
//!
//! After a write of which it is not known whether it was done, its key is left alone: it may yet be done, as the cache's documentation says,
//! and would then pass a later one.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fastrand::Rng;

use super::clock::{Ms, now};
use super::http::Request;
use super::load::{Answered, Client, Load};

/// So many writes a key has, and then another one has its turn: what was written last must be there in the end.
const WRITES: u64 = 16;

/// What is known of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Known {
    /// A read that begins now must bring this or more: it was acknowledged, or read.
    floor: u64,
    /// What was tried: nothing can be above it.
    ceiling: u64,
}

/// A value that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Astray {
    pub(crate) at: Ms,
    pub(crate) key: String,
    /// What was found; 0 where there was nothing.
    pub(crate) value: u64,
    pub(crate) floor: u64,
    pub(crate) ceiling: u64,
}

/// The cache could not be asked, and a worker said so.
#[derive(Clone, Debug)]
pub(crate) struct Unavailable {
    pub(crate) began: Ms,
    pub(crate) ended: Ms,
    pub(crate) served_by: Option<u32>,
    pub(crate) why: String,
}

/// What writers and readers know together.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<Pinned>);

#[derive(Debug, Default)]
struct Pinned {
    keys: BTreeMap<String, Known>,
    names: Vec<String>,
    acknowledged: u64,
    read: u64,
    astray: Vec<Astray>,
    unavailable: Vec<Unavailable>,
}

/// What came of it all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) acknowledged: u64,
    pub(crate) read: u64,
    pub(crate) keys: usize,
    pub(crate) astray: Vec<Astray>,
    pub(crate) unavailable: Vec<Unavailable>,
}

impl Board {
    fn pinned(&self) -> MutexGuard<'_, Pinned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn will_write(&self, key: &str, value: u64) {
        let mut pinned = self.pinned();
        if !pinned.keys.contains_key(key) {
            pinned.names.push(key.to_owned());
        }
        pinned.keys.entry(key.to_owned()).or_default().ceiling = value;
    }

    fn wrote(&self, key: &str, value: u64) {
        let mut pinned = self.pinned();
        pinned.acknowledged += 1;
        if let Some(known) = pinned.keys.get_mut(key) {
            known.floor = known.floor.max(value);
        }
    }

    /// What a read that begins now must bring at least.
    fn floor(&self, key: &str) -> u64 {
        self.pinned().keys.get(key).map_or(0, |known| known.floor)
    }

    /// A read brought this; `floor` was asked for when it began.
    fn read(&self, key: &str, value: u64, floor: u64) {
        let mut pinned = self.pinned();
        pinned.read += 1;
        let Some(known) = pinned.keys.get_mut(key) else {
            return;
        };
        let ceiling = known.ceiling;
        if (floor..=ceiling).contains(&value) {
            known.floor = known.floor.max(value);
            return;
        }
        // Once is enough: from here on what was found counts.
        *known = Known {
            floor: value,
            ceiling: ceiling.max(value),
        };
        pinned.astray.push(Astray {
            at: now(),
            key: key.to_owned(),
            value,
            floor,
            ceiling,
        });
    }

    fn was_unavailable(&self, answered: &Answered) {
        self.pinned().unavailable.push(Unavailable {
            began: answered.began,
            ended: now(),
            served_by: answered.reply.served_by,
            why: answered.reply.text(),
        });
    }

    fn any_key(&self, rng: &mut Rng) -> Option<String> {
        let pinned = self.pinned();
        let last = pinned.names.len().checked_sub(1)?;
        // Half of the reads go to what is being written now.
        let from = if rng.bool() {
            0
        } else {
            last.saturating_sub(4)
        };
        pinned.names.get(rng.usize(from..=last)).cloned()
    }

    /// What came of it.
    pub(crate) fn kept(&self) -> Kept {
        let pinned = self.pinned();
        Kept {
            acknowledged: pinned.acknowledged,
            read: pinned.read,
            keys: pinned.keys.len(),
            astray: pinned.astray.clone(),
            unavailable: pinned.unavailable.clone(),
        }
    }
}

/// Writes until the load is over.
pub(crate) fn write(load: &Load, board: &Board, writer: usize, keeps: bool) {
    let mut client = Client::new(load, keeps);
    let mut number = 0;
    while !load.is_over() {
        number += 1;
        let key = format!("writer-{writer}-{number}");
        for value in 1..=WRITES {
            if load.is_over() {
                break;
            }
            board.will_write(&key, value);
            let path = format!("/set?key={key}&value={value}");
            let Some(answered) = client.ask(Request::post(&path, &[])) else {
                break;
            };
            match answered.reply.status {
                200 if answered.reply.text() == value.to_string() => board.wrote(&key, value),
                503 => {
                    board.was_unavailable(&answered);
                    break;
                }
                _ => {
                    client.refuse(&path, &answered);
                    break;
                }
            }
            client.rest();
        }
        client.rest();
    }
}

/// Reads until the load is over.
pub(crate) fn read(load: &Load, board: &Board, keeps: bool, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let mut client = Client::new(load, keeps);
    while !load.is_over() {
        if let Some(key) = board.any_key(&mut rng) {
            read_one(&mut client, board, &key);
        }
        client.rest();
    }
}

/// Reads every key once more, each again and again until there is an answer to it; says how many got none.
pub(crate) fn read_all(load: &Load, board: &Board) -> usize {
    const ATTEMPTS: usize = 5;
    let names = board.pinned().names.clone();
    let mut client = Client::new(load, true);
    let mut unanswered = 0;
    for key in &names {
        let answered = (0..ATTEMPTS).any(|_| read_one(&mut client, board, key));
        unanswered += usize::from(!answered);
    }
    unanswered
}

/// Whether the cache has answered.
fn read_one(client: &mut Client<'_>, board: &Board, key: &str) -> bool {
    let floor = board.floor(key);
    let path = format!("/get?key={key}");
    let Some(answered) = client.ask(Request::get(&path)) else {
        return false;
    };
    match answered.reply.status {
        404 => board.read(key, 0, floor),
        503 => {
            board.was_unavailable(&answered);
            return false;
        }
        200 => match answered.reply.text().parse() {
            Ok(value) => board.read(key, value, floor),
            Err(_) => client.refuse(&path, &answered),
        },
        _ => client.refuse(&path, &answered),
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn astray(board: &Board) -> Vec<(u64, u64, u64)> {
        let astray = board.kept().astray;
        astray
            .iter()
            .map(|astray| (astray.value, astray.floor, astray.ceiling))
            .collect()
    }

    #[test]
    fn what_was_acknowledged_must_be_there() {
        let board = Board::default();
        board.will_write("a", 1);
        board.read("a", 0, board.floor("a"));
        board.wrote("a", 1);
        board.will_write("a", 2);
        // Whether the second was done is not known.
        board.read("a", 1, board.floor("a"));
        assert_eq!(astray(&board), []);
        board.read("a", 0, board.floor("a"));
        assert_eq!(astray(&board), [(0, 1, 2)]);
    }

    #[test]
    fn what_was_read_must_not_go_away_again() {
        let board = Board::default();
        board.will_write("a", 1);
        let (early, late) = (board.floor("a"), {
            board.read("a", 1, 0);
            board.floor("a")
        });
        board.read("a", 0, early);
        assert_eq!(astray(&board), [], "this read had begun before");
        board.read("a", 0, late);
        board.read("a", 2, board.floor("a"));
        assert_eq!(astray(&board), [(0, 1, 1), (2, 0, 1)]);
    }
}
