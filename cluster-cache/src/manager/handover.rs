//! Handing over to a successor: a process, of a newer build as a rule, that was started to take this one's place.
//!
//! ```text
//! successor               manager
//! HandOver ────────────▶
//!          ◀──────────── Done, or Refused
//!          ◀──────────── entries, while it serves on; and those again that have changed since, until few are left
//!                         from here on those wait who ask a session store that has a thread, and then all its clients
//!          ◀──────────── the rest: entries, namespaces, leases, versions
//! TakeOver ────────────▶
//!          ◀──────────── Done, and with it the listening socket and the file of what is kept
//! serves                  tells its clients to come again, and ends
//! ```
//!
//! Until that last answer has set out the manager can go back: where the successor dies, gives up or is silent, clients are heard
//! again, and have noticed a pause at most. From then on it does nothing any more, whatever becomes of the successor. Who waits for a
//! load is not handed over, as the answer goes over a connection that is not: a client asks again.

mod give;
mod take;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use actix::{AsyncContext, Context, Handler};
use cluster_core::endpoint::{Messages, SendError};
use tokio::sync::oneshot;
use tracing::info;

use super::CacheManager;
use super::intake::{Doors, Intook};
use super::persistence::Kept;
use crate::protocol::{Part, Refusal, Stored};
use crate::store::Handed;
use crate::table::Sent;
pub(super) use give::give;
pub(crate) use take::{Taken, take_over};

/// Places that are sent in one turn at most, and about how many bytes: questions have their turns in between.
const PORTION: (usize, usize) = (1000, 128 * 1024);
/// So few places, and bytes, are sent while clients wait.
const FEW: (usize, usize) = (1000, 1024 * 1024);
/// How often what has changed is sent again before clients have to wait for more: entries may change as fast as they are sent.
const ROUNDS: u32 = 20;

/// A handover under way.
pub(super) struct Handing {
    stage: Stage,
    /// Where to go on: the place of a namespace, and that of an entry in it.
    at: (usize, usize),
    rounds: u32,
    /// What is kept, once nothing is written any more.
    kept: Option<Handed>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Clients are heard meanwhile.
    Serving,
    /// Nothing changes any more: the last entries are sent.
    Entries,
    /// And all the rest.
    Spaces,
    /// Another process serves.
    Left,
}

/// A successor asks for everything.
struct Begin;

impl actix::Message for Begin {
    type Result = Result<(), Refusal>;
}

/// Puts together what is to be sent next.
struct SendSome;

impl actix::Message for SendSome {
    type Result = Result<Portion, SendError>;
}

struct Portion {
    messages: Messages,
    /// While clients are heard: little is left. While they wait: nothing is.
    is_last: bool,
}

/// The session stores that have threads are to come to rest, which may take a store as long as an operation of it takes. Answers with
/// what tells that each does.
struct HoldStores;

impl actix::Message for HoldStores {
    type Result = Vec<oneshot::Receiver<()>>;
}

/// Nothing is to change any more, and the stores rest. Answers with the file of what is kept.
struct Freeze;

impl actix::Message for Freeze {
    type Result = io::Result<Option<OwnedFd>>;
}

/// There is no successor after all.
struct BreakOff;

impl actix::Message for BreakOff {
    type Result = ();
}

/// The successor has everything, and serves. Answers with whom to tell when the last client has left.
struct Leave;

impl actix::Message for Leave {
    type Result = Option<oneshot::Sender<()>>;
}

impl CacheManager {
    /// Whether nothing may change, as a successor is being told the rest or serves already.
    pub(super) fn is_frozen(&self) -> bool {
        let stage = self.handing.as_ref().map(|handing| handing.stage);
        stage.is_some_and(|stage| stage != Stage::Serving)
    }

    /// Adds entries to what is to be sent, from where it was left on; true where the last namespace was reached.
    fn send_entries(
        &mut self,
        handing: &mut Handing,
        messages: &mut Messages,
    ) -> Result<bool, SendError> {
        let (mut left, (from, mut place)) = (PORTION.0, handing.at);
        let mut at = from;
        while let Some(found) = self.spaces.next(at) {
            if found != from {
                place = 0;
            }
            let space = self.spaces.number(found);
            let table = &mut self.spaces[found].table;
            while let Some(sent) = table.next_unsent(place) {
                place = add(messages, space, sent)?.unwrap_or(place);
                left -= 1;
                if left == 0 || messages.bytes() >= PORTION.1 {
                    handing.at = (found, place);
                    return Ok(false);
                }
            }
            at = found + 1;
        }
        handing.at = (0, 0);
        Ok(true)
    }

    /// How many places are yet to be sent.
    fn unsent(&self) -> usize {
        self.spaces.iter().map(|(_, s)| s.table.unsent()).sum()
    }

    /// Whether so little is yet to be sent that clients can wait for it.
    fn is_little_unsent(&self) -> bool {
        let bytes = || self.spaces.iter().map(|(_, s)| s.table.unsent_bytes());
        self.unsent() <= FEW.0 && bytes().sum::<usize>() <= FEW.1
    }

