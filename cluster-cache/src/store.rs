//! What outlives the cache manager: a mirror on disk of the entries that are to persist.
//!
//! The manager writes each change before it answers it, and reads all of them once, when it starts. Figures for the choice of what is
//! below, on one 2-core machine, 116-byte values under 26-byte keys, a million of them, after a kill -9 of the writer:
//!
//! | | puts, one at a time | in batches of 16 / 256 | open, and load all |
//! |---|---|---|---|
//! | fjall 3.1, written to the system, not synced | 80-142 k/s | 126-129 / 154-199 k/s | 2.4-5.4 s, 3.0-6.1 s |
//! | redb 4.4, which knows no commit that a kill survives but a synced one | 4.5 k/s | 22 / 49 k/s | – |
//!
//! fjall replays its journal for longer than a restart may take, and with redb every answered `set` waits for the disk. So it is a
//! [log](log::Log) of our own behind [`Store`]: every change one write to the system, a replay of it when the manager starts.

mod error;
pub(crate) mod log;

use std::fs::File;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use error::StoreError;

use crate::table::Millis;

/// A change that outlives the manager. Append-only: newer builds read what older ones wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Change<'a> {
    /// A namespace and its options; before its entries.
    Space {
        name: &'a str,
        #[serde(with = "serde_bytes")]
        options: &'a [u8],
    },
    Put {
        space: &'a str,
        key: &'a str,
        #[serde(with = "serde_bytes")]
        value: &'a [u8],
        expires: Option<Millis>,
        version: u64,
    },
    Remove {
        space: &'a str,
        key: &'a str,
    },
    Clear {
        space: &'a str,
    },
    Destroy {
        space: &'a str,
    },
}

/// Where changes are written to.
pub(crate) trait Store {
    /// Writes a change. When it returns, the change survives a kill of this process.
    fn write(&mut self, change: &Change<'_>) -> Result<(), StoreError>;

    /// Whether changes are to survive a loss of power too: they do once [`sync`](Self::sync) has returned.
    fn syncs(&self) -> bool;

    /// Waits until all that was written is on the disk. Where it fails, nobody knows which of it is since it last did not.
    fn sync(&mut self) -> Result<(), StoreError>;

    /// Reads all changes, in their order; to be called once, before anything is written. Where the store is damaged, it is set aside
    /// and is empty from then on, and what was read before counts for nothing: `restart` says so.
    fn load(
        &mut self,
        each: &mut dyn FnMut(Change<'_>),
        restart: &mut dyn FnMut(),
    ) -> Result<(), StoreError>;

    /// Whether so much is written that is no longer true that it should be written afresh, where what is true takes so many bytes.
    fn is_due(&self, live_bytes: usize) -> bool;

    /// Begins to write afresh what is true, by [`renew`](Self::renew); what is [written](Self::write) meanwhile is part of it.
    fn begin_renewal(&mut self) -> Result<(), StoreError>;

    /// Writes some of what is true.
    fn renew(&mut self, change: &Change<'_>) -> Result<(), StoreError>;

    /// All that is true has been written: it takes the place of the old.
    fn end_renewal(&mut self) -> Result<(), StoreError>;

    /// Gives a renewal up that is under way.
    fn give_up_renewal(&mut self);

    /// Lets go of the file, so that somebody else writes on.
    fn hand_over(self: Box<Self>) -> Handed;
}

/// A store on its way to who writes on: its file, locked, and how it stands.
#[derive(Debug)]
pub(crate) struct Handed {
    pub(crate) path: PathBuf,
    /// At its end.
    pub(crate) file: File,
    /// Of what is whole.
    pub(crate) length: u64,
    /// Something that is not whole follows.
    pub(crate) torn: bool,
    /// What the disk has is not known.
    pub(crate) doubtful: bool,
    /// Whether what is written is to survive a loss of power.
    pub(crate) sync: bool,
}
