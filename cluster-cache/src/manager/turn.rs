//! What the manager does with a question.

use cluster_core::endpoint;
use tracing::{info, warn};

use super::space::{Of, Space};
use super::{CacheManager, MOST_SPACES};
use crate::lease::{LinkId, Waiter};
use crate::limits::{MOST_KEY_BYTES, MOST_NAME_BYTES};
use crate::protocol::{Answer, Ask, Changed, Op, Refusal, SpaceOptions, Told};
use crate::table::{Millis, OVERHEAD};

/// Watches at most, in all namespaces.
const MOST_WATCHES: usize = 65_536;
/// How long a load may take at most: whoever asks for longer gets this.
const LONGEST_LOAD_MS: u64 = 3_600_000;
/// Keys that one answer lists at most, and their bytes.
const PAGE: (usize, usize) = (1000, 64 * 1024);

/// Who asks, and under which number the answer is to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    pub(super) link: LinkId,
    pub(super) number: u64,
}

impl CacheManager {
    /// Hears one question, and answers it or has it wait.
    pub(super) fn hear(&mut self, link: LinkId, bytes: &[u8], now: Millis) {
        if !self.links.is_open(link) {
            return;
        }
        match Ask::read(bytes) {
            Ok(ask) => {
                let number = ask.number;
                let asker = Asker { link, number };
                if let Err(refusal) = self.act(asker, &ask, now) {
                    self.links.answer(link, number, Answer::Refused(refusal));
                }
            }
            // Of a newer client, or of nobody who knows the protocol; nobody else is concerned.
            Err(e) => match endpoint::read_head::<u64>(bytes) {
                Ok(number) => {
                    warn!(error = %e, "a question to the cache cannot be read");
                    let answer = Answer::Refused(Refusal::Unknown);
                    self.links.answer(link, number, answer);
                }
                Err(e) => {
                    warn!(error = %e, "a client of the cache broke the protocol");
                    self.lost(link, now);
                }
            },
        }
    }

    fn act(&mut self, asker: Asker, ask: &Ask<'_>, now: Millis) -> Result<(), Refusal> {
        let Asker { link, number } = asker;
        match ask.op {
            Op::Open {
                name,
                ref options,
                built_ms,
            } => {
                let options = options.as_deref().map(|options| (options, built_ms));
                self.open(link, ask.space, name, options)?;
                self.links.answer(link, number, Answer::Done);
                return Ok(());
            }
            Op::Namespaces => {
                let names = self.spaces.iter().map(|(_, space)| &*space.name).collect();
                let answer = Answer::Namespaces { names };
                self.links.answer(link, number, answer);
                return Ok(());
            }
            Op::Meta => {
                let answer = Answer::Meta(Box::new(self.meta()));
                self.links.answer(link, number, answer);
                return Ok(());
            }
            Op::Session(ref ask) => {
                self.hear_of_session(asker, ask, now);
                return Ok(());
            }
            // Of a process that has not introduced itself as a successor.
            Op::HandOver | Op::TakeOver => return Err(Refusal::Unknown),
            Op::Document(ref op) => return self.hear_replica(asker, op, now),
            _ => {}
        }
        let tie = self.links.space(link, ask.space);
        let tied = tie.and_then(|tie| self.spaces.tied(tie));
        let space = tied.ok_or(Refusal::Closed)?;
        if self.spaces[space].of_sessions && changes(&ask.op) {
            return Err(Refusal::OfSessions);
        }
        // Which brings no end forward.
        if let Op::Get { key, probe } = ask.op {
            self.get(asker, space, (key, probe), now);
            return Ok(());
        }
        let done = self.act_in(space, asker, ask, now);
        self.spaces.note_end(space);
        done
    }

