//! The connection of a document: one a process, made again whenever it breaks. It lives on the arbiter that opens the document, or on one of
//! its own where there is none; when that ends, the next operation has another one see to it.

use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use actix_rt::Arbiter;
use cluster_core::Closed;
use cluster_core::endpoint::{Connection, Sender};
use cluster_core::sys::BoardReader;
use tracing::{debug, info, warn};

use super::known::forget;
use super::ledger::{Ledger, Made, Unreadable};
use super::replica::{Replica, Torn};
use super::shared::{Inner, Outcome, Over, Shared, send};
use super::tree::Tree;
use crate::protocol::{Answer, DocumentOp, DocumentTold, Told, Version};
use crate::value;

/// The first pause before another attempt to connect; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The longest pause before another attempt.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Sees to it that a thread sees to the connection.
pub(super) fn keep_connected(shared: &Arc<Shared>) {
    if std::mem::replace(&mut shared.lock().at_home, true) {
        return;
    }
    let stay = Stay(Arc::clone(shared));
    // Where the arbiter has ended, or there is no thread, the next operation tries again.
    match Arbiter::try_current() {
        Some(home) => drop(home.spawn_fn(move || drop(actix_rt::spawn(keep(stay))))),
        None => drop(
            thread::Builder::new()
                .name("document".to_owned())
                .spawn(move || match actix_rt::Runtime::new() {
                    Ok(runtime) => runtime.block_on(keep(stay)),
                    Err(e) => warn!(error = %e, "no thread can see to a document"),
                }),
        ),
    }
}

/// Held by who sees to the connection.
struct Stay(Arc<Shared>);

impl Drop for Stay {
    fn drop(&mut self) {
        let mut inner = self.0.lock();
        inner.at_home = false;
        self.0.disconnect(&mut inner);
    }
}

async fn keep(stay: Stay) {
    let shared = &stay.0;
    // It may be over before this begins; then that is known at once.
    tokio::select! {
        () = shared.ended.notified() => {}
        () = reconnect(shared) => {}
    }
}

