//! Who in this process listens to which kind of event, and who answers which kind of request.

use std::any::Any;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::RwLock;
use serde::de::DeserializeOwned;
use tracing::warn;

use super::message::{Event, Kind, Request};
use super::replier::{Replier, WayBack};
use crate::id::ProcessId;
use crate::wire::codec;
use crate::wire::message::{Format, TypeTag, Verdict};

/// What happened to messages on arrival; all since the start of the process.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) heard: AtomicU64,
    pub(crate) unheard: AtomicU64,
    pub(crate) undecodable: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) late_answers: AtomicU64,
    pub(crate) unknown_kinds: AtomicU64,
}

/// Ids are hashes already.
#[derive(Default)]
pub(crate) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 keys are hashed")
    }
    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }
}

type ById<T> = HashMap<u64, T, BuildHasherDefault<Identity>>;

pub(crate) type OnEvent<E> = Arc<dyn Fn(E, ProcessId) + Send + Sync>;
pub(crate) type OnRequest<R> =
    Arc<dyn Fn(R, ProcessId, Replier<<R as Request>::Reply>) + Send + Sync>;

struct Listener<E> {
    number: u64,
    /// Set when it is to hear one event only; taken by the first.
    once: Option<AtomicBool>,
    call: OnEvent<E>,
}

/// What became of a delivery.
struct Delivery {
    heard: usize,
    /// A listener that was to hear one event only has heard it.
    spent: bool,
}

/// The listeners of one kind of event. Never changed, but replaced: who delivers holds no lock while it calls them.
trait AnyEvent: Any + Send + Sync {
    fn kind(&self) -> Kind;
    /// Reads and delivers; the error is that it cannot be read.
    fn deliver(
        &self,
        from: ProcessId,
        tag: TypeTag,
        payload: &[u8],
    ) -> Result<Delivery, Unreadable>;
    /// The same without some listeners, by number and by whether they are spent.
    fn without(&self, gone: &dyn Fn(u64, bool) -> bool) -> Arc<dyn AnyEvent>;
    /// Whether this is the first time that one cannot be read.
    fn first_unreadable(&self) -> bool;
    fn as_any(&self) -> &dyn Any;
}

