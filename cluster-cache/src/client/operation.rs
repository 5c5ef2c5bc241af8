//! Operations on their way: they begin when they are awaited, and can be told before how long to wait.

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout_at;

use super::answer::{Bytes, Got, Reply};
use super::flight::{self, Load, Order};
use super::link::{Again, Link, Time};
use super::questions::Outcome;
use super::read::{Found, Reading};
use super::space::Space;
use super::timed::{Span, Timed};
use super::way::{Short, Way, over};
use crate::error::CacheError;
use crate::limits::MOST_KEY_BYTES;
use crate::options::millis;
use crate::protocol::{Keep, Op, Refusal};
use crate::value;

/// A value as it is kept: bytes that can be shown without knowing their type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value(Vec<u8>);

impl Value {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Value(bytes)
    }

    /// The value, as a value of this type; of `serde_json::Value` too.
    ///
    /// # Errors
    ///
    /// That it is none.
    pub fn get<T: DeserializeOwned>(&self) -> Result<T, rmp_serde::decode::Error> {
        value::decode(&self.0)
    }
}

/// What is known of an entry.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Inspected {
    /// The value; none where it is known that there is none.
    pub value: Option<Value>,
    /// Whether it outlives the cache manager.
    pub persist: bool,
    /// How long it is still kept; none where it is kept forever.
    pub left: Option<Duration>,
}

pub(super) fn check_key(space: &Space, key: &str) -> Result<(), CacheError> {
    if key.is_empty() || key.len() > MOST_KEY_BYTES {
        return Err(CacheError::Key {
            namespace: space.name.clone(),
            bytes: key.len(),
        });
    }
    Ok(())
}

pub(super) fn encode<T: Serialize + ?Sized>(
    space: &Space,
    key: &str,
    value: &T,
) -> Result<Bytes, CacheError> {
    let mut bytes = Bytes::none();
    let encoded = value::encode_into(value, bytes.buffer());
    encoded.map_err(|source| CacheError::Encode {
        namespace: space.name.clone(),
        key: key.to_owned(),
        source: Arc::new(source),
    })?;
    let allowed = usize::try_from(space.options.space.max_value_bytes).unwrap_or(usize::MAX);
    if bytes.len() > allowed {
        return Err(CacheError::Value {
            namespace: space.name.clone(),
            key: key.to_owned(),
            bytes: bytes.len(),
            allowed,
        });
    }
    Ok(bytes)
}

pub(super) fn decode<T: DeserializeOwned>(
    space: &Space,
    key: &str,
    bytes: &[u8],
) -> Result<T, CacheError> {
    value::decode(bytes).map_err(|source| CacheError::Decode {
        namespace: space.name.clone(),
        key: key.to_owned(),
        source: Arc::new(source),
    })
}

/// Reads a value: `cache.get::<T>(key).await`.
#[must_use = "it begins when it is awaited"]
pub struct Get<'a, T> {
    space: &'a Arc<Space>,
    key: &'a str,
    reading: Reading<'a>,
    of: PhantomData<fn() -> T>,
}

impl<'a, T> Get<'a, T> {
    pub(super) fn new(space: &'a Arc<Space>, key: &'a str, wait: Duration) -> Self {
        Get {
            space,
            key,
            reading: Reading::new(space, key, false, wait),
            of: PhantomData,
        }
    }

    /// How long it may take.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.reading.wait(wait);
        self
    }
}

impl<T: DeserializeOwned> Future for Get<'_, T> {
    type Output = Result<Option<T>, CacheError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let found = ready!(this.reading.poll_unpin(cx))?;
        let decode = |found: Found| found.decode(this.space, this.key);
        Poll::Ready(found.map(decode).transpose())
    }
}

/// Reads a value that is shared: `cache.get_shared::<T>(key).await`.
#[must_use = "it begins when it is awaited"]
pub struct GetShared<'a, T>(pub(super) Get<'a, T>);

impl<T> GetShared<'_, T> {
    /// How long it may take.
    pub fn wait(self, wait: Duration) -> Self {
        GetShared(self.0.wait(wait))
    }
}

impl<T> Future for GetShared<'_, T>
where
    T: DeserializeOwned + Send + Sync + 'static,
{
    type Output = Result<Option<Arc<T>>, CacheError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let get = &mut self.get_mut().0;
        let found = ready!(get.reading.poll_unpin(cx))?;
        let share = |found: Found| found.share(get.space, get.key);
        Poll::Ready(found.map(share).transpose())
    }
}

