//! The cache manager.
//!
//! *Owns* the namespaces and, in them, entries, leases and watches; and the documents. *Hears* the questions of every connection, and what the
//! cluster asks of it. *Tells* its askers, those who wait for a load, and those who watch.
//!
//! The manager and its connections share one arbiter. What the connections have read waits in one buffer, in the order of its
//! coming; one wake-up hands the manager all of it. An answer is written from the table straight into the queue of its connection.

mod ahead;
mod departures;
mod documents;
mod entries;
mod handover;
mod intake;
mod links;
mod loads;
mod persistence;
mod sequence;
mod sessions;
mod space;
mod spaces;
mod turn;

use std::convert::Infallible;
use std::future::pending;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use actix::{
    Actor, ActorContext, Addr, AsyncContext, Context, Handler, MessageResult, SpawnHandle,
};
use actix_rt::task::JoinHandle;
use cluster_core::HandlerActor;
use cluster_core::endpoint::ServiceSocket;
use futures_util::future::join_all;
use tokio::sync::oneshot;
use tracing::{debug, info};

use crate::lease::{LinkId, NOBODY};
use crate::protocol::{Meta, MetaReply};
use crate::store::{Store, StoreError};
use crate::table::Millis;
use departures::Departures;
use documents::{Documents, Rest};
use handover::Handing;
pub(crate) use handover::{Taken, take_over};
use intake::{Intake, Intook};
use links::{Deferred, Links};
pub(crate) use persistence::Kept;
use sequence::Sequence;
pub(crate) use sessions::{StoreFigures, Stores};
use spaces::Spaces;

/// Namespaces at most.
const MOST_SPACES: usize = 4096;
/// How long a manager that follows another waits for the claims of those who hold its leases.
const SETTLING: Duration = Duration::from_millis(SETTLING_MS);
const SETTLING_MS: u64 = 500;

/// What a manager is to be like.
#[derive(Clone, Debug, Default)]
pub(crate) struct ManagerOptions {
    /// How many bytes all namespaces may take together.
    pub(crate) max_bytes: Option<usize>,
    /// Another manager was here before, and did not end in peace.
    pub(crate) follows_crash: bool,
    /// It hands over to a process that is to take its place, and that asks for it.
    pub(crate) hands_over: bool,
}

/// What a manager begins with.
struct Beginnings {
    kept: Kept,
    spaces: Spaces,
    /// The last version.
    version: u64,
    /// From which version on all changes are known.
    unbroken_since: u64,
    /// There may be leases that it does not know of.
    settling: bool,
    /// There may be leases of which it does not know who holds them.
    unclaimed: bool,
}

/// A question that waits until it is known which keys are being loaded.
struct Parked {
    link: LinkId,
    number: u64,
    space: usize,
    key: Box<str>,
    load_ms: u64,
}

/// The one owner of the shared cache.
#[derive(HandlerActor)]
#[handles(Meta)]
pub struct CacheManager {
    started: Instant,
    options: ManagerOptions,
    kept: Kept,
    intake: Intake,
    links: Links,
    departures: Departures,
    spaces: Spaces,
    stores: Stores,
    /// What all entries take together.
    bytes: usize,
    /// The watches in all namespaces.
    watches: usize,
    /// Begins with the time, so that it goes on rising over restarts.
    sequence: Sequence,
    /// From this version on all changes are known.
    unbroken_since: u64,
    settling: Option<Vec<Parked>>,
    documents: Documents,
    handing: Option<Handing>,
    /// Told when another process serves in this one's place.
    superseded: Option<oneshot::Sender<()>>,
    /// When the next entry or lease may be over, and what wakes the manager then.
    alarm: Option<(Millis, SpawnHandle)>,
    /// Dropped with the manager: nobody is let in any more.
    _here: oneshot::Sender<Infallible>,
}

/// A manager that serves, seen from where it was started.
pub(crate) struct Serves {
    pub(crate) manager: Addr<CacheManager>,
    listening: JoinHandle<()>,
    superseded: Option<oneshot::Receiver<()>>,
}

