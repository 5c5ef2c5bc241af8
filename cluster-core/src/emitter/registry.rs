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

/// Takes the one answer to a question; dropped without, the question is answered as abandoned.
pub(crate) struct Replier<T>(Option<SendReply<T>>);

type SendReply<T> = Box<dyn FnOnce(Result<T, Verdict>) + Send>;

impl<T> Replier<T> {
    pub(crate) fn new(send: impl FnOnce(Result<T, Verdict>) + Send + 'static) -> Self {
        Replier(Some(Box::new(send)))
    }

    pub(crate) fn reply(mut self, result: Result<T, Verdict>) {
        if let Some(send) = self.0.take() {
            send(result);
        }
    }
}

impl<T> Drop for Replier<T> {
    fn drop(&mut self) {
        if let Some(send) = self.0.take() {
            send(Err(Verdict::Abandoned));
        }
    }
}

struct Listener<E> {
    number: u64,
    /// Set when it is to hear one event only; taken by the first.
    once: Option<AtomicBool>,
    call: OnEvent<E>,
}

trait AnyEvent: Any + Send + Sync {
    fn kind(&self) -> Kind;
    /// Reads and delivers; the error is that it cannot be read.
    fn deliver(&self, from: ProcessId, tag: TypeTag, payload: &[u8]) -> Result<usize, Unreadable>;
    fn remove(&self, number: u64);
    fn clear(&self);
    fn reported(&self) -> &AtomicBool;
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
    list: RwLock<Arc<Vec<Arc<Listener<E>>>>>,
    reported: AtomicBool,
}

impl<E: Event> Listeners<E> {
    fn call(&self, event: E, from: ProcessId) -> usize {
        let list = Arc::clone(&self.list.read());
        let mut heard = 0;
        let mut spent = false;
        let mut event = Some(event);
        for (i, listener) in list.iter().enumerate() {
            if let Some(once) = &listener.once {
                if once.swap(true, Ordering::Relaxed) {
                    continue;
                }
                spent = true;
            }
            let last = i + 1 == list.len();
            if let Some(event) = if last { event.take() } else { event.clone() } {
                (listener.call)(event, from);
                heard += 1;
            }
        }
        if spent {
            self.retain(|l| !l.once.as_ref().is_some_and(|o| o.load(Ordering::Relaxed)));
        }
        heard
    }

    fn retain(&self, keep: impl Fn(&Listener<E>) -> bool) {
        let mut list = self.list.write();
        let kept = Arc::new(list.iter().filter(|l| keep(l)).cloned().collect());
        let old = std::mem::replace(&mut *list, kept);
        drop(list);
        // Outside of the lock: what a listener owns may come back here when it is dropped.
        drop(old);
    }
}

impl<E: Event> AnyEvent for Listeners<E> {
    fn kind(&self) -> Kind {
        E::KIND
    }
    fn deliver(&self, from: ProcessId, tag: TypeTag, payload: &[u8]) -> Result<usize, Unreadable> {
        Ok(self.call(read(E::KIND, tag, payload)?, from))
    }
    fn remove(&self, number: u64) {
        self.retain(|l| l.number != number);
    }
    fn clear(&self) {
        self.retain(|_| false);
    }
    fn reported(&self) -> &AtomicBool {
        &self.reported
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
        answer: RemoteAnswer,
    ) -> Result<(), Unreadable>;
    fn as_any(&self) -> &dyn Any;
}

