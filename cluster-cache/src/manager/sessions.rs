//! The session stores that the manager owns. Those in memory and those that are embedded are namespaces of its own table, which only
//! they change; of the others each has its thread, which answers who has asked by itself.

mod entries;
mod figures;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use cluster_core::{Cluster, WorkerId};
use hashbrown::HashMap;
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::CacheManager;
use super::space::Space;
use super::spaces::Tie;
use super::turn::Asker;
use crate::limits::MOST_VALUE_BYTES;
use crate::protocol::{
    Answer, SessionAnswer, SessionAsk, SessionOp, SessionRefusal, SpaceOptions, Told,
};
use crate::sessions::{Bounds, Keeper, Kind, Opened, SessionError, SessionStore};
use crate::table::Millis;

pub(crate) use figures::StoreFigures;

/// What the namespaces of session stores are called.
const PREFIX: &str = "sessions:";

/// How long those who let workers reach a store have to tell a new owner.
const SETTLING: Duration = Duration::from_millis(1000);

/// The stores.
pub(crate) struct Stores {
    by_name: HashMap<Box<str>, Store>,
    /// The cluster that says which of its workers has connected; without one there are no workers.
    cluster: Option<Cluster>,
    begun: Instant,
}

struct Store {
    kind: &'static str,
    bounds: Bounds,
    /// How many values were refused for want of room, and whether the last one was.
    refused: u64,
    is_full: bool,
    /// The workers that reach it, where not every worker does.
    workers: Option<HashSet<u32>>,
    keeps: Keeps,
}

enum Keeps {
    /// In a namespace of this name.
    Space {
        name: Box<str>,
        options: SpaceOptions,
        /// Nothing, until it is settled.
        tie: Tie,
    },
    Thread(Keeper),
}

impl Stores {
    /// Has each of them run.
    pub(crate) fn start(
        opened: Vec<Opened>,
        cluster: Option<Cluster>,
    ) -> Result<Self, SessionError> {
        let one = |opened: Opened| {
            let Opened {
                name,
                store,
                backend,
            } = opened;
            let bounds = store.bounds();
            let keeps = match backend {
                None => Keeps::of_table(&name, &store),
                Some(backend) => {
                    let keeper = Keeper::start(&name, bounds, backend);
                    Keeps::Thread(keeper.map_err(|e| SessionError::no_thread(&name, e))?)
                }
            };
            info!(store = %name, kind = store.kind_name(), "a session store is open");
            let store = Store {
                kind: store.kind_name(),
                bounds,
                refused: 0,
                is_full: false,
                workers: (!store.add_on_fork).then(HashSet::new),
                keeps,
            };
            Ok::<_, SessionError>((name.into(), store))
        };
        Ok(Stores {
            by_name: opened.into_iter().map(one).collect::<Result<_, _>>()?,
            cluster,
            begun: Instant::now(),
        })
    }

    fn keepers(&self) -> impl Iterator<Item = &Keeper> {
        self.by_name
            .values()
            .filter_map(|store| match &store.keeps {
                Keeps::Thread(keeper) => Some(keeper),
                Keeps::Space { .. } => None,
            })
    }

    /// Nothing more is asked of them. Each is told, or dropped, when a store has done what it was asked, and has ended.
    pub(super) fn end(&mut self) -> Vec<oneshot::Receiver<()>> {
        let stores = self.by_name.drain();
        let ending = stores.filter_map(|(_, store)| match store.keeps {
            Keeps::Thread(keeper) => Some(keeper.end()),
            Keeps::Space { .. } => None,
        });
        ending.collect()
    }

    /// Nothing more is begun from now on. Each is told, or dropped, when what a store is just doing is done.
    pub(super) fn hold(&self) -> Vec<oneshot::Receiver<()>> {
        self.keepers().map(Keeper::hold).collect()
    }

    /// There is no successor after all.
    pub(super) fn resume(&self) {
        self.keepers().for_each(Keeper::resume);
    }

    /// A successor has them.
    pub(super) fn leave(&self) {
        self.keepers().for_each(Keeper::leave);
    }
}

impl Store {
    /// Carries out what is asked about workers, if anything is.
    fn change_workers(&mut self, op: &SessionOp<'_>) -> Option<bool> {
        let workers = self.workers.as_mut();
        match *op {
            SessionOp::AddWorker { worker } => {
                Some(workers.is_none_or(|workers| workers.insert(worker)))
            }
            SessionOp::RemoveWorker { worker } => {
                Some(workers.is_some_and(|workers| workers.remove(&worker)))
            }
            _ => None,
        }
    }
}

impl Keeps {
    fn of_table(name: &str, store: &SessionStore) -> Self {
        Keeps::Space {
            name: format!("{PREFIX}{name}").into(),
            tie: Tie::default(),
            options: SpaceOptions {
                persist: matches!(store.kind, Kind::Embedded),
                max_bytes: store.max_bytes.map(|bytes| bytes as u64),
                max_value_bytes: MOST_VALUE_BYTES as u64,
                ..SpaceOptions::default()
            },
        }
    }
}

