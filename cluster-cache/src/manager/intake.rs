//! What the connections have read and the manager has not heard yet: one buffer, in the order of its coming.
//!
//! Its bound: a connection reads on only after the manager has had its turn, and while its client takes the answers, so that no more
//! waits than one read, or one message of up to 16 MiB, for each connection; likewise while clients wait as a successor is told the rest.

use std::cell::RefCell;
use std::convert::Infallible;
use std::ops::Range;
use std::rc::{Rc, Weak};
use std::time::Duration;

use actix::Addr;
use cluster_core::endpoint::{Admitted, Caller, Connection, Sender, ServiceSocket};
use tokio::sync::{oneshot, watch};
use tracing::{debug, warn};

use super::CacheManager;
use super::handover;
use crate::lease::{LinkId, NOBODY};
use crate::protocol::Told;

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

/// Whether clients are let in, and heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doors {
    Open,
    /// What they ask waits where it is.
    Shut,
    /// Another process serves: nothing is heard any more.
    Left,
}

struct State {
    work: Work,
    spare: Vec<u8>,
    /// The first is not the one that stands for nobody.
    next: LinkId,
    left: bool,
}

#[derive(Clone)]
pub(super) struct Intake {
    state: Rc<RefCell<State>>,
    doors: Rc<watch::Sender<Doors>>,
    /// How many are connected.
    links: Rc<watch::Sender<usize>>,
    manager: Addr<CacheManager>,
}

impl Intake {
    pub(super) fn new(manager: Addr<CacheManager>) -> Self {
        let state = State {
            work: Work::default(),
            spare: Vec::new(),
            next: NOBODY,
            left: false,
        };
        Intake {
            state: Rc::new(RefCell::new(state)),
            doors: Rc::new(watch::Sender::new(Doors::Open)),
            links: Rc::default(),
            manager,
        }
    }

    pub(super) fn manager(&self) -> &Addr<CacheManager> {
        &self.manager
    }

    pub(super) fn set_doors(&self, doors: Doors) {
        self.state.borrow_mut().left = doors == Doors::Left;
        self.doors.send_replace(doors);
    }

    /// Waits while clients are not to be heard.
    async fn opened(&self) {
        if *self.doors.borrow() == Doors::Shut {
            let mut doors = self.doors.subscribe();
            let _ = doors.wait_for(|doors| *doors != Doors::Shut).await;
        }
    }

    /// Resolves when nobody is connected any more.
    pub(super) async fn emptied(&self) {
        let mut links = self.links.subscribe();
        let _ = links.wait_for(|links| *links == 0).await;
    }

    fn push(&self, come: impl FnOnce(&mut Vec<u8>) -> Come) {
        let first = {
            let mut state = self.state.borrow_mut();
            if state.left {
                return;
            }
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

/// Lets clients in until the manager is gone, and then the socket is, too; or until another process does.
pub(super) async fn listen(
    socket: ServiceSocket,
    intake: Intake,
    mut gone: oneshot::Receiver<Infallible>,
) {
    let socket = Rc::new(socket);
    let mut doors = intake.doors.subscribe();
    loop {
        let open = *doors.borrow_and_update() == Doors::Open;
        let caller = tokio::select! {
            caller = socket.accept(), if open => caller,
            _ = doors.changed() => match *doors.borrow() {
                Doors::Left => break,
                Doors::Open | Doors::Shut => continue,
            },
            _ = &mut gone => return,
        };
        match caller {
            Ok(caller) if *intake.links.borrow() < MOST_LINKS => {
                intake.links.send_modify(|links| *links += 1);
                let socket = Rc::downgrade(&socket);
                actix_rt::spawn(serve(caller, socket, intake.clone()));
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
    if let Some(socket) = Rc::into_inner(socket) {
        socket.bequeath();
    }
}

async fn serve(caller: Caller, socket: Weak<ServiceSocket>, intake: Intake) {
    let admitted = caller.admit().await;
    let successor = match admitted {
        Ok(Admitted::Client(connection)) => {
            hear(connection, &intake).await;
            None
        }
        Ok(Admitted::Successor(transfer)) => Some(transfer),
        Err(_) => None,
    };
    intake.links.send_modify(|links| *links -= 1);
    if let Some(transfer) = successor {
        handover::give(transfer, socket, intake).await;
    }
}

async fn hear(connection: Connection, intake: &Intake) {
    intake.opened().await;
    let link = {
        let mut state = intake.state.borrow_mut();
        state.next += 1;
        state.next
    };
    let (sender, pid) = (connection.sender(), connection.pid());
    if intake.state.borrow().left {
        // It was let in a moment too late, and is sent on; what it watches it has missed.
        let _ = sender.send(&Told::Moved { as_of: 0 });
    }
    intake.push(|_| Come::Opened { link, sender, pid });
    let gate = async || intake.opened().await;
    let closed = connection.run_gated(gate, |asked| {
        intake.push(|bytes| {
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
