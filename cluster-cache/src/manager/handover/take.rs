//! The successor's side of a handover: it asks for everything, puts it together, and serves.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cluster_core::endpoint::{self, Messages, SendError, ServiceSocket, Transfer};
use cluster_core::sys::SocketError;
use cluster_core::{Closed, HandshakeError};
use tokio::time::timeout;
use tracing::info;

use super::super::persistence::Kept;
use super::super::space::Space;
use super::super::spaces::Spaces;
use super::super::{Beginnings, MOST_SPACES};
use crate::limits::{MOST_KEY_BYTES, MOST_NAME_BYTES, MOST_VALUE_BYTES};
use crate::protocol::{Answer, Ask, Op, Part, Refusal, Told};
use crate::store::Handed;
use crate::table::{Put, Table};

/// How long each word of the present manager's may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// No table has more places: the memory of no machine would hold them.
const MOST_PLACES: u32 = 1 << 30;

/// Why this process does not take the present manager's place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeOverError {
    #[error("the present cache manager, at {}, cannot be reached", path.display())]
    Unreachable {
        path: PathBuf,
        #[source]
        source: HandshakeError,
    },
    #[error("the present cache manager refused: {0}")]
    Refused(Refusal),
    #[error("the present cache manager said nothing for {} s", PATIENCE.as_secs())]
    Silent,
    #[error("the present cache manager broke off")]
    BrokeOff(#[source] Closed),
    #[error("the present cache manager said something out of place: {0}")]
    OutOfPlace(&'static str),
    #[error(
        "of the namespace {namespace:?} {entries} entries of {bytes} bytes have come, and it has {all} of {all_bytes}"
    )]
    Incomplete {
        namespace: String,
        entries: u64,
        bytes: u64,
        all: u64,
        all_bytes: u64,
    },
    #[error(
        "the present cache manager keeps what is to persist in {}, and this one is to keep it in {}: that takes a restart of the cluster",
        place(theirs),
        place(ours)
    )]
    OtherStore {
        theirs: Option<PathBuf>,
        ours: Option<PathBuf>,
    },
    #[error("it cannot be asked")]
    Ask(#[from] SendError),
    #[error(transparent)]
    Socket(#[from] SocketError),
}

impl From<Closed> for TakeOverError {
    fn from(closed: Closed) -> Self {
        TakeOverError::BrokeOff(closed)
    }
}

fn place(path: &Option<PathBuf>) -> String {
    match path {
        Some(path) => path.display().to_string(),
        None => "no file".to_owned(),
    }
}

/// All that a manager had: whoever holds this is to serve it.
pub(crate) struct Taken {
    socket: ServiceSocket,
    beginnings: Beginnings,
}

impl Taken {
    pub(in super::super) fn split(self) -> (ServiceSocket, Beginnings) {
        (self.socket, self.beginnings)
    }
}

/// Has the manager at a socket hand over to this process, which is to keep what persists in the same file. When it resolves, the other
/// one serves no more; where it fails, or is dropped, it serves on.
pub(crate) async fn take_over(
    path: &Path,
    store: Option<&Path>,
    sync: bool,
) -> Result<Taken, TakeOverError> {
    let transfer = Transfer::connect(path).await;
    let mut transfer = transfer.map_err(|source| TakeOverError::Unreachable {
        path: path.to_owned(),
        source,
    })?;
    info!(
        pid = transfer.pid(),
        "taking over from the cache manager that serves"
    );
    ask(&mut transfer, Op::HandOver).await?;
    let mut coming = Coming::default();
    let end = loop {
        let hear = |bytes: &[u8]| coming.take(endpoint::read(bytes)?);
        if let Some(end) = next(&mut transfer, hear).await? {
            break end;
        }
    };
    let theirs = end.store.as_ref().map(|(path, ..)| &**path);
    if theirs != store {
        return Err(TakeOverError::OtherStore {
            theirs: theirs.map(Path::to_owned),
            ours: store.map(Path::to_owned),
        });
    }
    ask(&mut transfer, Op::TakeOver).await?;
    let mut fds = transfer.take_fds().into_iter();
    let missing = || TakeOverError::OutOfPlace("a descriptor is missing");
    let listener = fds.next().ok_or_else(missing)?;
    let handed = match end.store {
        Some((path, length, torn, doubtful)) => Some(Handed {
            path,
            file: fds.next().ok_or_else(missing)?.into(),
            length,
            torn,
            doubtful,
            sync,
        }),
        None => None,
    };
    let socket = ServiceSocket::inherit(listener, path)?;
    info!(
        pid = transfer.pid(),
        entries = coming
            .spaces
            .iter()
            .map(|(_, s)| s.table.len())
            .sum::<usize>(),
        "taken over from the cache manager that served"
    );
    let beginnings = Beginnings {
        kept: Kept::resume(handed),
        spaces: coming.spaces,
        version: end.version,
        unbroken_since: end.unbroken_since,
        settling: end.settling,
        unclaimed: true,
    };
    Ok(Taken { socket, beginnings })
}

async fn next<T>(
    transfer: &mut Transfer,
    hear: impl FnOnce(&[u8]) -> Result<T, TakeOverError>,
) -> Result<T, TakeOverError> {
    let heard = timeout(PATIENCE, transfer.receive(hear)).await;
    heard.map_err(|_| TakeOverError::Silent)??
}

/// Asks, and waits to be answered that it is done.
async fn ask(transfer: &mut Transfer, op: Op<'static>) -> Result<(), TakeOverError> {
    let mut messages = Messages::new();
    messages.add(&Ask {
        number: 1,
        space: 0,
        op,
    })?;
    transfer.send(&messages, &[]).await?;
    let hear = |bytes: &[u8]| match endpoint::read(bytes)? {
        Told::Answer {
            answer: Answer::Done,
            ..
        } => Ok(()),
        Told::Answer {
            answer: Answer::Refused(refusal),
            ..
        } => Err(TakeOverError::Refused(refusal)),
        _ => Err(TakeOverError::OutOfPlace("no answer")),
    };
    next(transfer, hear).await
}

/// What has come so far.
#[derive(Default)]
struct Coming {
    /// By the numbers of the namespaces, which are described when all their entries have come.
    tables: HashMap<u32, Table>,
    spaces: Spaces,
    last: Option<usize>,
}

/// What comes last.
struct End {
    version: u64,
    unbroken_since: u64,
    settling: bool,
    /// Path, length, whether it is torn, whether it is doubtful.
    store: Option<(PathBuf, u64, bool, bool)>,
}

impl Coming {
    fn table(&mut self, space: u32) -> Result<&mut Table, TakeOverError> {
        // Those included that are gone by now.
        if self.tables.len() > 2 * MOST_SPACES && !self.tables.contains_key(&space) {
            return Err(TakeOverError::OutOfPlace("entries of too many namespaces"));
        }
        Ok(self.tables.entry(space).or_default())
    }

    /// Takes what has come; gives back what comes last.
    fn take(&mut self, part: Part<'_>) -> Result<Option<End>, TakeOverError> {
        match part {
            Part::Entry {
                space,
                place,
                key,
                value,
                persist,
                read,
                expires,
                version,
            } => {
                let fits = !key.is_empty()
                    && key.len() <= MOST_KEY_BYTES
                    && value.len() <= MOST_VALUE_BYTES
                    && place <= MOST_PLACES;
                if !fits {
                    return Err(TakeOverError::OutOfPlace("an entry exceeds a bound"));
                }
                let put = Put {
                    value,
                    expires,
                    persist,
                    version,
                };
                self.table(space)?.fill(place as usize, key, &put, read);
            }
            Part::Vacant { space, place } => self.table(space)?.vacate(place as usize),
            Part::Cleared { space } => self.table(space)?.clear(),
            Part::Space {
                space,
                name,
                options,
                built_ms,
                kept,
                version,
                stat,
            } => {
                let fits = !name.is_empty()
                    && name.len() <= MOST_NAME_BYTES
                    && self.spaces.len() < MOST_SPACES
                    && self.spaces.named(name).is_none();
                if !fits {
                    return Err(TakeOverError::OutOfPlace("a namespace exceeds a bound"));
                }
                let table = self.tables.remove(&space).unwrap_or_default();
                let (entries, bytes) = (table.len() as u64, table.bytes() as u64);
                if (entries, bytes) != (stat.entries, stat.bytes) {
                    return Err(TakeOverError::Incomplete {
                        namespace: name.to_owned(),
                        entries,
                        bytes,
                        all: stat.entries,
                        all_bytes: stat.bytes,
                    });
                }
                let place = self.spaces.insert(Space {
                    table,
                    kept,
                    version,
                    stat,
                    ..Space::new(name, options, built_ms)
                });
                self.spaces.note_end(place);
                self.last = Some(place);
            }
            Part::Lease {
                key,
                lease,
                deadline,
            } => {
                let Some(place) = self.last.filter(|_| key.len() <= MOST_KEY_BYTES) else {
                    return Err(TakeOverError::OutOfPlace("a lease of no namespace or key"));
                };
                let leases = &mut self.spaces[place].leases;
                leases.inherit(key, lease, deadline);
                self.spaces.note_end(place);
            }
            Part::End {
                version,
                unbroken_since,
                settling,
                store,
            } => {
                let store = store.map(|stored| {
                    let path = PathBuf::from(OsStr::from_bytes(stored.path));
                    (path, stored.length, stored.torn, stored.doubtful)
                });
                return Ok(Some(End {
                    version,
                    unbroken_since,
                    settling,
                    store,
                }));
            }
        }
        Ok(None)
    }
}