async fn reconnect(shared: &Arc<Shared>) {
    let mut pause = FIRST_PAUSE;
    loop {
        match Connection::connect(&shared.socket).await {
            Ok(connection) => {
                let closed = run(shared, connection).await;
                let mut inner = shared.lock();
                if inner.joined {
                    pause = FIRST_PAUSE;
                    info!(document = shared.name, reason = %closed, "the connection of a document to its cache manager is gone");
                }
                shared.disconnect(&mut inner);
            }
            Err(e) => {
                debug!(document = shared.name, error = %e, "no connection of a document to its cache manager yet");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Something that has come.
enum Heard {
    Changed(Made),
    State(Tree, Box<Ledger>),
    Answer(u64, Answered),
    Offer,
    Destroyed,
    Board { descriptor: u32, key: u64 },
}

enum Answered {
    Version(Version),
    Outcome(Outcome),
}

/// Who keeps the document at the other end, and how it was asked to let this process join.
struct Manager {
    sender: Sender,
    pid: u32,
    is_of_same_build: bool,
    /// The number of that question.
    joining: u64,
}

async fn run(shared: &Arc<Shared>, connection: Connection) -> Closed {
    let sender = connection.sender();
    let Some(joining) = join(shared, &sender) else {
        return Closed::Here;
    };
    let manager = Manager {
        sender: sender.clone(),
        pid: connection.pid(),
        is_of_same_build: connection.is_of_same_build(),
        joining,
    };
    let heard = RefCell::new(Vec::new());
    let receive = |bytes: &[u8]| hear(bytes, &mut heard.borrow_mut());
    // In the same task, after the connection: what one read has brought is taken at once, and together.
    let take = poll_fn(|_| {
        let come = std::mem::take(&mut *heard.borrow_mut());
        match come.is_empty() || take_all(shared, &manager, come).is_ok() {
            true => Poll::Pending,
            false => Poll::Ready(Closed::Here),
        }
    });
    let send_rest = async {
        loop {
            shared.crowded.notified().await;
            sender.ready().await;
            shared.send_changes(&mut shared.lock());
        }
    };
    tokio::select! {
        biased;
        closed = connection.run(receive) => closed,
        closed = take => closed,
        () = send_rest => pending().await,
    }
}

/// Asks to join; gives back the number of the question.
fn join(shared: &Shared, sender: &Sender) -> Option<u64> {
    let mut inner = shared.lock();
    let number = inner.first_question();
    let join = DocumentOp::Join {
        directory: shared.directory.to_str()?,
        name: &shared.name,
        origin: inner.replica.origin(),
        version: inner.replica.version(),
        gc_ms: shared.gc_ms,
    };
    send(sender, number, join).ok()?;
    inner.sender = Some(sender.clone());
    Some(number)
}

fn hear(bytes: &[u8], heard: &mut Vec<Heard>) -> Result<(), Closed> {
    let unreadable = |Unreadable| Closed::Here;
    heard.push(match Told::read(bytes)? {
        Told::Answer { number, answer, .. } => {
            let answered = match answer {
                Answer::Document(version) => Answered::Version(version),
                Answer::Refused(refusal) => Answered::Outcome(Outcome::Refused(refusal)),
                _ => Answered::Outcome(Outcome::Done),
            };
            Heard::Answer(number, answered)
        }
        Told::Document(told) => match told {
            DocumentTold::Offer => Heard::Offer,
            DocumentTold::State(whole) => {
                let (tree, ledger) = Ledger::read(&whole).map_err(unreadable)?;
                Heard::State(tree, Box::new(ledger))
            }
            DocumentTold::Changed { .. } => Heard::Changed(Made::read(&told).map_err(unreadable)?),
            DocumentTold::Destroyed => Heard::Destroyed,
            DocumentTold::Board { descriptor, key } => Heard::Board { descriptor, key },
        },
        Told::Moved { .. } => return Err(Closed::Here),
        Told::Changed { .. } => return Ok(()),
    });
    Ok(())
}

/// What was told cannot be gone on from: the connection is to be made anew.
struct Broken;

/// Takes what has come, in its order.
fn take_all(shared: &Arc<Shared>, manager: &Manager, come: Vec<Heard>) -> Result<(), Broken> {
    let joining = manager.joining;
    let mut inner = shared.lock();
    let mut come = come.into_iter().peekable();
    while let Some(heard) = come.next() {
        match heard {
            Heard::Changed(first) => {
                let more = std::iter::from_fn(|| {
                    let next = come.next_if(|next| matches!(next, Heard::Changed(_)));
                    next.and_then(|next| match next {
                        Heard::Changed(made) => Some(made),
                        _ => None,
                    })
                });
                let all = std::iter::once(first).chain(more);
                let confirm = |replica: &mut Replica, tree: &mut Tree| replica.confirm(tree, all);
                match shared.change_tree(&mut inner, confirm) {
                    Ok(changed) => inner.wake_watches(&changed),
                    Err(Torn) => {
                        warn!(
                            document = shared.name,
                            "changes of a document were missed: all of it is asked for"
                        );
                        shared.begin_anew(&mut inner);
                        return Err(Broken);
                    }
                }
            }
            Heard::State(tree, ledger) => {
                shared.change_tree(&mut inner, |replica, shown| {
                    replica.adopt(shown, tree, *ledger);
                });
                inner.wake_all_watches();
            }
            Heard::Answer(number, Answered::Version(version)) if number == joining => {
                inner.replica.is_at(version);
                inner.joined = true;
                inner.refused = None;
                inner.sent = 0;
                shared.send_changes(&mut inner);
                if manager.is_of_same_build {
                    // Where it does not set out, all comes by the connection.
                    let _ = send(&manager.sender, 0, DocumentOp::Board);
                }
                shared.turned.notify_waiters();
            }
            Heard::Answer(number, Answered::Outcome(Outcome::Refused(refusal)))
                if number == joining =>
            {
                if inner.refused.as_ref() != Some(&refusal) {
                    warn!(document = shared.name, reason = %refusal, "a document is not kept: it is tried again");
                }
                inner.refused = Some(refusal);
                shared.turned.notify_waiters();
                return Err(Broken);
            }
            // Of a change, which has no number as a question: it is sent again on another connection.
            Heard::Answer(0, _) => return Err(Broken),
            Heard::Answer(number, answered) => {
                inner.answer(
                    number,
                    match answered {
                        Answered::Version(_) => Outcome::Done,
                        Answered::Outcome(outcome) => outcome,
                    },
                );
            }
            Heard::Offer => offer(shared, &mut inner, &manager.sender)?,
            Heard::Board { descriptor, key } => {
                match BoardReader::open(manager.pid, descriptor, key) {
                    Ok(board) => shared.put_up(&inner, board),
                    Err(e) => {
                        debug!(document = shared.name, error = %e, "the board of a document cannot be read: its changes come by the connection alone");
                    }
                }
            }
            Heard::Destroyed => {
                drop(inner);
                shared.end(Over::Destroyed);
                forget(shared);
                return Err(Broken);
            }
        }
    }
    Ok(())
}

/// Says what is confirmed here.
fn offer(shared: &Shared, inner: &mut Inner, sender: &Sender) -> Result<(), Broken> {
    let (root, ledger) = shared.change_tree(inner, |replica, tree| {
        let (root, ledger) = replica.confirmed(tree);
        (root, ledger.clone())
    });
    let root = value::encode(&root).map_err(|_| Broken)?;
    let deadlines = ledger.deadlines();
    let whole = ledger.whole(&root, &deadlines);
    send(sender, 0, DocumentOp::Offer(whole)).map_err(|_| Broken)
}