/// Sends an answer on its way to another process: `write` appends the reply in the format that the question came in.
pub(crate) type RemoteAnswer = Box<dyn FnOnce(Verdict, Format, &WriteReply<'_>) + Send>;
pub(crate) type WriteReply<'a> = dyn Fn(&mut Vec<u8>) -> Result<(), codec::CodecError> + 'a;

struct Answerer<R: Request>(OnRequest<R>);

impl<R: Request> AnyRequest for Answerer<R> {
    fn ask(
        &self,
        from: ProcessId,
        tag: TypeTag,
        payload: &[u8],
        answer: RemoteAnswer,
    ) -> Result<(), Unreadable> {
        let request: R = match read(R::KIND, tag, payload) {
            Ok(request) => request,
            Err(e) => {
                answer(Verdict::Undecodable, tag.format, &|_| Ok(()));
                return Err(e);
            }
        };
        let format = tag.format;
        let replier = Replier::new(move |result: Result<R::Reply, Verdict>| match result {
            Ok(reply) => answer(Verdict::Answered, format, &|out| write(format, &reply, out)),
            Err(verdict) => answer(verdict, format, &|_| Ok(())),
        });
        (self.0)(request, from, replier);
        Ok(())
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
        let entry = events.entry(E::KIND.id).or_insert_with(|| {
            let listeners: Listeners<E> = Listeners {
                list: RwLock::default(),
                reported: AtomicBool::new(false),
            };
            Arc::new(listeners)
        });
        let Some(listeners) = entry.as_any().downcast_ref::<Listeners<E>>() else {
            panic!(
                "two event types are named {:?}: give one of them another name with #[event(name = \"..\")]",
                E::KIND.name
            );
        };
        let mut list = listeners.list.write();
        let mut longer: Vec<_> = list.iter().cloned().collect();
        longer.push(Arc::new(listener));
        *list = Arc::new(longer);
        number
    }

    pub(crate) fn unlisten(&self, id: u64, number: u64) {
        let entry = self.events.read().get(&id).cloned();
        if let Some(entry) = entry {
            entry.remove(number);
        }
    }

    pub(crate) fn unlisten_all(&self, id: u64) {
        let entry = self.events.read().get(&id).cloned();
        if let Some(entry) = entry {
            entry.clear();
        }
    }

    /// Sets who answers a kind of request; a later one replaces an earlier one.
    pub(crate) fn answer<R: Request>(&self, call: OnRequest<R>) {
        let replaced = self
            .requests
            .write()
            .insert(R::KIND.id, Arc::new(Answerer(call)));
        // Outside of the lock, as for listeners.
        drop(replaced);
    }

    /// Delivers an event of this process to itself.
    pub(crate) fn deliver_local<E: Event>(&self, event: E, from: ProcessId) {
        let entry = self.events.read().get(&E::KIND.id).cloned();
        let listeners = entry
            .as_ref()
            .and_then(|e| e.as_any().downcast_ref::<Listeners<E>>());
        let heard = listeners.map_or(0, |l| l.call(event, from));
        self.count(heard);
    }

    /// Delivers an event that has come from another process.
    pub(crate) fn deliver(&self, from: ProcessId, tag: TypeTag, payload: &[u8]) {
        let entry = self.events.read().get(&tag.id).cloned();
        let Some(entry) = entry else {
            self.count(0);
            return;
        };
        match entry.deliver(from, tag, payload) {
            Ok(heard) => self.count(heard),
            Err(e) => {
                self.counters.undecodable.fetch_add(1, Ordering::Relaxed);
                if !entry.reported().swap(true, Ordering::Relaxed) {
                    warn!(event = entry.kind().name, %from, error = %e, "an event cannot be read; further ones of its kind are only counted");
                }
            }
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
            Some(answerer) => (answerer.0)(request, from, replier),
            None => replier.reply(Err(Verdict::NoHandler)),
        }
    }

    /// Hands a question that has come from another process to its answerer.
    pub(crate) fn ask(&self, from: ProcessId, tag: TypeTag, payload: &[u8], answer: RemoteAnswer) {
        let entry = self.requests.read().get(&tag.id).cloned();
        let Some(entry) = entry else {
            answer(Verdict::NoHandler, tag.format, &|_| Ok(()));
            return;
        };
        if let Err(e) = entry.ask(from, tag, payload, answer) {
            self.counters.undecodable.fetch_add(1, Ordering::Relaxed);
            warn!(%from, error = %e, "a request cannot be read");
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
