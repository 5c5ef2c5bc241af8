//! One look at the cluster a second for all pages that are open, and none where none is.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix_web::web::Bytes;
use cluster_cache::Stat;
use cluster_core::{Cluster, WorkerId};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::patch;
use super::picture::{Clock, picture};
use crate::monitor::actions::ACTIONS;
use crate::monitor::caches;
use crate::monitor::chronicle::{Chronicle, Memory, POINTS, SPAN, unix_ms};

/// Pages, and watches of caches, that may be open at once; a further one is refused.
const PLACES: usize = 128;
/// Messages that may wait for a page; one that is further behind is cut off, and comes again for all of it.
const BEHIND: usize = 32;
/// Between two looks.
const RHYTHM: Duration = Duration::from_secs(1);
/// What happened is told this soon: what happens together is told together.
const SOON: Duration = Duration::from_millis(200);
/// Looks without news after which a page is told that somebody is still there.
const QUIET: u32 = 10;
/// Looks between two at the caches.
const CACHES_EVERY: u32 = 2;

/// What pages are told. Clones are the same.
#[derive(Clone)]
pub(in crate::monitor) struct Feed(Rc<Inner>);

struct Inner {
    cluster: Cluster,
    chronicle: Chronicle,
    needs_token: bool,
    clock: Clock,
    places: Arc<Semaphore>,
    over: watch::Sender<bool>,
    caches: RefCell<BTreeMap<String, Stat>>,
    asking: Cell<bool>,
    live: RefCell<Option<Live>>,
}

/// What the pages that are open know.
struct Live {
    tell: broadcast::Sender<Bytes>,
    picture: Value,
    /// The number of the last event.
    told: u64,
    /// Points told of each worker.
    points: BTreeMap<WorkerId, u64>,
}

impl Feed {
    pub(in crate::monitor) fn new(
        cluster: Cluster,
        chronicle: Chronicle,
        needs_token: bool,
    ) -> Self {
        Feed(Rc::new(Inner {
            cluster,
            chronicle,
            needs_token,
            clock: Clock::begin(),
            places: Arc::new(Semaphore::new(PLACES)),
            over: watch::Sender::new(false),
            caches: RefCell::default(),
            asking: Cell::new(false),
            live: RefCell::default(),
        }))
    }

    /// A place for one more page; none where all are taken.
    pub(in crate::monitor) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.places).try_acquire_owned().ok()
    }

    /// Ends all that is streamed.
    pub(in crate::monitor) fn end(&self) {
        self.0.over.send_replace(true);
    }

    /// Resolves when all that is streamed ends.
    pub(in crate::monitor) fn over(&self) -> impl Future<Output = ()> + use<> {
        let mut over = self.0.over.subscribe();
        async move {
            let _ = over.wait_for(|over| *over).await;
        }
    }

    /// All there is to know, and what comes after it.
    pub(super) fn subscribe(&self) -> (Bytes, broadcast::Receiver<Bytes>) {
        let mut live = self.0.live.borrow_mut();
        let live = live.get_or_insert_with(|| {
            actix_rt::spawn(produce(self.clone()));
            self.0.begin()
        });
        let told = live.tell.subscribe();
        (self.0.all(live), told)
    }
}

/// Looks again and again until nobody is there any more.
async fn produce(feed: Feed) {
    let mut looks = interval(RHYTHM);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut over = std::pin::pin!(feed.over());
    let (mut count, mut quiet) = (0_u32, 0);
    loop {
        if count % CACHES_EVERY == 0 {
            ask_caches(&feed.0);
        }
        count = count.wrapping_add(1);
        tokio::select! {
            _ = looks.tick() => {}
            () = feed.0.chronicle.happens() => sleep(SOON).await,
            () = &mut over => return,
        }
        let mut place = feed.0.live.borrow_mut();
        let Some(live) = place.as_mut().filter(|live| live.tell.receiver_count() > 0) else {
            *place = None;
            return;
        };
        quiet += 1;
        let news = feed
            .0
            .news(live)
            .or_else(|| (quiet >= QUIET).then(|| Bytes::from_static(b": still here\n\n")));
        if let Some(news) = news {
            quiet = 0;
            // Somebody was there a moment ago.
            let _ = live.tell.send(news);
        }
    }
}

