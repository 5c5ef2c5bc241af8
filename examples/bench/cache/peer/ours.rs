//! Our cache, as unrelated processes share it.

use std::future::pending;

use cluster_cache::{Cache, CacheOptions, Sharing, enable};
use cluster_web::{Error, Result};
use serde_bytes::{ByteBuf, Bytes};

use super::Peer;

/// What all entries may take together: more than a million of them do, so that none gives way.
const ROOM: usize = 2 << 30;

fn sharing(directory: &str) -> Sharing {
    Sharing::new("bench").directory(directory).max_bytes(ROOM)
}

/// The manager's process.
pub(crate) async fn serve(directory: &str) -> Result<()> {
    let _caches = enable(sharing(directory))?;
    pending().await
}

/// A client's process.
pub(crate) async fn connect(directory: &str, keys: u64) -> Result<Ours> {
    Ok(Ours(open(directory, keys, CacheOptions::default()).await?))
}

/// The namespace that is for so many keys.
pub(crate) async fn open(directory: &str, keys: u64, options: CacheOptions) -> Result<Cache> {
    let caches = enable(sharing(directory))?;
    // Not by itself: a question within one process would be measured.
    if caches.meta().await?.pid == std::process::id() {
        return Err(Error::msg(format!("no manager serves in {directory}")));
    }
    Ok(caches.cache(&format!("of-{keys}"), options)?)
}

#[derive(Clone)]
pub(crate) struct Ours(Cache);

impl Peer for Ours {
    async fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        let value: Option<ByteBuf> = self.0.get(key).await?;
        Ok(value.map(ByteBuf::into_vec))
    }

    async fn set(&mut self, key: &str, value: &[u8]) -> Result<()> {
        match self.0.set(key, Bytes::new(value)).await? {
            true => Ok(()),
            false => Err(Error::msg(format!("{key} was not set"))),
        }
    }
}
