//! The manager's side of a handover: a task that asks the manager for one portion after the other, and writes it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Weak;
use std::time::{Duration, Instant};

use actix::{Addr, MailboxError};
use cluster_core::Closed;
use cluster_core::endpoint::{self, Messages, SendError, ServiceSocket, Transfer};
use futures_util::future::join_all;
use tokio::task::yield_now;
use tokio::time::timeout;
use tracing::{info, warn};

use super::super::CacheManager;
use super::super::intake::Intake;
use super::{Begin, BreakOff, Freeze, HoldStores, Leave, SendSome};
use crate::protocol::{Answer, Ask, Op, Refusal, Told};

/// How long each word of the successor's may take, and each portion to be read by it.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long clients wait at most: less than their own questions do where nothing is said.
const PAUSE: Duration = Duration::from_secs(2);
/// How long clients have to leave, once another process serves: after it their questions are too late in any case.
const FAREWELL: Duration = Duration::from_secs(3);

/// Why the manager serves on.
#[derive(Debug, thiserror::Error)]
enum GiveError {
    #[error("{0}")]
    Refused(Refusal),
    #[error("the successor keeps silent")]
    Silent,
    #[error("the successor is gone: {0}")]
    Gone(#[from] Closed),
    #[error("the successor asks for something else")]
    OutOfPlace,
    #[error("clients would have to wait for longer than {} ms", PAUSE.as_millis())]
    TooLong,
    #[error("a session store has been busy for more than {} ms", PAUSE.as_millis())]
    Stores,
    #[error("something cannot be sent: {0}")]
    Send(#[from] SendError),
    #[error("the file of what is kept cannot be passed on: {0}")]
    File(#[from] io::Error),
    #[error("this process ends")]
    Ends(#[from] MailboxError),
}

/// Sees to it that the manager serves on, unless it is said that another process does.
struct Undecided(Option<Addr<CacheManager>>);

impl Drop for Undecided {
    fn drop(&mut self) {
        if let Some(manager) = self.0.take() {
            // At most one is under way; a manager that has ended has nothing to go on with.
            manager.do_send(BreakOff);
        }
    }
}

/// Hands everything over to a process that has introduced itself as the successor.
pub(in super::super) async fn give(
    mut transfer: Transfer,
    socket: Weak<ServiceSocket>,
    intake: Intake,
) {
    let pid = transfer.pid();
    if let Err(e) = hand_over(&mut transfer, &socket, intake).await {
        warn!(pid, reason = %e, "the cache was not handed over");
    }
}

async fn hand_over(
    transfer: &mut Transfer,
    socket: &Weak<ServiceSocket>,
    intake: Intake,
) -> Result<(), GiveError> {
    let manager = intake.manager();
    let number = asked(transfer, |op| matches!(op, Op::HandOver)).await?;
    if let Err(refusal) = manager.send(Begin).await? {
        let refused = Answer::Refused(refusal.clone());
        answer(transfer, number, refused, &[]).await?;
        return Err(GiveError::Refused(refusal));
    }
    let mut undecided = Undecided(Some(manager.clone()));
    let begun = Instant::now();
    info!(pid = transfer.pid(), "handing the cache over");
    answer(transfer, number, Answer::Done, &[]).await?;
    loop {
        let portion = manager.send(SendSome).await??;
        write(transfer, &portion.messages).await?;
        if portion.is_last {
            break;
        }
        // Clients have their turns.
        yield_now().await;
    }
    let resting = manager.send(HoldStores).await?;
    let rested = timeout(PAUSE, join_all(resting));
    rested.await.map_err(|_| GiveError::Stores)?;
    let frozen = Instant::now();
    let rest = timeout(PAUSE, send_rest(transfer, manager));
    let (number, file) = rest.await.map_err(|_| GiveError::TooLong)??;
    let socket = socket.upgrade().ok_or(MailboxError::Closed)?;
    let file = file.as_ref().map(AsFd::as_fd);
    let fds: Vec<_> = [Some(socket.as_fd()), file].into_iter().flatten().collect();
    answer(transfer, number, Answer::Done, &fds).await?;
    drop(fds);
    drop(socket);
    undecided.0 = None;
    let superseded = manager.send(Leave).await?;
    info!(
        pid = transfer.pid(),
        took_ms = begun.elapsed().as_millis(),
        paused_us = frozen.elapsed().as_micros(),
        "the cache is handed over"
    );
    let _ = timeout(FAREWELL, intake.emptied()).await;
    if let Some(superseded) = superseded {
        let _ = superseded.send(());
    }
    Ok(())
}

/// While clients wait: sends what is left, and waits until the successor is ready. Gives back the number under which it says so, and
/// the file of what is kept.
async fn send_rest(
    transfer: &mut Transfer,
    manager: &Addr<CacheManager>,
) -> Result<(u64, Option<OwnedFd>), GiveError> {
    let file = manager.send(Freeze).await??;
    loop {
        let portion = manager.send(SendSome).await??;
        write(transfer, &portion.messages).await?;
        if portion.is_last {
            break;
        }
    }
    let number = asked(transfer, |op| matches!(op, Op::TakeOver)).await?;
    Ok((number, file))
}

async fn write(transfer: &mut Transfer, messages: &Messages) -> Result<(), GiveError> {
    let written = timeout(PATIENCE, transfer.send(messages, &[]));
    Ok(written.await.map_err(|_| GiveError::Silent)??)
}

/// The number of the successor's next question, which has to be this one.
async fn asked(transfer: &mut Transfer, is_it: impl Fn(&Op<'_>) -> bool) -> Result<u64, GiveError> {
    let hear = |bytes: &[u8]| {
        let ask = endpoint::read::<Ask<'_>>(bytes)?;
        Ok(is_it(&ask.op).then_some(ask.number))
    };
    let heard = timeout(PATIENCE, transfer.receive(hear)).await;
    let heard: Result<Option<u64>, Closed> = heard.map_err(|_| GiveError::Silent)??;
    heard?.ok_or(GiveError::OutOfPlace)
}

async fn answer(
    transfer: &mut Transfer,
    number: u64,
    answer: Answer<'_>,
    fds: &[BorrowedFd<'_>],
) -> Result<(), GiveError> {
    let mut messages = Messages::new();
    messages.add(&Told::Answer {
        number,
        as_of: 0,
        answer,
    })?;
    Ok(transfer.send(&messages, fds).await?)
}
