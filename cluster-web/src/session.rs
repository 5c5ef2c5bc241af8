//! The sessions of actix-session in a session store of the cluster.
//!
//! A session is kept under the SHA-256 of its id, in hexadecimal: who sees a store, its files, its listing or the cache's, sees nobody's
//! id. What is kept is the session's state, an object of texts: actix-session has written each value as JSON by then, in which a number
//! that is not finite is null.

use std::collections::HashMap;
use std::ops::Deref;
use std::time::Duration;

use actix_session::storage::{
    LoadError, SaveError, SessionKey, SessionStore, UpdateError, generate_session_key,
};
use actix_web::cookie::time;
use cluster_cache::{SessionError, Sessions, SessionsExt};
use cluster_core::Cluster;
use sha2::{Digest, Sha256};

type State = HashMap<String, String>;

/// A session store as actix-session wants one; it dereferences to the store itself. Cheap to clone.
///
/// ```no_run
/// use actix_session::SessionMiddleware;
/// use actix_web::{App, cookie::Key};
/// use cluster_web::SessionStore;
/// use cluster_web::prelude::*;
///
/// # async fn example(key: Key) -> Result<()> {
/// cluster_web::configure(|cluster| async { Ok(cluster) })
///     .app(move |cluster: Cluster| {
///         App::new().wrap(SessionMiddleware::new(cluster.session_store("web"), key.clone()))
///     })
///     .session_store("web", SessionStore::embedded())
///     .listen().await?
///     .wait().await
/// # }
/// ```
///
/// A session that is changed in one worker is changed in all once the answer to that request sets out: what is read comes from the
/// store, and no worker keeps copies. Where the store's owner is killed while a new session is saved, it may be saved a second time, under
/// another id: the first one nobody is given, and it ends with its time.
#[derive(Clone, Debug)]
pub struct ClusterSessionStore(Sessions);

impl ClusterSessionStore {
    /// Keeps sessions in this store.
    pub fn new(sessions: Sessions) -> Self {
        ClusterSessionStore(sessions)
    }
}

impl Deref for ClusterSessionStore {
    type Target = Sessions;

    fn deref(&self) -> &Sessions {
        &self.0
    }
}

/// `cluster.session_store(name)`.
pub trait ClusterSessionsExt {
    /// A session store by its name, for actix-session's middleware. Whether there is such a store, its first operation tells.
    fn session_store(&self, name: &str) -> ClusterSessionStore;
}

impl ClusterSessionsExt for Cluster {
    fn session_store(&self, name: &str) -> ClusterSessionStore {
        ClusterSessionStore(self.sessions(name))
    }
}

/// Under which key a session is kept. Digits are looked up, as each request of a user makes at least one.
fn key(id: &SessionKey) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let hash = Sha256::digest(id.as_ref());
    let digits = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let mut key = String::with_capacity(64);
    key.extend(digits.map(|digit| char::from(DIGITS[usize::from(digit)])));
    key
}

/// A time that is over already is one of no length.
fn duration(ttl: &time::Duration) -> Option<Duration> {
    Some((*ttl).try_into().unwrap_or(Duration::ZERO))
}

/// Whether it is the value that is at fault, and not the store.
fn is_of_value(error: &SessionError) -> bool {
    matches!(
        error,
        SessionError::Encode { .. }
            | SessionError::Value { .. }
            | SessionError::Depth { .. }
            | SessionError::NotFinite { .. }
    )
}

fn not_saved(error: SessionError) -> SaveError {
    match is_of_value(&error) {
        true => SaveError::Serialization(error.into()),
        false => SaveError::Other(error.into()),
    }
}

fn not_updated(error: SaveError) -> UpdateError {
    match error {
        SaveError::Serialization(cause) => UpdateError::Serialization(cause),
        SaveError::Other(cause) => UpdateError::Other(cause),
    }
}

impl SessionStore for ClusterSessionStore {
    async fn load(&self, id: &SessionKey) -> Result<Option<State>, LoadError> {
        self.0.get(&key(id)).await.map_err(|e| match e {
            SessionError::Decode { .. } => LoadError::Deserialization(e.into()),
            other => LoadError::Other(other.into()),
        })
    }

    async fn save(&self, state: State, ttl: &time::Duration) -> Result<SessionKey, SaveError> {
        loop {
            let id = generate_session_key();
            let created = self.0.create(&key(&id), &state, duration(ttl)).await;
            // An id that somebody has already is nobody else's: another one is made.
            if created.map_err(not_saved)? {
                return Ok(id);
            }
        }
    }

    async fn update(
        &self,
        id: SessionKey,
        state: State,
        ttl: &time::Duration,
    ) -> Result<SessionKey, UpdateError> {
        let replaced = self.0.replace(&key(&id), &state, duration(ttl)).await;
        match replaced.map_err(not_saved).map_err(not_updated)? {
            true => Ok(id),
            // It has ended since it was loaded, or was ended by a logout elsewhere: its id does not come to life again.
            false => self.save(state, ttl).await.map_err(not_updated),
        }
    }

    async fn update_ttl(&self, id: &SessionKey, ttl: &time::Duration) -> anyhow::Result<()> {
        let key = key(id);
        match self.0.touch(&key, duration(ttl)).await {
            Ok(_) => Ok(()),
            Err(SessionError::Unsupported { .. }) => {
                if let Some(state) = self.0.get::<State>(&key).await? {
                    self.0.replace(&key, &state, duration(ttl)).await?;
                }
                Ok(())
            }
            Err(e) => Err(e.into()),
        }
    }

    async fn delete(&self, id: &SessionKey) -> anyhow::Result<()> {
        self.0.destroy(&key(id)).await?;
        Ok(())
    }
}
