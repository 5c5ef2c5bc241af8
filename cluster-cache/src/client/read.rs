//! Reading a value: from the copies of this process, else from the manager.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use super::answer::Got;
use super::copies;
use super::link::{Again, Link, after};
use super::near::{Held, Offered};
use super::operation::decode;
use super::space::Space;
use crate::error::CacheError;
use crate::protocol::Op;

/// A value that was found.
pub(super) enum Found {
    /// In this process.
    Held(Arc<Held>),
    Bytes(Vec<u8>),
}

impl Found {
    pub(super) fn decode<T: DeserializeOwned>(
        &self,
        space: &Space,
        key: &str,
    ) -> Result<T, CacheError> {
        match self {
            Found::Held(held) => decode(space, key, held.bytes()),
            Found::Bytes(bytes) => decode(space, key, bytes),
        }
    }

    /// The value as it is shared by all who read it from one copy; decoded once for them.
    pub(super) fn share<T>(&self, space: &Space, key: &str) -> Result<Arc<T>, CacheError>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let Found::Held(held) = self else {
            return self.decode(space, key).map(Arc::new);
        };
        let shared = held.shared.get().map(Arc::clone);
        if let Some(Ok(value)) = shared.map(Arc::downcast) {
            return Ok(value);
        }
        let value = Arc::new(self.decode::<T>(space, key)?);
        // Where readers want it as different types, the first one's is shared.
        let _ = held.shared.set(Arc::clone(&value) as _);
        Ok(value)
    }
}

/// The copy of a value, where there is one.
pub(super) fn nearby(space: &Space, key: &str) -> Option<Found> {
    let near = space.near.read();
    near.as_ref()?.read(key).map(Found::Held)
}

/// Asks the manager for a value, and keeps a copy where copies are to be kept.
pub(super) async fn ask(
    link: &Rc<Link>,
    space: &Arc<Space>,
    key: &str,
    probe: bool,
    wait: Duration,
) -> Result<Option<Found>, CacheError> {
    let near = space.near.read().clone();
    if let Some(near) = &near {
        copies::follow_unless_followed(link, space, near);
    }
    let deadline = after(wait);
    let mut left = wait;
    loop {
        let get = || Op::Get { key, probe };
        let reply = link.ask_for_reply(space, get, Again::Yes, left).await?;
        match (reply.got, &near) {
            (Got::Hit { value, .. }, None) => return Ok(Some(Found::Bytes(value))),
            (Got::Hit { value, left_ms }, Some(near)) => {
                match near.offer(key, value, reply.as_of, left_ms) {
                    Offered::Held(held) => return Ok(Some(Found::Held(held))),
                    Offered::Passed(bytes) => return Ok(Some(Found::Bytes(bytes))),
                    // A change of it was heard of on another thread's connection meanwhile.
                    Offered::Outdated => {}
                }
            }
            (Got::Absent, Some(near)) if near.is_outdated(key, reply.as_of) => {}
            (Got::Absent, _) => return Ok(None),
            _ => return Err(CacheError::Protocol),
        }
        left = deadline.saturating_duration_since(Instant::now());
    }
}
