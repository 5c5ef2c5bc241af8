//! Who may load a key, and who waits for it. Pure: it says who is to be told what.
//!
//! A key that is being loaded has one lease: a number, its holder, and a deadline. Everybody else waits. However a lease ends, the
//! next one who waits gets the next lease, unless the load gave them all their answer.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::table::Millis;

/// Who may wait for one key.
pub(crate) const MOST_WAITERS: usize = 65_536;

/// A client's connection.
pub(crate) type LinkId = usize;
/// Of no connection: who holds a lease that was handed over and that nobody has claimed yet.
pub(crate) const NOBODY: LinkId = 0;

/// A question that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiter {
    pub(crate) link: LinkId,
    pub(crate) number: u64,
    /// How long its load may take, should it come to that.
    pub(crate) load_ms: u64,
}

/// Who is to load next, and its lease.
pub(crate) type Heir = (Waiter, u64);

#[derive(Debug)]
struct Load {
    lease: u64,
    holder: LinkId,
    deadline: Millis,
    waiters: VecDeque<Waiter>,
}

/// What came of asking for a lease.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Acquired {
    /// The asker loads, under this number.
    Lease(u64),
    /// Another loads: the asker waits.
    Waits,
    /// Too many wait already.
    Crowded,
}

/// The leases of a namespace.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    loads: HashMap<Box<str>, Load>,
    /// The keys by their deadlines.
    deadlines: BTreeSet<(Millis, Box<str>)>,
}

impl Leases {
    /// Loads under way, and who wait for them.
    pub(crate) fn count(&self) -> (usize, usize) {
        let waiting = self.loads.values().map(|load| load.waiters.len()).sum();
        (self.loads.len(), waiting)
    }

    pub(crate) fn next_deadline(&self) -> Option<Millis> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// A key without a value is asked for. `lease` is a number that no other lease has.
    pub(crate) fn acquire(
        &mut self,
        key: &str,
        asker: Waiter,
        lease: u64,
        now: Millis,
    ) -> Acquired {
        match self.loads.get_mut(key) {
            Some(load) if load.waiters.len() >= MOST_WAITERS => Acquired::Crowded,
            Some(load) => {
                load.waiters.push_back(asker);
                Acquired::Waits
            }
            None => {
                self.grant(key, asker, lease, now, VecDeque::new());
                Acquired::Lease(lease)
            }
        }
    }

    /// Whether somebody loads the key.
    pub(crate) fn is_loading(&self, key: &str) -> bool {
        self.loads.contains_key(key)
    }

    fn grant(&mut self, key: &str, to: Waiter, lease: u64, now: Millis, waiters: VecDeque<Waiter>) {
        let deadline = now.saturating_add(to.load_ms);
        self.deadlines.insert((deadline, key.into()));
        let load = Load {
            lease,
            holder: to.link,
            deadline,
            waiters,
        };
        self.loads.insert(key.into(), load);
    }

