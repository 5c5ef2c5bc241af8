//! The connection of one thread to one cache manager: made when it is first used, made again whenever it breaks, for as long as
//! the thread lives.

use std::cell::RefCell;
use std::future::poll_fn;
use std::path::Path;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use cluster_core::Closed;
use cluster_core::endpoint::{Connection, SendError, Sender};
use cluster_core::sys::{TICK_MS, lately};
use hashbrown::HashSet;
use tokio::sync::Notify;
use tokio::time::timeout_at;
use tracing::{debug, info};

use super::answer::{Got, Reply};
use super::copies::Copies;
use super::flight::Flights;
use super::grants::Grants;
use super::lease::Leases;
use super::questions::{Heard, Outcome, Questions};
use super::space::{self, Space};
use super::timed::Samplings;
use super::watch::Watches;
use crate::error::CacheError;
use crate::protocol::{Ask, Op, Refusal, Told};

/// The first pause before another attempt to connect; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The longest pause before another attempt.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Waits as long as this may end a tick too early or too late.
const ROUGH: Duration = Duration::from_millis(25 * TICK_MS);

thread_local! {
    static LINKS: RefCell<Vec<Rc<Link>>> = const { RefCell::new(Vec::new()) };
}

#[derive(Default)]
struct State {
    sender: Option<Sender>,
    questions: Questions,
    /// The numbers of the namespaces that the manager knows on this connection.
    opened: HashSet<u32>,
    /// How many connections there have been.
    connections: u64,
    /// The manager has moved: up to this version all changes were told on the last connection.
    moved: Option<u64>,
}

pub(super) struct Link {
    path: Arc<Path>,
    state: RefCell<State>,
    /// The connection stands.
    up: Notify,
    /// A deadline has come to stand before all others.
    earlier: Notify,
    pub(super) flights: Flights,
    pub(super) leases: Leases,
    pub(super) watches: Watches,
    pub(super) copies: Copies,
    pub(super) grants: Grants,
    pub(super) timed: Samplings,
}

/// What came of one attempt to ask.
enum Put {
    Answered(Reply),
    /// The connection broke meanwhile: it may have been done.
    Lost,
    /// It has not been done.
    Unheard,
}

/// What may be done with a question whose connection breaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// It is asked again.
    Yes,
    /// It may have been done: only who asks can know.
    No,
}

impl Link {
    /// This thread's connection for a namespace. To be called on an actix arbiter, or in a `LocalSet` of tokio's.
    pub(super) fn of(space: &Space) -> Rc<Link> {
        LINKS.with_borrow_mut(|links| {
            let same = |link: &&Rc<Link>| {
                Arc::ptr_eq(&link.path, &space.path) || *link.path == *space.path
            };
            if let Some(link) = links.iter().find(same) {
                return Rc::clone(link);
            }
            let link = Rc::new(Link {
                path: Arc::clone(&space.path),
                state: RefCell::default(),
                up: Notify::new(),
                earlier: Notify::new(),
                flights: Flights::default(),
                leases: Leases::default(),
                watches: Watches::default(),
                copies: Copies::default(),
                grants: Grants::default(),
                timed: Samplings::default(),
            });
            tokio::task::spawn_local(keep(Rc::downgrade(&link)));
            tokio::task::spawn_local(sweep(Rc::downgrade(&link)));
            links.push(Rc::clone(&link));
            link
        })
    }

    fn sender(&self) -> Option<Sender> {
        self.state.borrow().sender.clone()
    }

    /// The connection, as soon as it stands.
    async fn connected(&self, time: Time) -> Result<Sender, CacheError> {
        if let Some(sender) = self.sender() {
            return Ok(sender);
        }
        let standing = async {
            loop {
                let mut up = std::pin::pin!(self.up.notified());
                up.as_mut().enable();
                if let Some(sender) = self.sender() {
                    return sender;
                }
                up.await;
            }
        };
        let standing = timeout_at(time.end.into(), standing).await;
        standing.map_err(|_| CacheError::Unreachable {
            path: self.path.to_path_buf(),
            waited_ms: crate::options::millis(time.wait),
        })
    }

    /// Whether this connection is the one that stands.
    pub(super) fn is_connection(&self, connection: u64) -> bool {
        let state = self.state.borrow();
        state.sender.is_some() && state.connections == connection
    }