    fn act_in(
        &mut self,
        space: usize,
        asker: Asker,
        ask: &Ask<'_>,
        now: Millis,
    ) -> Result<(), Refusal> {
        let Asker { link, number } = asker;
        match ask.op {
            Op::Set {
                key,
                value,
                keep,
                if_absent,
            } => {
                self.check(space, key, value)?;
                let there = || self.is_there(space, key, now);
                let taken = !if_absent || !there();
                if taken {
                    self.store(space, key, value, keep, now)?;
                    for waiter in self.spaces[space].leases.overtake(key) {
                        self.answer_value(waiter, value);
                    }
                }
                self.links.answer(link, number, Answer::Accepted(taken));
            }
            Op::Del { key } => self.delete(asker, space, key, now)?,
            Op::Inspect { key } => {
                let space = &self.spaces[space];
                let found = space.table.peek(key, space.useless_since(now));
                let answer = found.map_or(Answer::Absent, |entry| Answer::Inspected {
                    value: entry.value(),
                    persist: entry.persist,
                    left_ms: entry.expires().map(|at| at.saturating_sub(now)),
                    version: entry.version(),
                });
                self.links.answer(link, number, answer);
            }
            Op::Acquire { key, load_ms } => {
                self.check(space, key, &[])?;
                let waiter = Waiter {
                    link,
                    number,
                    load_ms: load_ms.clamp(1, LONGEST_LOAD_MS),
                };
                self.acquire(waiter, space, key, now)?;
            }
            Op::Fulfil {
                key,
                lease,
                value,
                keep,
            } => self.fulfil(asker, space, (key, lease), value, keep, now)?,
            Op::Abandon {
                key,
                lease,
                failure,
            } => self.abandon(asker, space, (key, lease), failure, now)?,
            Op::Claim {
                key,
                lease,
                left_ms,
            } => {
                self.check(space, key, &[])?;
                let left = left_ms.min(LONGEST_LOAD_MS);
                let there = self.is_there(space, key, now);
                let leases = &mut self.spaces[space].leases;
                let taken = !there && leases.claim(key, link, lease, left, now);
                self.links.answer(link, number, Answer::Accepted(taken));
            }
            Op::Keys { from } => {
                let (keys, next) = self.spaces[space].table.keys(from, PAGE.0, PAGE.1, now);
                let answer = Answer::Keys { keys, next };
                self.links.answer(link, number, answer);
            }
            Op::Watch { key, watch } => {
                if let Some(key) = key {
                    self.check(space, key, &[])?;
                }
                let of = key.map_or(Of::EveryKey, Of::Key);
                self.watch(link, space, watch, of)?;
                self.links.answer(link, number, Answer::Done);
            }
            Op::Copy { watch } => {
                self.watch(link, space, watch, Of::Copies)?;
                self.links.answer(link, number, Answer::Done);
            }
            Op::Rewatch {
                key,
                copies,
                watch,
                since,
            } => {
                let of = match key {
                    _ if copies => Of::Copies,
                    Some(key) => Of::Key(key),
                    None => Of::EveryKey,
                };
                let seamless = self.rewatch(link, space, (watch, of), since)?;
                self.links.answer(link, number, Answer::Accepted(seamless));
            }
            Op::Unwatch { watch } => {
                let watches = &mut self.spaces[space].watches;
                let before = watches.len();
                watches.remove(link, watch);
                self.watches = self.watches - before + watches.len();
                self.links.answer(link, number, Answer::Done);
            }
            Op::Stat => {
                let answer = Answer::Stat(Box::new(self.spaces[space].figures()));
                self.links.answer(link, number, answer);
            }
            Op::Clear => {
                self.clear(space)?;
                self.links.answer(link, number, Answer::Done);
            }
            Op::Destroy => {
                self.destroy(space)?;
                self.links.answer(link, number, Answer::Done);
            }
            Op::Get { .. }
            | Op::Open { .. }
            | Op::Namespaces
            | Op::Meta
            | Op::HandOver
            | Op::TakeOver
            | Op::Document(_)
            | Op::Session(_) => {}
        }
        Ok(())
    }

    fn open(
        &mut self,
        link: LinkId,
        number: u32,
        name: &str,
        options: Option<(&SpaceOptions, u64)>,
    ) -> Result<(), Refusal> {
        if name.is_empty() || name.len() > MOST_NAME_BYTES {
            return Err(Refusal::Name(name.len()));
        }
        let place = match (self.spaces.named(name), options) {
            (Some(place), None) => place,
            // How it is to be the store says.
            (Some(place), Some(_)) if self.spaces[place].of_sessions => place,
            (Some(place), Some((options, built_ms))) => {
                self.reopen(place, options, built_ms)?;
                place
            }
            (None, None) => return Err(Refusal::NoNamespace),
            (None, Some(_)) if self.spaces.len() >= MOST_SPACES => {
                return Err(Refusal::Namespaces(MOST_SPACES));
            }
            (None, Some((options, built_ms))) => {
                let mut space = Space::new(name, options.clone(), built_ms);
                // Of one of this name that may have been before, all has changed.
                space.version = self.next();
                if self.handing.is_some() {
                    space.table.begin_sending();
                }
                self.spaces.insert(space)
            }
        };
        if self.links.tie(link, number, self.spaces.tie(place)) {
            Ok(())
        } else {
            Err(Refusal::Namespaces(MOST_SPACES))
        }
    }

