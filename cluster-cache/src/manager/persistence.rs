//! What outlives the manager: written before it is answered, read when the next one starts, written afresh when it has grown long.

use std::cell::RefCell;
use std::path::Path;

use actix::{AsyncContext, Context, Handler};
use tokio::task::yield_now;
use tracing::{error, info, warn};

use super::space::Space;
use super::spaces::Spaces;
use super::{CacheManager, now};
use crate::limits::MAX_VALUE_BYTES;
use crate::protocol::{Refusal, SpaceOptions};
use crate::store::log::Log;
use crate::store::{Change, Handed, Store, StoreError};
use crate::table::{Entry, Millis, Put};

/// Places that are looked at in one turn while everything is written afresh: questions have theirs in between.
const PLACES: usize = 2000;

/// The store, where there is one.
#[derive(Default)]
pub(crate) struct Kept {
    store: Option<Box<dyn Store>>,
    /// How far everything has been written afresh: the namespace and the place in it.
    renewed: Option<(usize, usize)>,
}

/// What an earlier manager had kept.
#[derive(Default)]
pub(super) struct Restored {
    pub(super) spaces: Spaces,
    /// The largest version.
    pub(super) version: u64,
}

impl Restored {
    fn space(&mut self, name: &str) -> &mut Space {
        let place = match self.spaces.named(name) {
            Some(place) => place,
            None => {
                let options = SpaceOptions {
                    max_value_bytes: MAX_VALUE_BYTES as u64,
                    ..SpaceOptions::default()
                };
                self.spaces.insert(Space::new(name, options, 0))
            }
        };
        &mut self.spaces[place]
    }

    fn take(&mut self, change: Change<'_>, now: Millis) {
        match change {
            Change::Space { name, options } => {
                let space = self.space(name);
                space.kept = true;
                // Of a build that knows other options: the next one who opens it says how it is to be.
                if let Ok(options) = rmp_serde::from_slice(options) {
                    space.options = options;
                }
            }
            Change::Put {
                space,
                key,
                value,
                expires,
                version,
            } => {
                self.version = self.version.max(version);
                let space = self.space(space);
                let since = space.useless_since(now);
                let table = &mut space.table;
                if expires.is_some_and(|at| at <= since) {
                    table.remove(key);
                    return;
                }
                let put = Put {
                    value,
                    expires,
                    persist: true,
                    version,
                };
                table.put(key, &put);
            }
            Change::Remove { space, key } => drop(self.space(space).table.remove(key)),
            Change::Clear { space } => self.space(space).table.clear(),
            Change::Destroy { space } => {
                if let Some(place) = self.spaces.named(space) {
                    self.spaces.remove(place);
                }
            }
        }
    }
}

impl Kept {
    /// The store at a path, if there is to be one.
    pub(crate) fn open(
        path: Option<&Path>,
        sync: bool,
    ) -> Result<Option<Box<dyn Store>>, StoreError> {
        let open = |path| Ok(Box::new(Log::open(path, sync)?) as Box<dyn Store>);
        path.map(open).transpose()
    }

    pub(super) fn restore(store: Option<Box<dyn Store>>) -> Result<(Self, Restored), StoreError> {
        let Some(mut store) = store else {
            return Ok((Kept::default(), Restored::default()));
        };
        let (now, restored) = (now(), RefCell::new(Restored::default()));
        store.load(
            &mut |change| restored.borrow_mut().take(change, now),
            &mut || drop(restored.take()),
        )?;
        let mut restored = restored.into_inner();
        let places: Vec<_> = restored.spaces.iter().map(|(place, _)| place).collect();
        for place in places {
            restored.spaces.note_end(place);
        }
        let entries: usize = restored.spaces.iter().map(|(_, s)| s.table.len()).sum();
        info!(
            namespaces = restored.spaces.len(),
            entries, "what was kept is there again"
        );
        let kept = Kept {
            store: Some(store),
            renewed: None,
        };
        Ok((kept, restored))
    }

    /// Lets go of the store, so that somebody else writes on.
    pub(super) fn hand_over(&mut self) -> Option<Handed> {
        self.renewed = None;
        self.store.take().map(Store::hand_over)
    }

    /// Writes on where another has let go.
    pub(super) fn resume(handed: Option<Handed>) -> Self {
        let store = handed.map(|handed| Box::new(Log::resume(handed)) as Box<dyn Store>);
        Kept {
            store,
            renewed: None,
        }
    }

    fn write(&mut self, change: &Change<'_>) -> Result<(), Refusal> {
        match &mut self.store {
            Some(store) => store
                .write(change)
                .map_err(|e| Refusal::Store(e.to_string())),
            None => Ok(()),
        }
    }

    /// Whether answers wait for the disk.
    pub(super) fn syncs(&self) -> bool {
        self.store.as_ref().is_some_and(|store| store.syncs())
    }

