//! Entries: read, set, deleted, ended by their time, and made to give way.

use tracing::{info, warn};

use super::turn::Asker;
use super::{CacheManager, now};
use crate::protocol::{Answer, Changed, Keep, Refusal};
use crate::table::{Entry, Millis, Put};

/// What ends in one turn at most: questions have theirs in between.
const PORTION: usize = 2000;

impl CacheManager {
    /// Whether a key has a value that counts as fresh.
    pub(super) fn is_there(&self, space: usize, key: &str, now: Millis) -> bool {
        let space = &self.spaces[space];
        let entry = space.table.peek(key, now);
        entry.is_some_and(|e| !e.value().is_empty())
    }

    pub(super) fn get(
        &mut self,
        asker: Asker,
        space: usize,
        (key, probe): (&str, bool),
        now: Millis,
    ) {
        let space = &mut self.spaces[space];
        let found = space.table.read(key, now);
        let found = found.filter(|entry| !entry.value().is_empty());
        let answer = match found {
            Some(entry) => {
                space.stat.hits += 1;
                hit(entry, now)
            }
            None => {
                space.stat.misses += u64::from(!probe);
                Answer::Absent
            }
        };
        self.links.answer(asker.link, asker.number, answer);
    }

    pub(super) fn delete(
        &mut self,
        asker: Asker,
        place: usize,
        key: &str,
        now: Millis,
    ) -> Result<(), Refusal> {
        let there = self.is_there(place, key, now);
        let value = self.remove(place, key)?.filter(|_| there);
        let answer = value
            .as_ref()
            .map_or(Answer::Absent, |entry| Answer::Removed {
                value: entry.value(),
            });
        self.links.answer(asker.link, asker.number, answer);
        let next = self.next();
        if let Some(heir) = self.spaces[place].leases.void(key, next, now) {
            self.grant(heir);
        }
        Ok(())
    }

    /// Sets an entry, tells who watches it, and has others give way where there is no room. Where it is to be kept, it is
    /// written first: where that fails, nothing has changed.
    pub(super) fn store(
        &mut self,
        place: usize,
        key: &str,
        value: &[u8],
        keep: Keep,
        now: Millis,
    ) -> Result<(), Refusal> {
        let version = self.next();
        let space = &mut self.spaces[place];
        let expires = keep
            .expire_ms
            .or(space.options.expire_ms)
            .map(|ms| jittered(ms, space.options.jitter_percent, version))
            .map(|ms| now.saturating_add(ms));
        // That there is nothing is not worth keeping.
        let persist = keep.persist.unwrap_or(space.options.persist) && !value.is_empty();
        let put = Put {
            value,
            expires,
            persist,
            version,
        };
        self.kept.write_put(space, key, &put)?;
        let before = space.table.bytes();
        space.table.put(key, &put);
        space.version = version;
        self.bytes = self.bytes - before + space.table.bytes();
        let change = if value.is_empty() {
            Changed::Deleted { key, version }
        } else {
            Changed::Set {
                key,
                version,
                value,
            }
        };
        space.watches.tell(key, &change, &self.links);
        self.make_room(place, key);
        Ok(())
    }

    pub(super) fn make_room(&mut self, place: usize, but: &str) {
        if self.spaces[place].of_sessions {
            // Room was made before, and nothing in it gives way.
            return;
        }
        let most = self.spaces[place].options.max_bytes;
        let most = most.map_or(usize::MAX, |most| {
            usize::try_from(most).unwrap_or(usize::MAX)
        });
        while self.spaces[place].table.bytes() > most {
            if !self.evict(place, but) {
                break;
            }
        }
        let most = self.options.max_bytes.unwrap_or(usize::MAX);
        while self.bytes > most {
            // Who needs room makes it, as long as there is anything else in its namespace.
            let made = match self.spaces[place].table.len() {
                0 | 1 => self.evict_from_largest(place),
                _ => self.evict(place, but),
            };
            if !made {
                break;
            }
        }
    }

    /// Has an entry give way in the largest of the other namespaces, those of session stores aside.
    pub(super) fn evict_from_largest(&mut self, but: usize) -> bool {
        let others = self
            .spaces
            .iter()
            .filter(|(other, space)| *other != but && !space.of_sessions && space.table.len() > 0);
        let largest = others.max_by_key(|(_, s)| s.table.bytes()).map(|(p, _)| p);
        largest.is_some_and(|from| self.evict(from, ""))
    }