/// Sets a value: `cache.set(key, &value).await`; answers whether it was accepted.
#[must_use = "it begins when it is awaited"]
pub struct Set<'a> {
    space: &'a Arc<Space>,
    key: &'a str,
    value: Result<Bytes, CacheError>,
    keep: Keep,
    if_absent: bool,
    wait: Duration,
    way: Way<'a, Result<bool, CacheError>>,
    span: Option<Span>,
}

impl<'a> Set<'a> {
    pub(super) fn new<T: Serialize + ?Sized>(
        space: &'a Arc<Space>,
        key: &'a str,
        value: &T,
        wait: Duration,
    ) -> Self {
        let value = check_key(space, key).and_then(|()| encode(space, key, value));
        Set {
            space,
            key,
            value,
            keep: Keep::default(),
            if_absent: false,
            wait,
            way: Way::Ahead,
            span: None,
        }
    }

    /// How long it may take.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// How long the value is kept, in whole milliseconds; as the namespace's options say, unless set.
    pub fn expire(mut self, after: Duration) -> Self {
        self.keep.expire_ms = Some(millis(after));
        self
    }

    /// Whether the value outlives the cache manager; as the namespace's options say, unless set.
    pub fn persist(mut self, persist: bool) -> Self {
        self.keep.persist = Some(persist);
        self
    }

    /// Only where there is no value.
    pub fn leave_if_not_null(mut self) -> Self {
        self.if_absent = true;
        self
    }
}

impl<'a> Set<'a> {
    fn begin(&mut self) -> Result<Way<'a, Result<bool, CacheError>>, CacheError> {
        let value = match &self.value {
            Ok(value) => value,
            Err(e) => return Err(e.clone()),
        };
        let set = Op::Set {
            key: self.key,
            value,
            keep: self.keep,
            if_absent: self.if_absent,
        };
        let time = Time::from(self.wait);
        let link = Link::of(self.space);
        self.span = link.timed.set();
        let asked = link.ask_at_once(self.space, set, time.end);
        let short = asked.map(|asked| Way::Short(Short { asked, time }));
        Ok(short.unwrap_or_else(|| self.long(time)))
    }

    fn long(&mut self, time: Time) -> Way<'a, Result<bool, CacheError>> {
        let (space, key, keep, if_absent) = (self.space, self.key, self.keep, self.if_absent);
        let value = std::mem::replace(&mut self.value, Ok(Vec::new().into()));
        let setting = async move {
            let value = value?;
            let op = || Op::Set {
                key,
                value: &value,
                keep,
                if_absent,
            };
            let link = Link::of(space);
            let reply = link.ask_for_reply(space, op, Again::No, time).await;
            accepted(space, key, reply)
        };
        Way::Long(setting.boxed_local())
    }
}

impl Set<'_> {
    fn over(&mut self, set: Result<bool, CacheError>) -> Poll<Result<bool, CacheError>> {
        self.way = Way::Over;
        if let Some(span) = self.span.take() {
            span.end();
        }
        Poll::Ready(set)
    }
}

/// What the answer to a set says; the copies of this process are told.
fn accepted(
    space: &Space,
    key: &str,
    reply: Result<Reply, CacheError>,
) -> Result<bool, CacheError> {
    let reply = reply.inspect_err(|_| space.may_have_written(key))?;
    // Also where it was refused: who reads on is to find what was in its way.
    space.changed(key, reply.as_of);
    match reply.got {
        Got::Accepted(taken) => Ok(taken),
        _ => Err(CacheError::Protocol),
    }
}

impl Future for Set<'_> {
    type Output = Result<bool, CacheError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            let next = match &mut this.way {
                Way::Ahead => match this.begin() {
                    Ok(way) => way,
                    Err(e) => return this.over(Err(e)),
                },
                Way::Short(short) => {
                    let reply = match ready!(short.poll(cx)) {
                        Outcome::Answered(reply) => match reply.got {
                            Got::Refused(Refusal::Closed) => None,
                            Got::Refused(refusal) => Some(Err(refusal.into())),
                            _ => Some(Ok(reply)),
                        },
                        Outcome::Lost => Some(Err(CacheError::LinkLost)),
                        // Nothing has been done: it is asked again.
                        Outcome::Unheard => None,
                        Outcome::TooLate => Some(Err(CacheError::late(this.wait))),
                    };
                    if let Some(reply) = reply {
                        let set = accepted(this.space, this.key, reply);
                        return this.over(set);
                    }
                    let time = short.time;
                    this.long(time)
                }
                Way::Long(setting) => {
                    let set = ready!(setting.poll_unpin(cx));
                    return this.over(set);
                }
                Way::Over => over(),
            };
            this.way = next;
        }
    }
}