    /// All leases with their numbers and deadlines.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, u64, Millis)> {
        let loads = self.loads.iter();
        loads.map(|(key, load)| (&**key, load.lease, load.deadline))
    }

    /// Takes over a lease of an earlier manager, to be claimed by who holds it.
    pub(crate) fn inherit(&mut self, key: &str, lease: u64, deadline: Millis) {
        let to = Waiter {
            link: NOBODY,
            number: 0,
            load_ms: 0,
        };
        self.grant(key, to, lease, deadline, VecDeque::new());
    }

    /// Takes up a lease that an earlier manager granted; false where another loads the key already.
    pub(crate) fn claim(
        &mut self,
        key: &str,
        holder: LinkId,
        lease: u64,
        left_ms: u64,
        now: Millis,
    ) -> bool {
        if let Some(load) = self.loads.get_mut(key) {
            let inherited = load.holder == NOBODY && load.lease == lease;
            if inherited {
                load.holder = holder;
            }
            return inherited;
        }
        let to = Waiter {
            link: holder,
            number: 0,
            load_ms: left_ms,
        };
        self.grant(key, to, lease, now, VecDeque::new());
        true
    }

    fn end(&mut self, key: &str) -> Option<Load> {
        // Nearly always: not worth a hash of the key.
        if self.loads.is_empty() {
            return None;
        }
        let load = self.loads.remove(key)?;
        self.deadlines.remove(&(load.deadline, key.into()));
        Some(load)
    }

    /// The load came to something: gives back who waited for it, or nothing where the lease is not the one that counts.
    pub(crate) fn fulfil(&mut self, key: &str, lease: u64) -> Option<VecDeque<Waiter>> {
        if self.loads.get(key)?.lease != lease {
            return None;
        }
        self.end(key).map(|load| load.waiters)
    }

    /// A value has come from elsewhere, later than what is being loaded: the lease is over, and who waited is given back.
    pub(crate) fn overtake(&mut self, key: &str) -> VecDeque<Waiter> {
        self.end(key).map(|load| load.waiters).unwrap_or_default()
    }

    /// What is being loaded may be out of date by now, as the key was deleted: the next one who waits loads it afresh.
    pub(crate) fn void(&mut self, key: &str, next: u64, now: Millis) -> Option<Heir> {
        self.pass_on(key, next, now)
    }

    /// The holder gives its lease up without a word for those who wait: the next one gets it. Gives back who, and its lease;
    /// `Err` where the lease is not the one that counts.
    pub(crate) fn abandon(
        &mut self,
        key: &str,
        lease: u64,
        next: u64,
        now: Millis,
    ) -> Result<Option<Heir>, ()> {
        if self.loads.get(key).is_none_or(|load| load.lease != lease) {
            return Err(());
        }
        Ok(self.pass_on(key, next, now))
    }

    fn pass_on(&mut self, key: &str, next: u64, now: Millis) -> Option<Heir> {
        let mut load = self.end(key)?;
        let heir = load.waiters.pop_front()?;
        self.grant(key, heir, next, now, load.waiters);
        Some((heir, next))
    }

    /// The next lease whose deadline has passed goes to the next one who waits, if anybody does; nothing where none is overdue.
    pub(crate) fn pass_on_overdue(&mut self, next: u64, now: Millis) -> Option<Option<Heir>> {
        let (at, key) = self.deadlines.first()?.clone();
        (at <= now).then(|| self.pass_on(&key, next, now))
    }

    /// A connection is gone: nobody waits over it any more, and its leases go to the next ones. `number` gives each a number.
    pub(crate) fn forget(
        &mut self,
        link: LinkId,
        mut number: impl FnMut() -> u64,
        now: Millis,
    ) -> Vec<(Box<str>, Waiter, u64)> {
        let mut held = Vec::new();
        for (key, load) in &mut self.loads {
            load.waiters.retain(|waiter| waiter.link != link);
            if load.holder == link {
                held.push(key.clone());
            }
        }
        held.into_iter()
            .filter_map(|key| {
                let (heir, lease) = self.pass_on(&key, number(), now)?;
                Some((key, heir, lease))
            })
            .collect()
    }

    /// Ends all of them; gives back who waited.
    pub(crate) fn clear(&mut self) -> Vec<Waiter> {
        self.deadlines.clear();
        let loads = std::mem::take(&mut self.loads);
        loads.into_values().flat_map(|load| load.waiters).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn waiter(link: LinkId, number: u64) -> Waiter {
        Waiter {
            link,
            number,
            load_ms: 10,
        }
    }

    #[test]
    fn a_lease_that_was_handed_over_is_its_holders_or_goes_on_to_the_next() {
        let mut leases = Leases::default();
        for key in ["claimed", "left"] {
            leases.inherit(key, 7, 50);
            assert_eq!(leases.acquire(key, waiter(1, 1), 8, 10), Acquired::Waits);
            assert!(!leases.claim(key, 2, 6, 40, 10), "of another number");
        }
        assert!(leases.claim("claimed", 2, 7, 40, 10));
        assert!(!leases.claim("claimed", 3, 7, 40, 10), "of another holder");
        assert_eq!(leases.next_deadline(), Some(50), "as it was granted");
        let passed = leases.forget(NOBODY, || 9, 20);
        assert_eq!(passed, [("left".into(), waiter(1, 1), 9)]);
        assert_eq!(leases.fulfil("claimed", 7).unwrap(), [waiter(1, 1)]);
        // One that is not there any more, as nobody waited for it, is claimed all the same.
        leases.inherit("late", 7, 50);
        assert_eq!(leases.forget(NOBODY, || 9, 20), []);
        assert!(leases.claim("late", 2, 7, 30, 20));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Acquire(LinkId),
        Fulfil(bool),
        Abandon(bool),
        Lost(LinkId),
        Wait(u64),
    }

    proptest! {
        /// Whatever happens: at most one lease a key, every asker has its answer or is waiting behind a lease that ends.
        #[test]
        fn nobody_is_forgotten_and_one_loads_at_a_time(steps in prop::collection::vec(prop_oneof![
            4 => (1usize..5).prop_map(Step::Acquire),
            1 => any::<bool>().prop_map(Step::Fulfil),
            1 => any::<bool>().prop_map(Step::Abandon),
            1 => (1usize..5).prop_map(Step::Lost),
            1 => (1u64..15).prop_map(Step::Wait),
        ], 0..120)) {
            let (mut leases, mut now, mut next, mut asked) = (Leases::default(), 0, 1u64, 0u64);
            // Who waits in the order of their coming, who holds which lease until when.
            let (mut waiting, mut holder) = (VecDeque::<Waiter>::new(), None::<(LinkId, u64, u64)>);
            for step in steps {
                next += 1;
                match step {
                    Step::Acquire(link) => {
                        asked += 1;
                        let acquired = leases.acquire("k", waiter(link, asked), next, now);
                        if holder.is_none() {
                            prop_assert_eq!(acquired, Acquired::Lease(next));
                            holder = Some((link, next, now + 10));
                        } else {
                            prop_assert_eq!(acquired, Acquired::Waits);
                            waiting.push_back(waiter(link, asked));
                        }
                    }
                    Step::Fulfil(right) => {
                        let lease = holder.map_or(0, |(_, lease, _)| if right { lease } else { lease - 1 });
                        let answered = leases.fulfil("k", lease);
                        if right && holder.take().is_some() {
                            prop_assert_eq!(answered, Some(std::mem::take(&mut waiting)));
                        } else {
                            prop_assert_eq!(answered, None);
                        }
                    }
                    Step::Abandon(right) => {
                        let lease = holder.map_or(0, |(_, lease, _)| if right { lease } else { lease - 1 });
                        let passed = leases.abandon("k", lease, next, now);
                        if right && holder.is_some() {
                            let heir = waiting.pop_front();
                            prop_assert_eq!(passed, Ok(heir.map(|w| (w, next))));
                            holder = heir.map(|w| (w.link, next, now + 10));
                        } else {
                            prop_assert_eq!(passed, Err(()));
                        }
                    }
                    Step::Lost(link) => {
                        waiting.retain(|w| w.link != link);
                        let passed = leases.forget(link, || next, now);
                        if holder.is_some_and(|(held, _, _)| held == link) {
                            let heir = waiting.pop_front();
                            prop_assert_eq!(passed.first().map(|(_, w, _)| *w), heir);
                            holder = heir.map(|w| (w.link, next, now + 10));
                        } else {
                            prop_assert!(passed.is_empty());
                        }
                    }
                    Step::Wait(ms) => {
                        now += ms;
                        while let Some(heir) = leases.pass_on_overdue(next, now) {
                            prop_assert!(holder.is_some_and(|(_, _, until)| until <= now));
                            let expected = waiting.pop_front();
                            prop_assert_eq!(heir.map(|(w, _)| w), expected);
                            holder = expected.map(|w| (w.link, next, now + 10));
                            next += 1;
                        }
                        prop_assert!(holder.is_none_or(|(_, _, until)| until > now));
                    }
                }
                prop_assert_eq!(leases.count(), (usize::from(holder.is_some()), waiting.len()));
                prop_assert_eq!(leases.next_deadline(), holder.map(|(_, _, until)| until));
            }
        }
    }
}