impl Serves {
    /// Resolves when another process serves in its place, and its clients have left; only the first call is told.
    pub(crate) fn superseded(&mut self) -> impl Future<Output = ()> + use<> {
        let superseded = self.superseded.take();
        async move {
            if let Some(superseded) = superseded
                && superseded.await.is_ok()
            {
                return;
            }
            pending().await
        }
    }

    /// Ends it; resolves when its socket is gone, and when what its session stores were asked is done.
    pub(crate) async fn end(self) {
        // Each is refused where the manager has ended already.
        let _ = self.manager.send(Rest).await;
        let stores = self.manager.send(End).await;
        let _ = self.listening.await;
        join_all(stores.unwrap_or_default()).await;
    }
}

/// Ends the manager. Answers with what tells that each store has ended which has a thread.
struct End;

impl actix::Message for End {
    type Result = Vec<oneshot::Receiver<()>>;
}

impl CacheManager {
    /// A manager with nothing in it, at a socket.
    ///
    /// # Errors
    ///
    /// That what was kept by an earlier one cannot be read.
    pub(crate) fn start_at(
        socket: ServiceSocket,
        options: ManagerOptions,
        store: Option<Box<dyn Store>>,
        stores: Stores,
    ) -> Result<Serves, StoreError> {
        let (kept, restored) = Kept::restore(store)?;
        if options.follows_crash {
            info!("the cache manager follows one that crashed: its leases are claimed first");
        }
        // Microseconds: more changes than one in each would take a machine of another kind.
        let version = restored.version.max(now().saturating_mul(1000));
        let beginnings = Beginnings {
            kept,
            spaces: restored.spaces,
            version,
            unbroken_since: version,
            settling: options.follows_crash,
            unclaimed: false,
        };
        Ok(CacheManager::begin(socket, options, beginnings, stores))
    }

    /// A manager in the place of one that has handed over.
    pub(crate) fn start_after(taken: Taken, options: ManagerOptions, stores: Stores) -> Serves {
        let (socket, beginnings) = taken.split();
        CacheManager::begin(socket, options, beginnings, stores)
    }

    fn begin(
        socket: ServiceSocket,
        options: ManagerOptions,
        beginnings: Beginnings,
        stores: Stores,
    ) -> Serves {
        let (here, gone) = oneshot::channel();
        let (superseded, is_superseded) = oneshot::channel();
        let mut listening = None;
        let manager = CacheManager::create(|ctx| {
            let intake = Intake::new(ctx.address());
            let listen = intake::listen(socket, intake.clone(), gone);
            listening = Some(actix_rt::spawn(listen));
            if beginnings.settling || beginnings.unclaimed {
                Self::settle_later(ctx);
            }
            let follows = beginnings.settling || beginnings.unclaimed;
            let settling = if follows { now() + SETTLING_MS } else { 0 };
            let documents = Documents::settling_until(settling);
            let sequence = Sequence::after(beginnings.version);
            let spaces = beginnings.spaces;
            let mut manager = CacheManager {
                started: Instant::now(),
                options,
                kept: beginnings.kept,
                intake,
                links: Links::new(sequence.clone()),
                departures: Departures::default(),
                bytes: spaces.iter().map(|(_, s)| s.table.bytes()).sum(),
                watches: 0,
                spaces,
                stores,
                sequence,
                unbroken_since: beginnings.unbroken_since,
                settling: beginnings.settling.then(Vec::new),
                documents,
                handing: None,
                superseded: Some(superseded),
                alarm: None,
                _here: here,
            };
            manager.settle_stores();
            manager.set_alarm(ctx);
            manager
        });
        Serves {
            manager,
            listening: listening.unwrap_or_else(|| actix_rt::spawn(async {})),
            superseded: Some(is_superseded),
        }
    }

    /// A number that is larger than all before.
    fn next(&self) -> u64 {
        self.sequence.next()
    }