    /// Sends a question at once; nothing where something is in its way, and it has not been sent: the connection does not stand,
    /// does not know the namespace yet, or has no room.
    pub(super) fn ask_at_once(
        self: &Rc<Self>,
        space: &Space,
        op: Op<'_>,
        deadline: Instant,
    ) -> Option<Asked<'static>> {
        let mut state = self.state.borrow_mut();
        let State {
            sender: Some(sender),
            opened,
            questions,
            ..
        } = &mut *state
        else {
            return None;
        };
        if space.number != space::NAMELESS && !opened.contains(&space.number) {
            return None;
        }
        let (number, earlier) = questions.file(deadline)?;
        let ask = Ask {
            number,
            space: space.number,
            op,
        };
        if sender.send_written(|out| ask.write(out)).is_err() {
            questions.forget(number, None);
            return None;
        }
        drop(state);
        if earlier {
            self.earlier.notify_one();
        }
        Some(Asked {
            link: Rc::clone(self),
            number,
            lease_of: None,
        })
    }

    /// Asks the manager, under a deadline.
    pub(super) async fn ask<'a>(
        self: &Rc<Self>,
        space: &Space,
        op: impl Fn() -> Op<'a>,
        again: Again,
        wait: Duration,
    ) -> Result<Got, CacheError> {
        let reply = self.ask_for_reply(space, op, again, wait).await?;
        Ok(reply.got)
    }

    /// The same, where it matters when the answer was true.
    pub(super) async fn ask_for_reply<'a>(
        self: &Rc<Self>,
        space: &Space,
        op: impl Fn() -> Op<'a>,
        again: Again,
        time: impl Into<Time>,
    ) -> Result<Reply, CacheError> {
        let time = time.into();
        let mut reopened = false;
        loop {
            let sender = self.connected(time).await?;
            let known = space.number == space::NAMELESS
                || self.state.borrow().opened.contains(&space.number);
            if !known {
                let opened = self.put(&sender, space.number, space.to_open(), time);
                match opened.await? {
                    Put::Answered(reply) => match reply.got {
                        Got::Done => self.state.borrow_mut().opened.insert(space.number),
                        Got::Refused(refusal) => return Err(refusal.into()),
                        _ => return Err(CacheError::Protocol),
                    },
                    Put::Lost | Put::Unheard => continue,
                };
            }
            let asked = self.put(&sender, space.number, op(), time);
            match asked.await? {
                Put::Answered(reply) => match reply.got {
                    // Another process has destroyed the namespace: it is made anew, once.
                    Got::Refused(Refusal::Closed) if !reopened => {
                        reopened = true;
                        self.state.borrow_mut().opened.remove(&space.number);
                    }
                    Got::Refused(refusal) => return Err(refusal.into()),
                    _ => return Ok(reply),
                },
                Put::Lost if again == Again::No => return Err(CacheError::LinkLost),
                Put::Lost | Put::Unheard => {}
            }
        }
    }

    /// Sends one question and waits for its answer.
    async fn put(
        self: &Rc<Self>,
        sender: &Sender,
        space: u32,
        op: Op<'_>,
        time: Time,
    ) -> Result<Put, CacheError> {
        let late = || CacheError::late(time.wait);
        let filed = self.state.borrow_mut().questions.file(time.end);
        let (number, earlier) = filed.ok_or_else(late)?;
        if earlier {
            self.earlier.notify_one();
        }
        let lease_of = match op {
            Op::Acquire { key, .. } => Some((space, key)),
            _ => None,
        };
        let asked = Asked {
            link: Rc::clone(self),
            number,
            lease_of,
        };
        let ask = Ask { number, space, op };
        loop {
            match sender.send_written(|out| ask.write(out)) {
                Ok(()) => break,
                Err(SendError::Closed) => {
                    tokio::task::yield_now().await;
                    return Ok(Put::Unheard);
                }
                Err(SendError::Backlogged) => {
                    let room = timeout_at(time.end.into(), sender.ready()).await;
                    room.map_err(|_| late())?;
                }
                Err(_) => return Err(CacheError::Protocol),
            }
        }
        let outcome = poll_fn(|cx| asked.poll(cx)).await;
        match outcome {
            Outcome::Answered(reply) => Ok(Put::Answered(reply)),
            Outcome::Lost => Ok(Put::Lost),
            Outcome::Unheard => Ok(Put::Unheard),
            Outcome::TooLate => Err(late()),
        }
    }

    /// Tells the manager something whose answer nobody waits for.
    pub(super) fn tell(&self, space: u32, op: Op<'_>) {
        let Some(sender) = self.sender() else { return };
        let ask = Ask {
            number: 0,
            space,
            op,
        };
        if let Err(e) = sender.send_written(|out| ask.write(out)) {
            debug!(error = %e, "something was not told to the cache manager");
        }
    }

    fn hear(&self, bytes: &[u8]) -> Result<(), Closed> {
        match Told::read(bytes)? {
            Told::Answer {
                number,
                as_of,
                answer,
            } => {
                let heard = {
                    let mut state = self.state.borrow_mut();
                    let reply = Reply {
                        got: answer.into(),
                        as_of,
                        connection: state.connections,
                    };
                    state.questions.answer(number, reply)
                };
                match heard {
                    Heard::Wake(Some(waker)) => waker.wake(),
                    Heard::Wake(None) | Heard::Nobody => {}
                    Heard::GiveBack { space, key, lease } => self.tell(
                        space,
                        Op::Abandon {
                            key: &key,
                            lease,
                            failure: None,
                        },
                    ),
                }
            }
            Told::Changed { watch, change } => {
                if !self.copies.hear(self, watch, &change) {
                    self.watches.hear(watch, change);
                }
            }
            // It has joined none.
            Told::Document(_) => {}
            Told::Moved { as_of } => {
                self.state.borrow_mut().moved = Some(as_of);
                return Err(Closed::Here);
            }
        }
        Ok(())
    }

    fn stands(self: &Rc<Self>, sender: Sender) {
        let moved = {
            let mut state = self.state.borrow_mut();
            state.opened.clear();
            state.sender = Some(sender);
            state.connections += 1;
            if state.connections > 1 {
                info!(path = %self.path.display(), "connected to the cache manager again");
            }
            state.moved.take()
        };
        self.leases.claim_again(self);
        self.grants.tell_again(self);
        self.watches.begin_again(self, moved);
        self.copies.follow_again(self, moved);
        self.up.notify_waiters();
    }

    /// Opens a namespace without waiting for the answer: for what is told on a new connection before anybody asks.
    pub(super) fn open_unasked(&self, space: &Space) {
        self.tell(space.number, space.to_open());
    }

    fn broke(&self) {
        let woken = {
            let mut state = self.state.borrow_mut();
            state.sender = None;
            let has_moved = state.moved.is_some();
            state.questions.lose_all(has_moved)
        };
        self.copies.away();
        woken.into_iter().for_each(std::task::Waker::wake);
    }
}