/// Asks for the figures of the caches, beside the looks: a cache manager that does not answer holds up nothing else.
fn ask_caches(inner: &Rc<Inner>) {
    if inner.asking.replace(true) {
        return;
    }
    let inner = Rc::clone(inner);
    actix_rt::spawn(async move {
        let figures = timeout(RHYTHM * CACHES_EVERY, caches::figures(&inner.cluster)).await;
        if let Ok(figures) = figures {
            inner.caches.replace(figures);
        }
        inner.asking.set(false);
    });
}

impl Inner {
    fn begin(&self) -> Live {
        let (tell, _) = broadcast::channel(BEHIND);
        let mut live = Live {
            tell,
            picture: Value::Null,
            told: 0,
            points: BTreeMap::new(),
        };
        self.chronicle.look(|memory| {
            live.picture = self.picture(memory);
            live.told = memory.last();
            live.points = memory
                .beats()
                .filter_map(|(id, _)| Some((id, memory.track(id)?.count)))
                .collect();
        });
        live
    }

    fn picture(&self, memory: &Memory) -> Value {
        let (options, state) = (self.cluster.options(), self.cluster.state());
        picture(self.clock, options, &state, memory, &self.caches.borrow())
    }

    /// What a page needs that has just been opened: what the others were last told.
    fn all(&self, live: &Live) -> Bytes {
        let (events, points) = self.chronicle.look(|memory| {
            let events = serde_json::to_value(&memory.events).unwrap_or_default();
            (events, points(memory, |_| 0))
        });
        let all = json!({
            "now": unix_ms(SystemTime::now()),
            "picture": live.picture,
            "events": events,
            "points": points,
            "span_ms": SPAN.as_millis() as u64,
            "most_points": POINTS,
            "actions": ACTIONS,
            "needs_token": self.needs_token,
        });
        Bytes::from(format!("event: all\ndata: {all}\n\n"))
    }

    /// What has changed since the last look.
    fn news(&self, live: &mut Live) -> Option<Bytes> {
        let mut news = json!({});
        self.chronicle.look(|memory| {
            let picture = self.picture(memory);
            if let Some(patch) = patch::between(&live.picture, &picture) {
                news["patch"] = patch;
                live.picture = picture;
            }
            let events: Vec<_> = memory.since(live.told).collect();
            if !events.is_empty() {
                news["events"] = serde_json::to_value(events).unwrap_or_default();
                live.told = memory.last();
            }
            let new = points(memory, |worker| {
                live.points.get(&worker).copied().unwrap_or_default()
            });
            if new.as_object().is_some_and(|new| !new.is_empty()) {
                news["points"] = new;
                live.points = memory
                    .beats()
                    .filter_map(|(id, _)| Some((id, memory.track(id)?.count)))
                    .collect();
            }
        });
        let is_news = news.as_object().is_some_and(|news| !news.is_empty());
        is_news.then(|| Bytes::from(format!("event: news\ndata: {news}\n\n")))
    }
}

/// The points of each worker after so many, with how many there have been in all.
fn points(memory: &Memory, known: impl Fn(WorkerId) -> u64) -> Value {
    let tracks = memory
        .beats()
        .filter_map(|(id, _)| Some((id, memory.track(id)?)));
    let new = tracks.filter_map(|(id, track)| {
        let known = known(id);
        let points: Vec<_> = track.points_after(known).collect();
        (!points.is_empty()).then(|| {
            (
                id.to_string(),
                json!({ "count": track.count, "points": points }),
            )
        })
    });
    Value::Object(new.collect())
}