    fn meta(&self) -> MetaReply {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        MetaReply {
            pid: std::process::id(),
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            namespaces: count(self.spaces.len()),
            entries: count(self.spaces.iter().map(|(_, s)| s.table.len()).sum()),
            bytes: count(self.bytes),
        }
    }

    /// Sees to it that leases are settled when there was time to claim them.
    fn settle_later(ctx: &mut Context<Self>) {
        ctx.run_later(SETTLING, |this, ctx| {
            if this.is_frozen() {
                // Should it come to that, the successor gives its own time for it.
                return Self::settle_later(ctx);
            }
            let now = now();
            let places: Vec<usize> = this.spaces.iter().map(|(place, _)| place).collect();
            for place in places {
                this.lose_leases_in(place, NOBODY, now);
            }
            this.settle(now);
            this.set_alarm(ctx);
        });
    }

    /// Sees to it that the manager wakes when the next entry or lease is over.
    fn set_alarm(&mut self, ctx: &mut Context<Self>) {
        let next = self.spaces.next_end().map(|(at, _)| at);
        if self.alarm.as_ref().map(|(at, _)| *at) == next {
            return;
        }
        if let Some((_, alarm)) = self.alarm.take() {
            ctx.cancel_future(alarm);
        }
        if let Some(at) = next {
            let wait = Duration::from_millis(at.saturating_sub(now()));
            let alarm = ctx.run_later(wait, |this, ctx| {
                this.alarm = None;
                if !this.is_frozen() {
                    this.end_what_is_over();
                    this.set_alarm(ctx);
                }
            });
            self.alarm = Some((at, alarm));
        }
    }
}

/// The wall clock.
fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

impl Handler<Intook> for CacheManager {
    type Result = ();

    fn handle(&mut self, _: Intook, ctx: &mut Context<Self>) {
        if self.is_frozen() {
            return;
        }
        let work = self.intake.take();
        let now = now();
        // One sync for all that is asked in one turn; nobody is told anything before.
        let syncs = self.kept.syncs();
        if syncs {
            self.links.hold();
        }
        for (n, come) in work.come.iter().enumerate() {
            if n % ahead::WINDOW == 0 {
                self.fetch_ahead(&work.come[n..], &work.bytes);
            }
            match *come {
                intake::Come::Opened {
                    link,
                    ref sender,
                    pid,
                } => {
                    debug!(pid, "a client of the cache has connected");
                    self.links.open(link, sender.clone(), pid);
                }
                intake::Come::Asked { link, ref bytes } => {
                    let asked = &work.bytes[bytes.clone()];
                    match self.links.defer(link, asked) {
                        Deferred::No => self.hear(link, asked, now),
                        Deferred::First(sender) => self.intake.tell_when_drained(link, sender),
                        Deferred::Too => {}
                    }
                }
                intake::Come::Drained { link } => {
                    while let Some(asked) = self.links.next_deferred(link) {
                        self.hear(link, &asked, now);
                    }
                    if let Some(sender) = self.links.still_deferred(link) {
                        self.intake.tell_when_drained(link, sender);
                    }
                }
                intake::Come::Closed { link } => self.lost(link, now),
            }
        }
        self.intake.give_back(work.bytes);
        if syncs {
            let synced = self.kept.sync();
            self.links.release(synced);
        }
        for link in self.links.take_broken() {
            self.lost(link, now);
        }
        self.departures.see_to(ctx.address());
        self.set_alarm(ctx);
        self.set_documents_alarm(ctx);
        self.begin_renewal_if_due(ctx);
    }
}

impl Handler<End> for CacheManager {
    type Result = Vec<oneshot::Receiver<()>>;

    fn handle(&mut self, _: End, ctx: &mut Context<Self>) -> Self::Result {
        ctx.stop();
        self.stores.end()
    }
}

impl Handler<Meta> for CacheManager {
    type Result = MessageResult<Meta>;

    fn handle(&mut self, _: Meta, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.meta())
    }
}
