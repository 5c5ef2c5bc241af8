//! The link of a process to its master: made at the start, made again whenever it breaks, for as long as the process lives.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::handshake::{self, Bequest, HandshakeError};
use super::link::{self, Closed};
use super::outbox::Outbox;
use crate::protocol::{Adopt, Hello, Welcome};
use crate::sys::ptrace;
use crate::sys::stream::Stream;
use crate::wire::frame::Header;

/// The first pause before another attempt; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest pause before another attempt.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// How a process stands with its master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkState {
    /// Linked to the master of this pid.
    Up { master: u32 },
    /// Without a master since then.
    Down { since: Instant },
}

/// A process's end of the link to its master.
pub(crate) struct Uplink {
    pub(crate) path: PathBuf,
    pub(crate) hello: Hello,
    pub(crate) outbox: Arc<Outbox>,
    /// Makes what another master is given, should one come.
    pub(crate) bequeath: Box<dyn Fn(Adopt) -> io::Result<Bequest>>,
}

impl Uplink {
    /// Makes the first link.
    pub(crate) async fn connect(&self) -> Result<(Arc<Stream>, Welcome), HandshakeError> {
        let (stream, welcome) =
            handshake::connect(&self.path, &self.hello, Some(&*self.bequeath)).await?;
        // Whom the master starts to look at this process may do so.
        ptrace::let_trace(welcome.pid);
        let stream = Arc::new(Stream::new(stream)?);
        let stale = self.outbox.open(Arc::clone(&stream));
        if stale > 0 {
            warn!(
                frames = stale,
                "what was held for the master had been held for too long"
            );
        }
        Ok((stream, welcome))
    }

    /// Runs the link, and makes it anew whenever it breaks, of which it tells `broken`. Ends when the outbox is closed on this side, never by itself.
    pub(crate) async fn keep(
        self,
        mut stream: Arc<Stream>,
        state: watch::Sender<LinkState>,
        broken: impl Fn(),
        mut receive: impl FnMut(Header, &[u8]) -> Result<(), Closed>,
    ) {
        loop {
            let closed = link::run(&stream, &self.outbox, &mut receive).await;
            if matches!(closed, Closed::Here) {
                return;
            }
            let lost = self.outbox.away();
            // The last of it: a master whose fault it was sees it close.
            drop(stream);
            broken();
            warn!(reason = %closed, lost_bytes = lost, "the link to the master is gone; serving on");
            let since = Instant::now();
            state.send_replace(LinkState::Down { since });
            let (next, welcome) = self.again().await;
            stream = next;
            info!(
                master = welcome.pid,
                away_ms = since.elapsed().as_millis(),
                "linked to the master again"
            );
            state.send_replace(LinkState::Up {
                master: welcome.pid,
            });
        }
    }

    /// Tries until there is a master again. One that has died leaves the path behind, or another puts its own there at any moment:
    /// there is no event to wait for that would tell all of it.
    async fn again(&self) -> (Arc<Stream>, Welcome) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.connect().await {
                Ok(linked) => return linked,
                Err(e) => debug!(error = %e, "no link to the master yet"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
