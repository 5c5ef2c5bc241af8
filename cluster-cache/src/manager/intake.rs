//! What the connections have read and the manager has not heard yet: one buffer, in the order of its coming.
//!
//! Its bound: a connection reads on only after the manager has had its turn, and while its client takes the answers, so that no more
//! waits than one read, or one message of up to 16 MiB, for each connection.

use std::cell::RefCell;
use std::convert::Infallible;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use actix::Addr;
use cluster_core::endpoint::{Sender, ServiceSocket};
use tokio::sync::oneshot;
use tracing::{debug, warn};

use super::CacheManager;
use crate::lease::LinkId;

/// What is kept of a buffer that a burst has made large.
const KEPT: usize = 1024 * 1024;
/// Connections at most: each has queues of its own.
const MOST_LINKS: usize = 4096;
/// How long to wait where descriptors are short.
const SHORTAGE: Duration = Duration::from_millis(100);

/// Something that has come.
pub(super) enum Come {
    Opened {
        link: LinkId,
        sender: Sender,
        pid: u32,
    },
    Asked {
        link: LinkId,
        bytes: Range<usize>,
    },
    /// Its client has taken most of what it was answered: what it asked besides can be answered.
    Drained {
        link: LinkId,
    },
    Closed {
        link: LinkId,
    },
}

#[derive(Default)]
pub(super) struct Work {
    pub(super) come: Vec<Come>,
    pub(super) bytes: Vec<u8>,
}

/// Wakes the manager: something has come.
pub(super) struct Intook;

impl actix::Message for Intook {
    type Result = ();
}

struct State {
    work: Work,
    spare: Vec<u8>,
    links: usize,
    next: LinkId,
}

#[derive(Clone)]
pub(super) struct Intake {
    state: Rc<RefCell<State>>,
    manager: Addr<CacheManager>,
}

impl Intake {
    pub(super) fn new(manager: Addr<CacheManager>) -> Self {
        let state = State {
            work: Work::default(),
            spare: Vec::new(),
            links: 0,
            next: 0,
        };
        Intake {
            state: Rc::new(RefCell::new(state)),
            manager,
        }
    }

    fn push(&self, come: impl FnOnce(&mut Vec<u8>) -> Come) {
        let first = {
            let mut state = self.state.borrow_mut();
            let come = come(&mut state.work.bytes);
            state.work.come.push(come);
            state.work.come.len() == 1
        };
        if first {
            // `do_send` ignores the mailbox's capacity: right here, as one wake-up at most is on its way.
            self.manager.do_send(Intook);
        }
    }

    /// Tells the manager when a client has taken most of its answers.
    pub(super) fn tell_when_drained(&self, link: LinkId, sender: Sender) {
        let intake = self.clone();
        actix_rt::spawn(async move {
            sender.ready().await;
            intake.push(|_| Come::Drained { link });
        });
    }

    /// All that has come.
    pub(super) fn take(&self) -> Work {
        let mut state = self.state.borrow_mut();
        let spare = std::mem::take(&mut state.spare);
        let next = Work {
            come: Vec::new(),
            bytes: spare,
        };
        std::mem::replace(&mut state.work, next)
    }

    /// A buffer to be used again.
    pub(super) fn give_back(&self, mut bytes: Vec<u8>) {
        bytes.clear();
        bytes.shrink_to(KEPT);
        self.state.borrow_mut().spare = bytes;
    }
}

/// Lets clients in until the manager is gone; then the socket is, too.
pub(super) async fn listen(
    socket: ServiceSocket,
    intake: Intake,
    mut gone: oneshot::Receiver<Infallible>,
) {
    loop {
        let caller = tokio::select! {
            caller = socket.accept() => caller,
            _ = &mut gone => return,
        };
        match caller {
            Ok(caller) if intake.state.borrow().links < MOST_LINKS => {
                intake.state.borrow_mut().links += 1;
                actix_rt::spawn(serve(caller, intake.clone()));
            }
            Ok(_) => warn!(
                most = MOST_LINKS,
                "a client of the cache was not let in: too many are connected"
            ),
            Err(e) => {
                warn!(error = %e, "a client of the cache could not be let in");
                tokio::time::sleep(SHORTAGE).await;
            }
        }
    }
}

async fn serve(caller: cluster_core::endpoint::Caller, intake: Intake) {
    if let Ok(connection) = caller.admit().await {
        let link = {
            let mut state = intake.state.borrow_mut();
            state.next += 1;
            state.next
        };
        let (sender, pid) = (connection.sender(), connection.pid());
        intake.push(|_| Come::Opened { link, sender, pid });
        let heard = intake.clone();
        let closed = connection.run(move |asked| {
            heard.push(|bytes| {
                let start = bytes.len();
                bytes.extend_from_slice(asked);
                let bytes = start..bytes.len();
                Come::Asked { link, bytes }
            });
            Ok(())
        });
        // Not in the line below: it is evaluated only where somebody logs it.
        let closed = closed.await;
        debug!(pid, reason = %closed, "a client of the cache is gone");
        intake.push(|_| Come::Closed { link });
    }
    intake.state.borrow_mut().links -= 1;
}
