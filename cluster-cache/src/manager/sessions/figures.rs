//! The figures of the session stores, for the status of that name.

use std::collections::{BTreeMap, BTreeSet};

use actix::{Context, Handler, MessageResult};
use serde::Serialize;

use super::super::CacheManager;
use super::{Keeps, Store};
use crate::table::Table;

/// Asks for the figures of the stores.
pub(crate) struct StoreFigures;

impl actix::Message for StoreFigures {
    type Result = BTreeMap<String, Figures>;
}

/// The figures of a store.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    kind: &'static str,
    /// How many entries there are, and what they take; of those alone that the manager keeps itself.
    entries: Option<usize>,
    bytes: Option<usize>,
    /// How many values were refused for want of room.
    refused: u64,
    /// The workers that were added, where not every worker reaches it.
    workers: Option<BTreeSet<u32>>,
}

impl Handler<StoreFigures> for CacheManager {
    type Result = MessageResult<StoreFigures>;

    fn handle(&mut self, _: StoreFigures, _: &mut Context<Self>) -> Self::Result {
        let figures = |store: &Store| {
            let table = match store.keeps {
                Keeps::Space { tie, .. } => self.spaces.tied(tie),
                Keeps::Thread(_) => None,
            };
            let table = table.map(|place| &self.spaces[place].table);
            Figures {
                kind: store.kind,
                entries: table.map(Table::len),
                bytes: table.map(Table::bytes),
                refused: store.refused,
                workers: store.workers.as_ref().map(|w| w.iter().copied().collect()),
            }
        };
        let all = self.stores.by_name.iter();
        MessageResult(
            all.map(|(name, store)| (name.to_string(), figures(store)))
                .collect(),
        )
    }
}