/// How long an operation may take, and until when.
#[derive(Clone, Copy)]
pub(super) struct Time {
    pub(super) wait: Duration,
    pub(super) end: Instant,
}

impl From<Duration> for Time {
    /// From now on; it ends decades from now where it has no end.
    fn from(wait: Duration) -> Self {
        const DECADES: Duration = Duration::from_secs(30 * 365 * 86_400);
        // Of a long wait a tick is a small part, and an exact look at the clock costs as much as writing the question does.
        let now = match wait < ROUGH {
            true => Instant::now(),
            false => lately(),
        };
        Time {
            wait,
            end: now + wait.min(DECADES),
        }
    }
}

/// A question under way; dropped, it is forgotten, as nobody waits for it any more.
pub(super) struct Asked<'a> {
    link: Rc<Link>,
    number: u64,
    lease_of: Option<(u32, &'a str)>,
}

impl Asked<'_> {
    /// What became of it, once.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<Outcome> {
        self.link.state.borrow_mut().questions.poll(self.number, cx)
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let lease_of = self.lease_of.map(|(space, key)| (space, key.into()));
        let mut state = self.link.state.borrow_mut();
        state.questions.forget(self.number, lease_of);
    }
}

/// Keeps the connection for as long as the thread does.
async fn keep(link: Weak<Link>) {
    let mut pause = FIRST_PAUSE;
    while let Some(strong) = link.upgrade() {
        let connected = Connection::connect(&strong.path).await;
        match connected {
            Ok(connection) => {
                pause = FIRST_PAUSE;
                strong.stands(connection.sender());
                let heard = Weak::clone(&link);
                drop(strong);
                let closed = connection.run(move |bytes| match heard.upgrade() {
                    Some(link) => link.hear(bytes),
                    None => Err(Closed::Here),
                });
                let closed = closed.await;
                if let Some(strong) = link.upgrade() {
                    let path = strong.path.display();
                    match strong.state.borrow().moved {
                        Some(_) => info!(%path, "another process is the cache manager now"),
                        None => {
                            info!(%path, reason = %closed, "the connection to the cache manager is gone")
                        }
                    }
                    strong.broke();
                }
            }
            Err(e) => {
                debug!(path = %strong.path.display(), error = %e, "no connection to the cache manager yet");
                drop(strong);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Ends the questions whose time is over.
async fn sweep(link: Weak<Link>) {
    while let Some(strong) = link.upgrade() {
        let (woken, next) = {
            let mut state = strong.state.borrow_mut();
            let woken = state.questions.expire(Instant::now());
            (woken, state.questions.look)
        };
        woken.into_iter().for_each(std::task::Waker::wake);
        let earlier = strong.earlier.notified();
        match next {
            Some(next) => drop(timeout_at(next.into(), earlier).await),
            None => earlier.await,
        }
    }
}
