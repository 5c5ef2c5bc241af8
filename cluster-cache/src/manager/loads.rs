//! Loads: who may load a key, and what those are told who wait for it.

use super::entries::hit;
use super::turn::Asker;
use super::{CacheManager, Parked};
use crate::lease::{Acquired, MOST_WAITERS, Waiter};
use crate::protocol::{Answer, Keep, Refusal};
use crate::table::{Entry, Millis};

impl CacheManager {
    /// Answers with a value that is there.
    fn answer_hit(&self, waiter: Waiter, space: usize, key: &str, now: Millis) {
        let space = &self.spaces[space];
        let answer = match space.table.peek(key, space.useless_since(now)) {
            Some(entry) if !entry.value().is_empty() => hit(entry, now),
            _ => Answer::Absent,
        };
        self.links.answer(waiter.link, waiter.number, answer);
    }

    /// Answers who waited for this value.
    pub(super) fn answer_value(&self, waiter: Waiter, value: &[u8]) {
        let answer = match value.is_empty() {
            true => Answer::Absent,
            // Whether it is still fresh is the next reader's to ask.
            false => Answer::Hit {
                left_ms: Some(0),
                value,
            },
        };
        self.links.answer(waiter.link, waiter.number, answer);
    }

    pub(super) fn grant(&self, (heir, lease): (Waiter, u64)) {
        let answer = Answer::Lease { lease, stale: &[] };
        self.links.answer(heir.link, heir.number, answer);
    }

    pub(super) fn acquire(
        &mut self,
        waiter: Waiter,
        place: usize,
        key: &str,
        now: Millis,
    ) -> Result<(), Refusal> {
        let lease = self.next();
        let space = &mut self.spaces[place];
        let since = space.useless_since(now);
        let fresh = space
            .table
            .read(key, since)
            .map(|entry| !entry.is_over(now));
        if fresh == Some(true) {
            space.stat.hits += 1;
            self.answer_hit(waiter, place, key, now);
            return Ok(());
        }
        // What is out of date is served while one process reloads it.
        if fresh.is_some() && space.leases.is_loading(key) {
            space.stat.hits += 1;
            self.answer_hit(waiter, place, key, now);
            return Ok(());
        }
        space.stat.misses += 1;
        if let Some(parked) = &mut self.settling
            && !space.leases.is_loading(key)
        {
            if parked.len() >= MOST_WAITERS {
                return Err(Refusal::Waiters(MOST_WAITERS));
            }
            parked.push(Parked {
                link: waiter.link,
                number: waiter.number,
                space: place,
                key: key.into(),
                load_ms: waiter.load_ms,
            });
            return Ok(());
        }
        match space.leases.acquire(key, waiter, lease, now) {
            Acquired::Waits => {}
            Acquired::Crowded => return Err(Refusal::Waiters(MOST_WAITERS)),
            Acquired::Lease(lease) => {
                let stale = space.table.peek(key, since).map_or(&[][..], Entry::value);
                let answer = Answer::Lease { lease, stale };
                self.links.answer(waiter.link, waiter.number, answer);
            }
        }
        Ok(())
    }

    pub(super) fn fulfil(
        &mut self,
        asker: Asker,
        place: usize,
        (key, lease): (&str, u64),
        value: &[u8],
        keep: Keep,
        now: Millis,
    ) -> Result<(), Refusal> {
        if let Err(refusal) = self.check(place, key, value) {
            let cause = refusal.to_string();
            self.abandon(asker, place, (key, lease), Some(&cause), now)?;
            return Ok(());
        }
        let waiters = self.spaces[place].leases.fulfil(key, lease);
        let waiters = waiters.ok_or(Refusal::Lease)?;
        self.spaces[place].stat.loads += 1;
        let negative_ms = self.spaces[place].options.negative_ms;
        let done = if !value.is_empty() {
            self.store(place, key, value, keep, now)
        } else if negative_ms > 0 {
            let keep = Keep {
                expire_ms: Some(negative_ms),
                ..keep
            };
            self.store(place, key, value, keep, now)
        } else {
            self.remove(place, key).map(drop)
        };
        // Who waited has the value, whether or not it could be kept.
        for waiter in waiters {
            self.answer_value(waiter, value);
        }
        done?;
        self.links.answer(asker.link, asker.number, Answer::Done);
        Ok(())
    }

    pub(super) fn abandon(
        &mut self,
        asker: Asker,
        place: usize,
        (key, lease): (&str, u64),
        failure: Option<&str>,
        now: Millis,
    ) -> Result<(), Refusal> {
        let next = self.next();
        let space = &mut self.spaces[place];
        match failure {
            Some(cause) => {
                let waiters = space.leases.fulfil(key, lease).ok_or(Refusal::Lease)?;
                space.stat.errors += 1;
                for waiter in waiters {
                    let answer = Answer::Failed { cause };
                    self.links.answer(waiter.link, waiter.number, answer);
                }
            }
            None => {
                let passed = space.leases.abandon(key, lease, next, now);
                if let Some(heir) = passed.map_err(|()| Refusal::Lease)? {
                    self.grant(heir);
                }
            }
        }
        self.links.answer(asker.link, asker.number, Answer::Done);
        Ok(())
    }

    /// The time for claims is over: who waited for it may load now.
    pub(super) fn settle(&mut self, now: Millis) {
        for parked in self.settling.take().unwrap_or_default() {
            let waiter = Waiter {
                link: parked.link,
                number: parked.number,
                load_ms: parked.load_ms,
            };
            if let Err(refusal) = self.acquire(waiter, parked.space, &parked.key, now) {
                let answer = Answer::Refused(refusal);
                self.links.answer(parked.link, parked.number, answer);
            }
            self.spaces.note_end(parked.space);
        }
    }
}
