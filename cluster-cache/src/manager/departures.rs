//! What a lost connection leaves behind, its watches and leases, is cleared away a little at a time: others ask in between.

use std::collections::VecDeque;

use actix::{Addr, Context, Handler, Message};

use super::{CacheManager, now};
use crate::lease::LinkId;
use crate::protocol::Answer;
use crate::table::Millis;

/// Namespaces looked into in one turn, and watches ended: some microseconds of work.
const PORTION: usize = 8;

/// A connection that is gone, and the place of the namespace that is next.
struct Departure {
    link: LinkId,
    next: usize,
}

/// The connections of which something may be left.
#[derive(Default)]
pub(super) struct Departures {
    queue: VecDeque<Departure>,
    /// Somebody sees to them.
    under_way: bool,
}

impl Departures {
    pub(super) fn add(&mut self, link: LinkId) {
        self.queue.push_back(Departure { link, next: 0 });
    }

    /// Sees to it that all is cleared away, turn by turn.
    pub(super) fn see_to(&mut self, manager: Addr<CacheManager>) {
        if self.queue.is_empty() || std::mem::replace(&mut self.under_way, true) {
            return;
        }
        actix_rt::spawn(async move {
            while let Ok(true) = manager.send(ClearAway).await {
                tokio::task::yield_now().await;
            }
        });
    }
}

/// Clears away a portion; answered with whether more is left.
pub(super) struct ClearAway;

impl Message for ClearAway {
    type Result = bool;
}

impl Handler<ClearAway> for CacheManager {
    type Result = bool;

    fn handle(&mut self, _: ClearAway, ctx: &mut Context<Self>) -> bool {
        // Where the handover is broken off, it is gone on with.
        let more = !self.is_frozen() && self.clear_away(PORTION, now());
        self.departures.under_way = more;
        self.set_alarm(ctx);
        more
    }
}

impl CacheManager {
    /// Clears away all that is left of lost connections.
    pub(super) fn clear_away_all(&mut self) {
        self.clear_away(usize::MAX, now());
    }

    /// Says whether more is left.
    fn clear_away(&mut self, portion: usize, now: Millis) -> bool {
        let mut left = portion;
        while let Some(departure) = self.departures.queue.front_mut() {
            let Departure { link, next } = *departure;
            let Some(place) = self.spaces.next(next) else {
                self.departures.queue.pop_front();
                continue;
            };
            if left == 0 {
                return true;
            }
            departure.next = place;
            let watches = self.spaces[place].watches.forget(link, left);
            self.watches -= watches;
            left -= watches;
            if left > 0 {
                departure.next = place + 1;
                left -= 1;
                self.lose_leases_in(place, link, now);
            }
        }
        false
    }

    /// The leases of a connection go to the next ones who wait, and none of them waits over it.
    pub(super) fn lose_leases_in(&mut self, place: usize, link: LinkId, now: Millis) {
        let Self {
            spaces,
            sequence,
            links,
            ..
        } = self;
        let mut number = || sequence.next();
        let granted = spaces[place].leases.forget(link, &mut number, now);
        if granted.is_empty() {
            return;
        }
        for (_, heir, lease) in granted {
            let answer = Answer::Lease { lease, stale: &[] };
            links.answer(heir.link, heir.number, answer);
        }
        spaces.note_end(place);
    }
}
