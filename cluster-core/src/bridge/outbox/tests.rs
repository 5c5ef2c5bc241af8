use super::*;
use crate::protocol::Command;
use crate::wire::message::{EventHead, WireMessage};

#[tokio::test]
async fn nothing_is_held_for_a_peer_that_has_been_away_for_too_long() {
    let outbox = Outbox::new();
    let push = |header| outbox.push(header, |_| Ok(()));
    push(EventHead::HEADER).unwrap();
    assert!(
        matches!(push(Command::HEADER), Err(Refusal::Unreachable)),
        "control is not held"
    );
    outbox.state.lock().phase = Phase::Away(Instant::now() - HELD_FOR);
    assert!(matches!(push(EventHead::HEADER), Err(Refusal::Unreachable)));
    let (here, there) = tokio::net::UnixStream::pair().unwrap();
    outbox.open(Arc::new(Stream::new(here).unwrap()));
    push(Command::HEADER).unwrap();
    outbox.close();
    assert!(matches!(push(Command::HEADER), Err(Refusal::Closed)));
    drop(there);
}

#[tokio::test]
async fn a_closed_link_ends_though_its_peer_does_not_read() {
    let (here, there) = tokio::net::UnixStream::pair().unwrap();
    let (stream, outbox) = (Arc::new(Stream::new(here).unwrap()), Outbox::new());
    outbox.open(Arc::clone(&stream));
    let fill = |out: &mut Vec<u8>| {
        out.resize(out.len() + CHUNK, 0);
        Ok(())
    };
    while outbox.push(EventHead::HEADER, fill).is_ok() {}
    let refuse = async {
        // Not before the other one waits for room.
        tokio::task::yield_now().await;
        outbox.close();
    };
    let (ended, ()) = tokio::join!(outbox.write_all(&stream), refuse);
    assert_eq!(ended.kind(), io::ErrorKind::ConnectionAborted);
    drop(there);
}

#[tokio::test]
async fn who_appends_without_a_pause_does_not_keep_a_peer_waiting_that_reads() {
    let (here, there) = tokio::net::UnixStream::pair().unwrap();
    let outbox = Outbox::new();
    outbox.open(Arc::new(Stream::new(here).unwrap()));
    let fill = |out: &mut Vec<u8>| {
        out.resize(out.len() + 1000, 0);
        Ok(())
    };
    while !outbox.state.lock().blocked {
        outbox.push(EventHead::HEADER, fill).unwrap();
    }
    let waiting = outbox.waiting();
    let mut bytes = vec![0; 1 << 20];
    there.readable().await.unwrap();
    assert!(there.try_read(&mut bytes).unwrap() > 0);
    // The link's task, which there is none of here, has no turn meanwhile.
    for _ in 0..=BATCH_BYTES / 1000 {
        outbox.push(EventHead::HEADER, fill).unwrap();
    }
    let left = outbox.waiting();
    assert!(left < waiting, "{left} of {waiting}");
}

#[tokio::test]
async fn what_is_urgent_does_not_wait_for_the_task_of_the_link() {
    use std::io::Read as _;
    let (here, there) = tokio::net::UnixStream::pair().unwrap();
    let outbox = Outbox::new();
    outbox.open(Arc::new(Stream::new(here).unwrap()));
    let mut there = there.into_std().unwrap();
    let mut bytes = [0; 64];
    outbox.push(EventHead::HEADER, |_| Ok(())).unwrap();
    assert!(there.read(&mut bytes).is_err(), "the task writes it");
    outbox.push_as(EventHead::HEADER, true, |_| Ok(())).unwrap();
    assert_eq!(there.read(&mut bytes).unwrap(), 2 * HEADER);
}

#[tokio::test]
async fn more_is_gathered_where_the_core_is_shared() {
    let (here, there) = tokio::net::UnixStream::pair().unwrap();
    let outbox = Outbox::new();
    outbox.open(Arc::new(Stream::new(here).unwrap()));
    for (shared, batch) in [(true, SHARED_BATCH), (false, BATCH)] {
        outbox.share_core(shared);
        let push = || outbox.push(EventHead::HEADER, |_| Ok(())).unwrap();
        // The link's task, which there is none of here, has no turn meanwhile.
        (1..batch).for_each(|_| push());
        assert_eq!(outbox.waiting(), (batch as usize - 1) * HEADER);
        push();
        assert_eq!(outbox.waiting(), 0);
    }
    drop(there);
}