    /// Adds namespaces with their leases, and what there is besides; true where that was all.
    fn send_spaces(
        &self,
        handing: &mut Handing,
        messages: &mut Messages,
    ) -> Result<bool, SendError> {
        while let Some(at) = self.spaces.next(handing.at.0) {
            let space = &self.spaces[at];
            messages.add(&Part::Space {
                space: self.spaces.number(at),
                name: &space.name,
                options: space.options.clone(),
                built_ms: space.built_ms,
                kept: space.kept,
                version: space.version,
                stat: space.figures(),
            })?;
            for (key, lease, deadline) in space.leases.iter() {
                messages.add(&Part::Lease {
                    key,
                    lease,
                    deadline,
                })?;
            }
            handing.at.0 = at + 1;
            if messages.bytes() >= PORTION.1 {
                return Ok(false);
            }
        }
        let store = handing.kept.as_ref().map(|kept| Stored {
            path: kept.path.as_os_str().as_bytes(),
            length: kept.length,
            torn: kept.torn,
            doubtful: kept.doubtful,
        });
        messages.add(&Part::End {
            version: self.sequence.last(),
            unbroken_since: self.unbroken_since,
            settling: self.settling.is_some(),
            store,
        })?;
        Ok(true)
    }

    fn send_some(&mut self, handing: &mut Handing) -> Result<Portion, SendError> {
        let mut messages = Messages::new();
        let is_last = match handing.stage {
            Stage::Serving => {
                let round = self.send_entries(handing, &mut messages)?;
                handing.rounds += u32::from(round);
                round && (handing.rounds >= ROUNDS || self.is_little_unsent())
            }
            Stage::Entries => {
                if self.send_entries(handing, &mut messages)? {
                    handing.stage = Stage::Spaces;
                }
                false
            }
            Stage::Spaces => self.send_spaces(handing, &mut messages)?,
            Stage::Left => true,
        };
        Ok(Portion { messages, is_last })
    }
}

/// Adds an entry; gives back from which place on the next one is to be looked for, where that has changed.
fn add(messages: &mut Messages, space: u32, sent: Sent<'_>) -> Result<Option<usize>, SendError> {
    let number = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
    let at = match sent {
        Sent::Cleared => {
            messages.add(&Part::Cleared { space })?;
            None
        }
        Sent::Vacant(at) => {
            let place = number(at);
            messages.add(&Part::Vacant { space, place })?;
            Some(at)
        }
        Sent::Entry(at, entry) => {
            messages.add(&Part::Entry {
                space,
                place: number(at),
                key: entry.key(),
                value: entry.value(),
                persist: entry.persist,
                read: entry.read,
                expires: entry.expires(),
                version: entry.version(),
            })?;
            Some(at)
        }
    };
    Ok(at.map(|at| at + 1))
}

impl Handler<Begin> for CacheManager {
    type Result = Result<(), Refusal>;

    fn handle(&mut self, _: Begin, _: &mut Context<Self>) -> Self::Result {
        if !self.options.hands_over {
            return Err(Refusal::NotHandedOver);
        }
        if self.handing.is_some() {
            return Err(Refusal::HandingOver);
        }
        for (_, space) in self.spaces.iter_mut() {
            space.table.begin_sending();
        }
        self.handing = Some(Handing {
            stage: Stage::Serving,
            at: (0, 0),
            rounds: 0,
            kept: None,
        });
        // Of documents nothing else is handed over: what their files have not, processes know.
        self.write_documents();
        Ok(())
    }
}

impl Handler<SendSome> for CacheManager {
    type Result = Result<Portion, SendError>;

    fn handle(&mut self, _: SendSome, _: &mut Context<Self>) -> Self::Result {
        let Some(mut handing) = self.handing.take() else {
            return Err(SendError::Closed);
        };
        let portion = self.send_some(&mut handing);
        self.handing = Some(handing);
        portion
    }
}

impl Handler<HoldStores> for CacheManager {
    type Result = Vec<oneshot::Receiver<()>>;

    fn handle(&mut self, _: HoldStores, _: &mut Context<Self>) -> Self::Result {
        match self.handing {
            Some(_) => self.stores.hold(),
            None => Vec::new(),
        }
    }
}

impl Handler<Freeze> for CacheManager {
    type Result = io::Result<Option<OwnedFd>>;

    fn handle(&mut self, _: Freeze, ctx: &mut Context<Self>) -> Self::Result {
        self.rest_documents(true, ctx);
        let left = self.unsent();
        let Some(handing) = &mut self.handing else {
            return Ok(None);
        };
        info!(
            rounds = handing.rounds,
            left, "clients wait for the rest of the cache to be handed over"
        );
        self.intake.set_doors(Doors::Shut);
        handing.stage = Stage::Entries;
        handing.kept = self.kept.hand_over();
        let kept = handing.kept.as_ref();
        kept.map(|kept| Ok(kept.file.try_clone()?.into()))
            .transpose()
    }
}

impl Handler<BreakOff> for CacheManager {
    type Result = ();

    fn handle(&mut self, _: BreakOff, ctx: &mut Context<Self>) {
        let was_frozen = self.is_frozen();
        let Some(handing) = self.handing.take() else {
            return;
        };
        for (_, space) in self.spaces.iter_mut() {
            space.table.end_sending();
        }
        self.stores.resume();
        if was_frozen {
            self.kept = Kept::resume(handing.kept);
            self.intake.set_doors(Doors::Open);
            // What has come and waited.
            ctx.notify(Intook);
            self.set_alarm(ctx);
            self.rest_documents(false, ctx);
        }
    }
}

impl Handler<Leave> for CacheManager {
    type Result = actix::MessageResult<Leave>;

    fn handle(&mut self, _: Leave, _: &mut Context<Self>) -> Self::Result {
        if let Some(handing) = &mut self.handing {
            handing.stage = Stage::Left;
            handing.kept = None;
        }
        self.intake.set_doors(Doors::Left);
        self.stores.leave();
        self.links.move_all(self.sequence.last());
        self.leave_documents();
        // They are gone with the process. To take them down one by one would keep the successor from a core for as long.
        std::mem::forget(std::mem::take(&mut self.spaces));
        (self.bytes, self.watches) = (0, 0);
        actix::MessageResult(self.superseded.take())
    }
}