    /// Waits for the disk, where that is wanted; false where it is not known what the disk has.
    pub(super) fn sync(&mut self) -> bool {
        let synced = self.store.as_mut().map_or(Ok(()), |store| store.sync());
        if let Err(e) = &synced {
            error!(error = %e, "who has changed what the cache keeps is disconnected, as nobody knows whether it is kept: all of it is written afresh");
        }
        synced.is_ok()
    }

    /// An entry is to be set.
    pub(super) fn write_put(
        &mut self,
        space: &mut Space,
        key: &str,
        put: &Put<'_>,
    ) -> Result<(), Refusal> {
        if self.store.is_none() {
            return Ok(());
        }
        if !put.persist {
            return match space.table.entry(key) {
                Some(entry) => self.write_removal(&space.name, entry),
                None => Ok(()),
            };
        }
        if !space.kept {
            space.kept = true;
            let written = self.write_options(space, &space.options);
            written.inspect_err(|_| space.kept = false)?;
        }
        self.write(&Change::Put {
            space: &space.name,
            key,
            value: put.value,
            expires: put.expires,
            version: put.version,
        })
    }

    /// A namespace is to have these options.
    pub(super) fn write_options(
        &mut self,
        space: &Space,
        options: &SpaceOptions,
    ) -> Result<(), Refusal> {
        if !space.kept {
            return Ok(());
        }
        let options = rmp_serde::to_vec(options).unwrap_or_default();
        self.write(&Change::Space {
            name: &space.name,
            options: &options,
        })
    }

    /// An entry is to be no more.
    pub(super) fn write_removal(&mut self, space: &str, entry: &Entry) -> Result<(), Refusal> {
        if !entry.persist {
            return Ok(());
        }
        let key = entry.key();
        self.write(&Change::Remove { space, key })
    }

    pub(super) fn write_clear(&mut self, space: &Space) -> Result<(), Refusal> {
        if !space.kept {
            return Ok(());
        }
        self.write(&Change::Clear { space: &space.name })
    }

    pub(super) fn write_destroy(&mut self, space: &Space) -> Result<(), Refusal> {
        if !space.kept {
            return Ok(());
        }
        self.write(&Change::Destroy { space: &space.name })
    }
}

/// Writes afresh a part of what is true.
struct Renew;

impl actix::Message for Renew {
    type Result = ();
}

/// Not before clients had their turns, as a message of the manager's to itself would be.
fn renew_soon(ctx: &Context<CacheManager>) {
    let manager = ctx.address();
    actix_rt::spawn(async move {
        yield_now().await;
        // One is on its way at most; where the manager has ended there is nothing to renew.
        manager.do_send(Renew);
    });
}

impl CacheManager {
    /// Where most of what is on disk is no longer true, begins to write afresh what is.
    pub(super) fn begin_renewal_if_due(&mut self, ctx: &mut Context<Self>) {
        let Some(store) = &mut self.kept.store else {
            return;
        };
        if self.kept.renewed.is_some() || !store.is_due(self.bytes) {
            return;
        }
        match store.begin_renewal() {
            Ok(()) => {
                self.kept.renewed = Some((0, 0));
                renew_soon(ctx);
            }
            Err(e) => warn!(error = %e, "what the cache keeps cannot be written afresh"),
        }
    }

    /// Whether there is more to be written afresh.
    fn renew_some(&mut self) -> Result<bool, StoreError> {
        let (Some(store), Some((at, mut place))) = (&mut self.kept.store, self.kept.renewed) else {
            return Ok(false);
        };
        let Some((number, space)) = self.spaces.iter().find(|(number, _)| *number >= at) else {
            store.end_renewal()?;
            return Ok(false);
        };
        if number != at {
            place = 0;
        }
        if place == 0 && space.kept {
            let options = rmp_serde::to_vec(&space.options).unwrap_or_default();
            store.renew(&Change::Space {
                name: &space.name,
                options: &options,
            })?;
        }
        let mut more = true;
        for _ in 0..PLACES {
            let (entry, next) = space.table.at(place);
            if let Some(entry) = entry.filter(|entry| entry.persist) {
                store.renew(&Change::Put {
                    space: &space.name,
                    key: entry.key(),
                    value: entry.value(),
                    expires: entry.expires(),
                    version: entry.version(),
                })?;
            }
            place += 1;
            more = next;
            if !more {
                break;
            }
        }
        self.kept.renewed = Some(if more {
            (number, place)
        } else {
            (number + 1, 0)
        });
        Ok(true)
    }
}

impl Handler<Renew> for CacheManager {
    type Result = ();

    fn handle(&mut self, _: Renew, ctx: &mut Context<Self>) {
        match self.renew_some() {
            Ok(true) => renew_soon(ctx),
            Ok(false) => self.kept.renewed = None,
            Err(e) => {
                self.kept.renewed = None;
                warn!(error = %e, "what the cache keeps could not be written afresh");
            }
        }
    }
}