    pub(super) fn evict(&mut self, place: usize, but: &str) -> bool {
        let version = self.next();
        let space = &mut self.spaces[place];
        let before = space.table.bytes();
        let Some(entry) = space.table.evict(but) else {
            return false;
        };
        self.bytes = self.bytes - before + space.table.bytes();
        space.stat.evicted += 1;
        space.version = version;
        let key = entry.key();
        if let Err(e) = self.kept.write_removal(&space.name, &entry) {
            warn!(namespace = %space.name, error = %e, "an entry that gave way is still kept on disk");
        }
        let change = Changed::Evicted { key, version };
        space.watches.tell(key, &change, &self.links);
        true
    }

    /// Takes an entry out and tells who watches it; gives it back.
    pub(super) fn remove(&mut self, place: usize, key: &str) -> Result<Option<Entry>, Refusal> {
        let version = self.next();
        let space = &mut self.spaces[place];
        if let Some(entry) = space.table.entry(key) {
            self.kept.write_removal(&space.name, entry)?;
        }
        let before = space.table.bytes();
        let Some(entry) = space.table.remove(key) else {
            return Ok(None);
        };
        self.bytes = self.bytes - before + space.table.bytes();
        space.version = version;
        let change = Changed::Deleted { key, version };
        space.watches.tell(key, &change, &self.links);
        Ok(Some(entry))
    }

    pub(super) fn clear(&mut self, place: usize) -> Result<(), Refusal> {
        let version = self.next();
        let space = &mut self.spaces[place];
        self.kept.write_clear(space)?;
        self.bytes -= space.table.bytes();
        space.table.clear();
        space.version = version;
        space
            .watches
            .tell_all(&Changed::Cleared { version }, &self.links);
        Ok(())
    }

    pub(super) fn destroy(&mut self, place: usize) -> Result<(), Refusal> {
        self.kept.write_destroy(&self.spaces[place])?;
        let mut space = self.spaces.remove(place);
        self.bytes -= space.table.bytes();
        self.watches -= space.watches.len();
        for waiter in space.leases.clear() {
            let answer = Answer::Refused(Refusal::Closed);
            self.links.answer(waiter.link, waiter.number, answer);
        }
        if let Some(parked) = &mut self.settling {
            parked.retain(|parked| parked.space != place);
        }
        space.watches.tell_all(&Changed::Destroyed, &self.links);
        info!(namespace = %space.name, "a namespace of the cache was destroyed");
        Ok(())
    }

    /// Ends the entries and the leases whose time is over: of many that end together a part, the rest in the next turn.
    pub(super) fn end_what_is_over(&mut self) {
        let (now, mut left) = (now(), PORTION);
        while let Some((at, place)) = self.spaces.next_end() {
            if at > now || left == 0 {
                return;
            }
            let before = self.spaces[place].table.bytes();
            while left > 0 && self.end_entry(place, now) {
                left -= 1;
            }
            self.bytes = self.bytes - before + self.spaces[place].table.bytes();
            while left > 0 && self.end_lease(place, now) {
                left -= 1;
            }
            self.spaces.note_end(place);
        }
    }

    fn end_entry(&mut self, place: usize, now: Millis) -> bool {
        let version = self.next();
        let space = &mut self.spaces[place];
        let since = space.useless_since(now);
        let Some(entry) = space.table.next_over(since) else {
            return false;
        };
        space.stat.expired += 1;
        space.version = version;
        let key = entry.key();
        let change = Changed::Expired { key, version };
        space.watches.tell(key, &change, &self.links);
        true
    }

    fn end_lease(&mut self, place: usize, now: Millis) -> bool {
        let next = self.next();
        let Some(heir) = self.spaces[place].leases.pass_on_overdue(next, now) else {
            return false;
        };
        if let Some(heir) = heir {
            self.grant(heir);
        }
        true
    }
}

/// The answer that is a value, and for how long it is fresh.
pub(super) fn hit(entry: &Entry, now: Millis) -> Answer<'_> {
    Answer::Hit {
        left_ms: entry.expires().map(|at| at.saturating_sub(now)),
        value: entry.value(),
    }
}

/// A time that is up to so many hundredths shorter: what is set together does not end together.
fn jittered(ms: u64, percent: u8, dice: u64) -> u64 {
    // Fibonacci hashing spreads numbers that follow each other.
    let dice = u128::from(dice.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let most = u128::from(ms) * u128::from(percent.min(100)) / 100;
    ms - u64::try_from((most * dice) >> 64).unwrap_or(ms)
}