impl CacheManager {
    /// Takes their namespaces, restored or new, for those of the stores.
    pub(super) fn settle_stores(&mut self) {
        let names: Vec<_> = self.stores.by_name.keys().cloned().collect();
        for name in names {
            self.settle_store(&name);
        }
    }

    /// Takes its namespace, made where there is none, for that of a store; nothing where it has none.
    fn settle_store(&mut self, name: &str) -> Option<usize> {
        let store = self.stores.by_name.get(name)?;
        let Keeps::Space { name, options, .. } = &store.keeps else {
            return None;
        };
        let (name, options) = (name.clone(), options.clone());
        let place = match self.spaces.named(&name) {
            Some(place) => place,
            None => {
                let mut space = Space::new(&name, options.clone(), 0);
                space.version = self.next();
                if self.handing.is_some() {
                    space.table.begin_sending();
                }
                self.spaces.insert(space)
            }
        };
        let space = &mut self.spaces[place];
        space.of_sessions = true;
        if space.options != options {
            if let Err(e) = self.kept.write_options(space, &options) {
                warn!(namespace = %name, error = %e, "how a session store is to be could not be kept");
            }
            space.options = options;
        }
        let settled = self.spaces.tie(place);
        let of_store = name.strip_prefix(PREFIX).unwrap_or_default();
        if let Some(store) = self.stores.by_name.get_mut(of_store)
            && let Keeps::Space { tie, .. } = &mut store.keeps
        {
            *tie = settled;
        }
        Some(place)
    }

    /// What the stores take of the bytes that all namespaces may take.
    pub(super) fn bytes_of_sessions(&self) -> usize {
        let stores = self.stores.by_name.values();
        let places = stores.filter_map(|store| match store.keeps {
            Keeps::Space { tie, .. } => self.spaces.tied(tie),
            Keeps::Thread(_) => None,
        });
        places.map(|place| self.spaces[place].table.bytes()).sum()
    }

    /// Hears a question to a store. What the store's thread is to answer it answers by itself.
    pub(super) fn hear_of_session(&mut self, asker: Asker, ask: &SessionAsk<'_>, now: Millis) {
        if let Err(refusal) = self.ask_store(asker, ask, now) {
            let answer = Answer::Session(SessionAnswer::Refused(refusal));
            self.links.answer(asker.link, asker.number, answer);
        }
    }

    fn ask_store(
        &mut self,
        asker: Asker,
        ask: &SessionAsk<'_>,
        now: Millis,
    ) -> Result<(), SessionRefusal> {
        self.admit(asker, ask)?;
        let store = self.stores.by_name.get_mut(ask.store);
        let store = store.ok_or(SessionRefusal::NoStore)?;
        if let Some(done) = store.change_workers(&ask.op) {
            let answer = Answer::Session(SessionAnswer::Done(done));
            self.links.answer(asker.link, asker.number, answer);
            return Ok(());
        }
        store.bounds.check(&ask.op)?;
        let tie = match &store.keeps {
            Keeps::Thread(keeper) => {
                let Some(sender) = self.links.sender(asker.link) else {
                    return Ok(());
                };
                let number = asker.number;
                let answered = Box::new(move |outcome: Result<_, SessionRefusal>| {
                    let answer = match &outcome {
                        Ok(outcome) => crate::sessions::Outcome::answer(outcome),
                        Err(refusal) => SessionAnswer::Refused(refusal.clone()),
                    };
                    let told = Told::Answer {
                        number,
                        as_of: 0,
                        answer: Answer::Session(answer),
                    };
                    // One that does not take its answers has no connection any more: it connects and asks again.
                    if sender.send_written(|out| told.write(out)).is_err() {
                        sender.close();
                    }
                });
                return keeper.ask(&ask.op, answered);
            }
            Keeps::Space { tie, .. } => *tie,
        };
        let bounds = store.bounds;
        let space = self.spaces.tied(tie);
        let space = space.or_else(|| self.settle_store(ask.store));
        let space = space.ok_or(SessionRefusal::NoStore)?;
        self.act_on_session(asker, space, (ask, bounds), now)?;
        self.spaces.note_end(space);
        Ok(())
    }

    /// Lets the question of a worker pass only where the store is for that worker; and none about which workers those are.
    fn admit(&self, asker: Asker, ask: &SessionAsk<'_>) -> Result<(), SessionRefusal> {
        let store = self.stores.by_name.get(ask.store);
        let store = store.ok_or(SessionRefusal::NoStore)?;
        let is_of_workers = ask.op.is_of_workers();
        if store.workers.is_none() && !is_of_workers {
            return Ok(());
        }
        let caller = self
            .links
            .worker(asker.link, |pid| match &self.stores.cluster {
                Some(cluster) => cluster.worker_of(pid),
                None => Ok(None),
            });
        let Some(WorkerId(worker)) = caller.map_err(|e| SessionRefusal::Failed(e.to_string()))?
        else {
            return Ok(());
        };
        let is_for = |workers: &HashSet<u32>| workers.contains(&worker);
        match store.workers.as_ref().is_none_or(is_for) {
            true if !is_of_workers => Ok(()),
            false if self.stores.begun.elapsed() < SETTLING => Err(SessionRefusal::Settling),
            _ => Err(SessionRefusal::Forbidden { worker }),
        }
    }
}