/// Why a payload cannot be read.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("its layout differs and it is not self-describing")]
    Fingerprint,
    #[error(transparent)]
    Codec(#[from] codec::CodecError),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

fn read<T: DeserializeOwned>(kind: Kind, tag: TypeTag, payload: &[u8]) -> Result<T, Unreadable> {
    match tag.format {
        Format::Json => Ok(serde_json::from_slice(payload)?),
        Format::Bincode if tag.fingerprint == kind.fingerprint => Ok(codec::decode(payload)?),
        Format::Bincode => Err(Unreadable::Fingerprint),
    }
}

struct Listeners<E> {
    list: Vec<Arc<Listener<E>>>,
    reported: Arc<AtomicBool>,
}

impl<E: Event> Listeners<E> {
    fn none() -> Self {
        Listeners {
            list: Vec::new(),
            reported: Arc::default(),
        }
    }

    fn with(&self, listener: Listener<E>) -> Self {
        let mut list = self.list.clone();
        list.push(Arc::new(listener));
        Listeners {
            list,
            reported: Arc::clone(&self.reported),
        }
    }

    fn call(&self, event: E, from: ProcessId) -> Delivery {
        let mut delivery = Delivery {
            heard: 0,
            spent: false,
        };
        let mut event = Some(event);
        for (i, listener) in self.list.iter().enumerate() {
            if let Some(once) = &listener.once {
                if once.swap(true, Ordering::Relaxed) {
                    continue;
                }
                delivery.spent = true;
            }
            let last = i + 1 == self.list.len();
            if let Some(event) = if last { event.take() } else { event.clone() } {
                (listener.call)(event, from);
                delivery.heard += 1;
            }
        }
        delivery
    }
}

impl<E: Event> AnyEvent for Listeners<E> {
    fn kind(&self) -> Kind {
        E::KIND
    }
    fn deliver(
        &self,
        from: ProcessId,
        tag: TypeTag,
        payload: &[u8],
    ) -> Result<Delivery, Unreadable> {
        Ok(self.call(read(E::KIND, tag, payload)?, from))
    }
    fn without(&self, gone: &dyn Fn(u64, bool) -> bool) -> Arc<dyn AnyEvent> {
        let spent = |l: &Listener<E>| l.once.as_ref().is_some_and(|o| o.load(Ordering::Relaxed));
        let stays = |l: &&Arc<Listener<E>>| !gone(l.number, spent(l));
        let list = self.list.iter().filter(stays).cloned().collect();
        Arc::new(Listeners {
            list,
            reported: Arc::clone(&self.reported),
        })
    }
    fn first_unreadable(&self) -> bool {
        !self.reported.swap(true, Ordering::Relaxed)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

trait AnyRequest: Any + Send + Sync {
    fn ask(
        &self,
        from: ProcessId,
        tag: TypeTag,
        payload: &[u8],
        way: WayBack,
    ) -> Result<(), Unreadable>;
    /// Its name, the first time that one cannot be read.
    fn first_unreadable(&self) -> Option<&'static str>;
    fn as_any(&self) -> &dyn Any;
}

struct Answerer<R: Request> {
    call: OnRequest<R>,
    reported: AtomicBool,
}

impl<R: Request> AnyRequest for Answerer<R> {
    fn ask(
        &self,
        from: ProcessId,
        tag: TypeTag,
        payload: &[u8],
        way: WayBack,
    ) -> Result<(), Unreadable> {
        let request: R = match read(R::KIND, tag, payload) {
            Ok(request) => request,
            Err(e) => {
                way.refuse(Verdict::Undecodable);
                return Err(e);
            }
        };
        (self.call)(request, from, Replier::there(way));
        Ok(())
    }
    fn first_unreadable(&self) -> Option<&'static str> {
        (!self.reported.swap(true, Ordering::Relaxed)).then_some(R::KIND.name)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Writes a payload in a format.
pub(crate) fn write<T: serde::Serialize>(
    format: Format,
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), codec::CodecError> {
    match format {
        Format::Bincode => codec::encode_into(value, out),
        Format::Json => serde_json::to_writer(&mut *out, value)
            .map_err(|e| codec::CodecError::Encode(Box::new(e))),
    }
}

/// The listeners and answerers of one process.
#[derive(Default)]
pub(crate) struct Registry {
    events: RwLock<ById<Arc<dyn AnyEvent>>>,
    requests: RwLock<ById<Arc<dyn AnyRequest>>>,
    numbers: AtomicU64,
    pub(crate) counters: Counters,
}

impl Registry {
    /// Adds a listener; gives back its number.
    ///
    /// # Panics
    ///
    /// Where another type of the same name is listened to already.
    pub(crate) fn listen<E: Event>(&self, once: bool, call: OnEvent<E>) -> u64 {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let listener = Listener {
            number,
            once: once.then(|| AtomicBool::new(false)),
            call,
        };
        let mut events = self.events.write();
        let longer = match events.get(&E::KIND.id) {
            None => Listeners::none().with(listener),
            Some(entry) => match entry.as_any().downcast_ref::<Listeners<E>>() {
                Some(listeners) => listeners.with(listener),
                None => panic!(
                    "two event types are named {:?}: give one of them another name with #[event(name = \"..\")]",
                    E::KIND.name
                ),
            },
        };
        events.insert(E::KIND.id, Arc::new(longer));
        number
    }

    pub(crate) fn unlisten(&self, id: u64, number: u64) {
        self.remove(id, |other, _| other == number);
    }

    pub(crate) fn unlisten_all(&self, id: u64) {
        self.remove(id, |_, _| true);
    }

    fn remove(&self, id: u64, gone: impl Fn(u64, bool) -> bool) {
        let mut events = self.events.write();
        let before = events.get_mut(&id).map(|entry| {
            let fewer = entry.without(&gone);
            std::mem::replace(entry, fewer)
        });
        // What a listener owns may itself unlisten when it is dropped: not under the lock.
        drop(events);
        drop(before);
    }

    /// Sets who answers a kind of request; a later one replaces an earlier one.
    pub(crate) fn answer<R: Request>(&self, call: OnRequest<R>) {
        let answerer = Answerer {
            call,
            reported: AtomicBool::new(false),
        };
        let replaced = self.requests.write().insert(R::KIND.id, Arc::new(answerer));
        // Outside of the lock, as for listeners.
        drop(replaced);
    }

    /// Delivers an event of this process to itself.
    pub(crate) fn deliver_local<E: Event>(&self, event: E, from: ProcessId) {
        let entry = self.events.read().get(&E::KIND.id).cloned();
        let listeners = entry
            .as_ref()
            .and_then(|e| e.as_any().downcast_ref::<Listeners<E>>());
        match listeners {
            Some(listeners) => self.note(E::KIND.id, &listeners.call(event, from)),
            None => self.count(0),
        }
    }

    /// Delivers an event that has come from another process.
    pub(crate) fn deliver(&self, from: ProcessId, tag: TypeTag, payload: &[u8]) {
        let entry = self.events.read().get(&tag.id).cloned();
        let Some(entry) = entry else {
            self.count(0);
            return;
        };
        match entry.deliver(from, tag, payload) {
            Ok(delivery) => self.note(tag.id, &delivery),
            Err(e) => {
                self.counters.undecodable.fetch_add(1, Ordering::Relaxed);
                if entry.first_unreadable() {
                    warn!(event = entry.kind().name, %from, error = %e, "an event cannot be read; further ones of its kind are only counted");
                }
            }
        }
    }

    fn note(&self, id: u64, delivery: &Delivery) {
        self.count(delivery.heard);
        if delivery.spent {
            self.remove(id, |_, spent| spent);
        }
    }

    /// Hands a question of this process to its own answerer.
    pub(crate) fn ask_local<R: Request>(
        &self,
        request: R,
        from: ProcessId,
        replier: Replier<R::Reply>,
    ) {
        let entry = self.requests.read().get(&R::KIND.id).cloned();
        match entry
            .as_ref()
            .and_then(|e| e.as_any().downcast_ref::<Answerer<R>>())
        {
            Some(answerer) => (answerer.call)(request, from, replier),
            None => replier.reply(Err(Verdict::NoHandler)),
        }
    }

    /// Hands a question that has come from another process to its answerer.
    pub(crate) fn ask(&self, from: ProcessId, tag: TypeTag, payload: &[u8], way: WayBack) {
        let entry = self.requests.read().get(&tag.id).cloned();
        let Some(entry) = entry else {
            way.refuse(Verdict::NoHandler);
            return;
        };
        if let Err(e) = entry.ask(from, tag, payload, way) {
            self.counters.undecodable.fetch_add(1, Ordering::Relaxed);
            if let Some(request) = entry.first_unreadable() {
                warn!(request, %from, error = %e, "a request cannot be read; further ones of its kind are only counted");
            }
        }
    }

    fn count(&self, heard: usize) {
        let counter = if heard == 0 {
            &self.counters.unheard
        } else {
            &self.counters.heard
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
