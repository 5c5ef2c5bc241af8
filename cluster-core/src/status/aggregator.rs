//! The status aggregator.
//!
//! *Owns* the registered views of every process: who offers which name. *Hears* offers, withdrawals, processes that are gone, queries.
//! *Tells* its asker.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler, Message, ResponseFuture};
use cluster_macros::Request;
use serde::{Deserialize, Serialize};

use super::StatusEntry;
use super::views::Read;
use crate::emitter::{Emitter, Target};
use crate::id::ProcessId;
use serde_json::Value;

/// The names that any process offers.
#[derive(Clone, Debug, Serialize, Deserialize, Request)]
#[reply(Vec<String>)]
#[request(name = "cluster.status.names")]
pub(super) struct Names;

/// The values of one status, as JSON of [`StatusEntry`]s; none where nobody offers it.
#[derive(Clone, Debug, Serialize, Deserialize, Request)]
#[reply(Option<String>)]
#[request(name = "cluster.status.query")]
pub(super) struct Query {
    pub(super) name: String,
    pub(super) wait_ms: u64,
}

/// A process offers a status, or no longer does.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Offered {
    pub(crate) process: ProcessId,
    pub(crate) name: String,
    pub(crate) offered: bool,
}

/// A process is gone: what it offered vanishes.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Departed(pub(crate) ProcessId);

#[derive(Message)]
#[rtype(result = "Vec<String>")]
struct ListNames;

#[derive(Message)]
#[rtype(result = "Option<Vec<StatusEntry>>")]
struct Collect {
    name: String,
    wait: Duration,
}

/// Names that one process may offer; further ones are ignored.
const NAMES_PER_PROCESS: usize = 1024;

pub(crate) struct StatusAggregator {
    emitter: Emitter,
    offers: BTreeMap<String, BTreeSet<ProcessId>>,
}

impl StatusAggregator {
    /// Starts it in the master, and lets every process ask it.
    pub(crate) fn launch(emitter: &Emitter) -> Addr<Self> {
        let addr = StatusAggregator {
            emitter: emitter.clone(),
            offers: BTreeMap::new(),
        }
        .start();
        let names = addr.clone();
        emitter.answer(move |_: Names, _| {
            let names = names.clone();
            async move { names.send(ListNames).await.unwrap_or_default() }
        });
        let queries = addr.clone();
        emitter.answer(move |query: Query, _| {
            let queries = queries.clone();
            async move {
                let wait = Duration::from_millis(query.wait_ms);
                let entries = queries
                    .send(Collect {
                        name: query.name,
                        wait,
                    })
                    .await
                    .ok()??;
                serde_json::to_string(&entries).ok()
            }
        });
        addr
    }
}

impl Actor for StatusAggregator {
    type Context = Context<Self>;
}

impl Handler<Offered> for StatusAggregator {
    type Result = ();

    fn handle(
        &mut self,
        Offered {
            process,
            name,
            offered,
        }: Offered,
        _: &mut Context<Self>,
    ) {
        if offered {
            let held = self
                .offers
                .values()
                .filter(|p| p.contains(&process))
                .count();
            if held < NAMES_PER_PROCESS {
                self.offers.entry(name).or_default().insert(process);
            }
        } else if let Some(processes) = self.offers.get_mut(&name) {
            processes.remove(&process);
            self.offers.retain(|_, p| !p.is_empty());
        }
    }
}

impl Handler<Departed> for StatusAggregator {
    type Result = ();

    fn handle(&mut self, Departed(process): Departed, _: &mut Context<Self>) {
        self.offers.retain(|_, processes| {
            processes.remove(&process);
            !processes.is_empty()
        });
    }
}

impl Handler<ListNames> for StatusAggregator {
    type Result = Vec<String>;

    fn handle(&mut self, _: ListNames, _: &mut Context<Self>) -> Vec<String> {
        self.offers.keys().cloned().collect()
    }
}

impl Handler<Collect> for StatusAggregator {
    type Result = ResponseFuture<Option<Vec<StatusEntry>>>;

    fn handle(&mut self, Collect { name, wait }: Collect, _: &mut Context<Self>) -> Self::Result {
        let Some(processes) = self.offers.get(&name) else {
            return Box::pin(async { None });
        };
        let roster = self.emitter.hub.roster();
        let pids: BTreeMap<ProcessId, u32> = roster
            .active
            .iter()
            .chain(&roster.others)
            .map(|(id, pid)| (ProcessId::Worker(*id), *pid))
            .collect();
        let processes: Vec<ProcessId> = processes.iter().copied().collect();
        let emitter = self.emitter.clone();
        Box::pin(async move {
            let to = emitter
                .to(processes.iter().map(|p| Target::from(*p)))
                .wait(wait);
            let answers = to.ask(Read { name: name.clone() }).await;
            let entries = answers
                .into_iter()
                .zip(processes)
                .filter_map(|(answer, process)| {
                    let known = pids.get(&process).copied().unwrap_or_default();
                    match answer.result {
                        // It has withdrawn it, or ended, in the meantime: its entry vanishes.
                        Ok(None) => None,
                        Ok(Some(reply)) => Some(StatusEntry {
                            pid: reply.pid,
                            name: name.clone(),
                            status: serde_json::from_str(&reply.json).unwrap_or(Value::Null),
                            writable: reply.writable,
                            error: None,
                        }),
                        Err(e) => Some(StatusEntry {
                            pid: known,
                            name: name.clone(),
                            status: Value::Null,
                            writable: false,
                            error: Some(e.to_string()),
                        }),
                    }
                });
            Some(entries.collect())
        })
    }
}
