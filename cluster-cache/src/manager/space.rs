//! One namespace: its entries, its leases, who watches it, and its figures.

use hashbrown::HashMap;
use hashbrown::hash_map::IntoValues;
use slab::Slab;

use super::links::Links;
use crate::lease::{Leases, LinkId};
use crate::protocol::{Changed, SpaceOptions, Stat, Told};
use crate::table::{Millis, Table};

struct Watch {
    link: LinkId,
    number: u64,
    key: Option<Box<str>>,
    /// It is for copies: which key has changed is enough.
    copies: bool,
    /// Where it stands among those who watch the same.
    at: usize,
}

/// What a watch is of.
#[derive(Clone, Copy)]
pub(super) enum Of<'a> {
    Key(&'a str),
    EveryKey,
    /// Every key, without the values.
    Copies,
}

/// Who watches a namespace.
#[derive(Default)]
pub(super) struct Watches {
    all: Slab<Watch>,
    by_link: HashMap<LinkId, HashMap<u64, usize>>,
    /// Those of connections that are gone.
    leaving: Vec<IntoValues<u64, usize>>,
    by_key: HashMap<Box<str>, Vec<usize>>,
    of_every_key: Vec<usize>,
}

impl Watches {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Adds a watch; one that the connection has under the same number ends.
    pub(super) fn add(&mut self, link: LinkId, number: u64, of: Of<'_>) {
        self.remove(link, number);
        let key = match of {
            Of::Key(key) => Some(key),
            Of::EveryKey | Of::Copies => None,
        };
        let same = match key {
            Some(key) => self.by_key.entry(key.into()).or_default(),
            None => &mut self.of_every_key,
        };
        let place = self.all.insert(Watch {
            link,
            number,
            key: key.map(Into::into),
            copies: matches!(of, Of::Copies),
            at: same.len(),
        });
        same.push(place);
        let of_link = self.by_link.entry(link).or_default();
        of_link.insert(number, place);
    }

    pub(super) fn remove(&mut self, link: LinkId, number: u64) {
        let Some(of_link) = self.by_link.get_mut(&link) else {
            return;
        };
        let gone = of_link.remove(&number);
        if of_link.is_empty() {
            self.by_link.remove(&link);
        }
        if let Some(place) = gone {
            self.take(place);
        }
    }

    /// Ends watches of a connection that is gone, so many at most; says how many they were.
    pub(super) fn forget(&mut self, link: LinkId, most: usize) -> usize {
        if let Some(of_link) = self.by_link.remove(&link) {
            self.leaving.push(of_link.into_values());
        }
        let mut ended = 0;
        while let Some(places) = self.leaving.last_mut() {
            let some: Vec<usize> = places.take(most - ended).collect();
            ended += some.len();
            some.into_iter().for_each(|place| self.take(place));
            if ended == most {
                break;
            }
            self.leaving.pop();
        }
        ended
    }

    fn take(&mut self, place: usize) {
        let Watch { key, at, .. } = self.all.remove(place);
        let same = match &key {
            Some(key) => self.by_key.get_mut(key),
            None => Some(&mut self.of_every_key),
        };
        let Some(same) = same else { return };
        same.swap_remove(at);
        if let Some(moved) = same.get(at) {
            self.all[*moved].at = at;
        }
        if let Some(key) = key.filter(|_| same.is_empty()) {
            self.by_key.remove(&key);
        }
    }

    /// Tells a change of one key to who watches it.
    pub(super) fn tell(&self, key: &str, change: &Changed<'_>, links: &Links) {
        if self.all.is_empty() {
            return;
        }
        let of_key = self.by_key.get(key).into_iter().flatten();
        for place in of_key.chain(&self.of_every_key) {
            self.tell_one(&self.all[*place], change, links);
        }
    }

    /// Tells everybody.
    pub(super) fn tell_all(&self, change: &Changed<'_>, links: &Links) {
        for (_, watch) in &self.all {
            self.tell_one(watch, change, links);
        }
    }

    fn tell_one(&self, watch: &Watch, change: &Changed<'_>, links: &Links) {
        let change = match change {
            Changed::Set { key, version, .. } if watch.copies => Changed::Stale {
                key,
                version: *version,
            },
            change => change.clone(),
        };
        let told = Told::Changed {
            watch: watch.number,
            change,
        };
        links.tell(watch.link, &told);
    }
}

/// A namespace.
pub(super) struct Space {
    pub(super) name: Box<str>,
    pub(super) options: SpaceOptions,
    /// When the build was made whose options these are; 0 where that is not known.
    pub(super) built_ms: u64,
    pub(super) table: Table,
    pub(super) leases: Leases,
    pub(super) watches: Watches,
    pub(super) stat: Stat,
    /// Of the last change.
    pub(super) version: u64,
    /// The store knows of it.
    pub(super) kept: bool,
    /// It is a session store's: nobody else changes it, and nothing in it gives way.
    pub(super) of_sessions: bool,
}

impl Space {
    pub(super) fn new(name: &str, options: SpaceOptions, built_ms: u64) -> Self {
        Space {
            name: name.into(),
            options,
            built_ms,
            table: Table::new(),
            leases: Leases::default(),
            watches: Watches::default(),
            stat: Stat::default(),
            version: 0,
            kept: false,
            of_sessions: false,
        }
    }

    /// When an entry or a lease may be over next.
    pub(super) fn next_end(&self) -> Option<Millis> {
        let entry = self.table.next_expiry();
        let entry = entry.map(|at| at.saturating_add(self.options.stale_ms));
        let ends = [entry, self.leases.next_deadline()];
        ends.into_iter().flatten().min()
    }

    /// What was fresh until then is of no use any more: it is not even served while another is loaded.
    pub(super) fn useless_since(&self, now: Millis) -> Millis {
        now.saturating_sub(self.options.stale_ms)
    }

    pub(super) fn figures(&self) -> Stat {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let (loading, waiting) = self.leases.count();
        Stat {
            entries: count(self.table.len()),
            bytes: count(self.table.bytes()),
            loading: count(loading),
            waiting: count(waiting),
            watches: count(self.watches.len()),
            ..self.stat
        }
    }
}