/// Reads a value, or loads it, once for all who ask: `cache.get_or_load(key, load).await`.
#[must_use = "it begins when it is awaited"]
pub struct GetOrLoad<'a, T> {
    space: &'a Arc<Space>,
    key: &'a str,
    load: Load,
    keep: Keep,
    wait: Duration,
    load_timeout: Duration,
    of: PhantomData<fn() -> T>,
}

impl<'a, T> GetOrLoad<'a, T> {
    pub(super) fn new(space: &'a Arc<Space>, key: &'a str, load: Load, wait: Duration) -> Self {
        GetOrLoad {
            space,
            key,
            load,
            keep: Keep::default(),
            wait,
            load_timeout: space.options.load_timeout,
            of: PhantomData,
        }
    }

    /// How long this call waits. The load goes on when it is over, and its value is kept.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// How long the loaded value is kept, in whole milliseconds; as the namespace's options say, unless set.
    pub fn expire(mut self, after: Duration) -> Self {
        self.keep.expire_ms = Some(millis(after));
        self
    }

    /// Whether the loaded value outlives the cache manager; as the namespace's options say, unless set.
    pub fn persist(mut self, persist: bool) -> Self {
        self.keep.persist = Some(persist);
        self
    }

    /// How long the load may take; as the namespace's options say, unless set.
    pub fn load_timeout(mut self, time: Duration) -> Self {
        self.load_timeout = time;
        self
    }

    async fn found(self) -> Result<Option<T>, CacheError>
    where
        T: DeserializeOwned,
    {
        let (space, key, wait) = (self.space, self.key, self.wait);
        let end = Time::from(wait).end;
        if let Some(found) = Reading::new(space, key, true, wait).await? {
            return found.decode(space, key).map(Some);
        }
        let order = Order {
            load: self.load,
            keep: self.keep,
            load_timeout: self.load_timeout,
        };
        let link = Link::of(space);
        let span = Span::begin(Timed::Load);
        let loaded = timeout_at(end.into(), flight::join(&link, space, key, order)).await;
        span.end();
        let loaded = loaded.map_err(|_| CacheError::late(wait))??;
        loaded.map(|bytes| decode(space, key, &bytes)).transpose()
    }
}

impl<'a, T: DeserializeOwned + 'a> IntoFuture for GetOrLoad<'a, T> {
    type Output = Result<T, CacheError>;
    type IntoFuture = LocalBoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let (space, key) = (self.space, self.key);
        async move {
            // Nothing is found only by a loader that may find nothing, of another call for the same key.
            self.found().await?.ok_or_else(|| CacheError::Load {
                namespace: space.name.clone(),
                key: key.to_owned(),
                cause: "there is no such value".to_owned(),
            })
        }
        .boxed_local()
    }
}

/// The same with a loader that may find nothing: `cache.find_or_load(key, load).await`.
#[must_use = "it begins when it is awaited"]
pub struct FindOrLoad<'a, T>(pub(super) GetOrLoad<'a, T>);

impl<'a, T> FindOrLoad<'a, T> {
    /// As [`GetOrLoad::wait`].
    pub fn wait(self, wait: Duration) -> Self {
        FindOrLoad(self.0.wait(wait))
    }

    /// As [`GetOrLoad::expire`].
    pub fn expire(self, after: Duration) -> Self {
        FindOrLoad(self.0.expire(after))
    }

    /// As [`GetOrLoad::persist`].
    pub fn persist(self, persist: bool) -> Self {
        FindOrLoad(self.0.persist(persist))
    }

    /// As [`GetOrLoad::load_timeout`].
    pub fn load_timeout(self, time: Duration) -> Self {
        FindOrLoad(self.0.load_timeout(time))
    }
}

impl<'a, T: DeserializeOwned + 'a> IntoFuture for FindOrLoad<'a, T> {
    type Output = Result<Option<T>, CacheError>;
    type IntoFuture = LocalBoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.0.found().boxed_local()
    }
}
