//! Entries of session stores in the manager's own table.

use tracing::{error, warn};

use super::super::CacheManager;
use super::super::turn::Asker;
use crate::protocol::{
    Answer, Keep, PageEntry, Refusal, SessionAnswer, SessionAsk, SessionOp, SessionRefusal,
};
use crate::sessions::{Bounds, Operations, PAGE};
use crate::table::{Millis, OVERHEAD};

impl CacheManager {
    pub(super) fn act_on_session(
        &mut self,
        asker: Asker,
        space: usize,
        (ask, bounds): (&SessionAsk<'_>, Bounds),
        now: Millis,
    ) -> Result<(), SessionRefusal> {
        let keep = |ttl_ms| Keep {
            expire_ms: bounds.ttl_ms(ttl_ms),
            persist: None,
        };
        let answer = match ask.op {
            SessionOp::Operations => SessionAnswer::Operations(Operations::ALL.bits()),
            SessionOp::Get { key } => {
                return self.get_session(asker, space, key, now);
            }
            SessionOp::Set {
                key,
                value,
                ttl_ms,
                when,
            } => {
                let taken = when.allows(self.is_there(space, key, now));
                if taken {
                    self.make_room_for_session(ask.store, space, key, value)?;
                    self.store(space, key, value, keep(ttl_ms), now)
                        .map_err(|e| failed(ask.store, &e))?;
                }
                SessionAnswer::Done(taken)
            }
            SessionOp::Touch { key, ttl_ms } => {
                let found = self.spaces[space].table.peek(key, now);
                let value = found.map(|entry| entry.value().to_vec());
                if let Some(value) = &value {
                    self.store(space, key, value, keep(ttl_ms), now)
                        .map_err(|e| failed(ask.store, &e))?;
                }
                SessionAnswer::Done(value.is_some())
            }
            SessionOp::Destroy { key } => {
                let there = self.is_there(space, key, now);
                self.remove(space, key).map_err(|e| failed(ask.store, &e))?;
                SessionAnswer::Done(there)
            }
            SessionOp::All { from } => {
                let (entries, next) = self.spaces[space].table.page(from, PAGE, now);
                let entries = entries.into_iter().map(|entry| PageEntry {
                    key: entry.key(),
                    value: entry.value(),
                    left_ms: entry.expires().map(|at| at.saturating_sub(now)),
                });
                let entries = entries.collect();
                let page = SessionAnswer::Page { entries, next };
                self.links
                    .answer(asker.link, asker.number, Answer::Session(page));
                return Ok(());
            }
            SessionOp::Clear => {
                self.clear(space).map_err(|e| failed(ask.store, &e))?;
                SessionAnswer::Done(true)
            }
            SessionOp::Length => SessionAnswer::Count(self.spaces[space].table.len() as u64),
            // Carried out before.
            SessionOp::AddWorker { .. } | SessionOp::RemoveWorker { .. } => {
                SessionAnswer::Done(true)
            }
        };
        self.links
            .answer(asker.link, asker.number, Answer::Session(answer));
        Ok(())
    }

    fn get_session(
        &mut self,
        asker: Asker,
        place: usize,
        key: &str,
        now: Millis,
    ) -> Result<(), SessionRefusal> {
        let space = &mut self.spaces[place];
        let answer = match space.table.read(key, now) {
            Some(entry) => {
                space.stat.hits += 1;
                SessionAnswer::Found {
                    left_ms: entry.expires().map(|at| at.saturating_sub(now)),
                    value: entry.value(),
                }
            }
            None => {
                space.stat.misses += 1;
                SessionAnswer::Absent
            }
        };
        self.links
            .answer(asker.link, asker.number, Answer::Session(answer));
        Ok(())
    }

    /// Sees to it that a value finds room: entries of the cache give way to it, and no session does.
    fn make_room_for_session(
        &mut self,
        store: &str,
        place: usize,
        key: &str,
        value: &[u8],
    ) -> Result<(), SessionRefusal> {
        let space = &self.spaces[place];
        let before = space.table.entry(key);
        let before = before.map_or(0, |entry| key.len() + entry.value().len() + OVERHEAD);
        let more = key.len() + value.len() + OVERHEAD;
        let own = space.options.max_bytes;
        let own = own.map_or(usize::MAX, |most| {
            usize::try_from(most).unwrap_or(usize::MAX)
        });
        let all = self.options.max_bytes.unwrap_or(usize::MAX);
        let mut allowed = own;
        let mut fits = space.table.bytes() - before + more <= own;
        if fits {
            allowed = all;
            while self.bytes - before + more > all && self.evict_from_largest(place) {}
            fits = self.bytes - before + more <= all;
        }
        let Some(store_here) = self.stores.by_name.get_mut(store) else {
            return Err(SessionRefusal::NoStore);
        };
        if fits {
            store_here.is_full = false;
            return Ok(());
        }
        store_here.refused += 1;
        if !std::mem::replace(&mut store_here.is_full, true) {
            error!(
                store,
                allowed,
                refused = store_here.refused,
                "a session store is full: new values are refused, and none that there is gives way"
            );
        }
        Err(SessionRefusal::Full {
            allowed: allowed as u64,
        })
    }
}

/// The manager's own store failed: the operator reads of it in the log, and who has asked is told.
fn failed(store: &str, refusal: &Refusal) -> SessionRefusal {
    warn!(store, error = %refusal, "a session store failed");
    SessionRefusal::Failed(refusal.to_string())
}