    /// A namespace is opened that there is: the options of the first one hold, but for those of a newer build.
    fn reopen(
        &mut self,
        place: usize,
        options: &SpaceOptions,
        built_ms: u64,
    ) -> Result<(), Refusal> {
        let space = &mut self.spaces[place];
        if space.options == *options {
            space.built_ms = space.built_ms.max(built_ms);
            return Ok(());
        }
        if built_ms <= space.built_ms {
            info!(
                namespace = %space.name,
                "another process opens this namespace with other options: those of the first one hold"
            );
            return Ok(());
        }
        info!(namespace = %space.name, "a newer build opens this namespace with other options: they hold from now on");
        self.kept.write_options(space, options)?;
        space.options = options.clone();
        space.built_ms = built_ms;
        self.spaces.note_end(place);
        self.make_room(place, "");
        Ok(())
    }

    fn watch(&mut self, link: LinkId, space: usize, watch: u64, of: Of<'_>) -> Result<(), Refusal> {
        if self.watches >= MOST_WATCHES {
            self.clear_away_all();
        }
        if self.watches >= MOST_WATCHES {
            return Err(Refusal::Watches(MOST_WATCHES));
        }
        let watches = &mut self.spaces[space].watches;
        let before = watches.len();
        watches.add(link, watch, of);
        self.watches = self.watches - before + watches.len();
        Ok(())
    }

    /// A watch goes on; says whether it has missed nothing since that version.
    fn rewatch(
        &mut self,
        link: LinkId,
        space: usize,
        (watch, of): (u64, Of<'_>),
        since: u64,
    ) -> Result<bool, Refusal> {
        if let Of::Key(key) = of {
            self.check(space, key, &[])?;
        }
        self.watch(link, space, watch, of)?;
        let seamless = self.unbroken_since <= since && self.spaces[space].version <= since;
        if !seamless && !matches!(of, Of::Copies) {
            let change = Changed::Resync;
            self.links.tell(link, &Told::Changed { watch, change });
        }
        Ok(seamless)
    }

    /// A connection is gone, and with it, before long, its leases, its watches and its place among those who wait.
    pub(super) fn lost(&mut self, link: LinkId, now: Millis) {
        if !self.links.close(link) {
            return;
        }
        if let Some(parked) = &mut self.settling {
            parked.retain(|parked| parked.link != link);
        }
        self.departures.add(link);
        self.lose_replica(link, now);
    }

    /// What exceeds a bound is refused, whatever is asked.
    pub(super) fn check(&self, place: usize, key: &str, value: &[u8]) -> Result<(), Refusal> {
        if key.is_empty() || key.len() > MOST_KEY_BYTES {
            return Err(Refusal::Key(key.len()));
        }
        let options = &self.spaces[place].options;
        let of_all = self.options.max_bytes.map_or(u64::MAX, |most| most as u64);
        // What sessions take is not to be had.
        let of_all = of_all.saturating_sub(self.bytes_of_sessions() as u64);
        let room = options.max_bytes.unwrap_or(u64::MAX).min(of_all);
        let room = room.saturating_sub((key.len() + OVERHEAD) as u64);
        let (bytes, allowed) = (value.len() as u64, options.max_value_bytes.min(room));
        if bytes > allowed {
            return Err(Refusal::Value { bytes, allowed });
        }
        Ok(())
    }
}

/// Whether a question may change a namespace, or have it loaded; a deletion apart, with which an operator ends a session.
fn changes(op: &Op<'_>) -> bool {
    matches!(
        op,
        Op::Set { .. }
            | Op::Acquire { .. }
            | Op::Fulfil { .. }
            | Op::Abandon { .. }
            | Op::Claim { .. }
            | Op::Clear
            | Op::Destroy
    )
}
