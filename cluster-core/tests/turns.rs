//! Clients of one service that share its thread: one that asks much at once, and one that asks one thing at a time.
#![allow(clippy::unwrap_used, missing_docs)]

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use cluster_core::endpoint::{Admitted, Connection, Sender, ServiceSocket, encode, read};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes that one read brings in a short turn.
const READ: usize = 16 * 1024;
/// What a frame has besides.
const HEADER: usize = 8;

/// Answers each message with its number and so many bytes, those below `few` with none. Says for each one below `few` how many others were heard since the last such.
async fn serve(socket: &ServiceSocket, few: u64, bytes: usize, between: &Rc<RefCell<Vec<u64>>>) {
    let others = Rc::new(Cell::new(0));
    for _ in 0..2 {
        let Admitted::Client(service) = socket.accept().await.unwrap().admit().await.unwrap()
        else {
            panic!("a client is no successor");
        };
        let (answer, others, between) = (service.sender(), Rc::clone(&others), Rc::clone(between));
        actix_rt::spawn(service.run(move |asked| {
            let (number, _): (u64, &[u8]) = read(asked)?;
            if number < few {
                between.borrow_mut().push(others.replace(0));
            } else {
                others.set(others.get() + 1);
            }
            let bytes = if number < few { 0 } else { bytes };
            answer.send(&(number, vec![0_u8; bytes])).unwrap();
            Ok(())
        }));
    }
}

/// A client, and the numbers that it is answered with.
async fn connect(path: &Path) -> (Sender, UnboundedReceiver<u64>) {
    let client = Connection::connect(path).await.unwrap();
    let sender = client.sender();
    let (heard, hears) = unbounded_channel();
    actix_rt::spawn(client.run(move |bytes| {
        let (number, _): (u64, &[u8]) = read(bytes)?;
        let _ = heard.send(number);
        Ok(())
    }));
    (sender, hears)
}

/// A message that takes so many bytes on the wire.
fn of_bytes(number: u64, bytes: usize) -> (u64, Vec<u8>) {
    let size = |filling: usize| {
        let mut out = Vec::new();
        encode(&(number, vec![0_u8; filling]), &mut out).unwrap();
        HEADER + out.len()
    };
    let mut filling = bytes - size(0);
    while size(filling) > bytes {
        filling -= 1;
    }
    assert_eq!(size(filling), bytes);
    (number, vec![0; filling])
}

#[actix_rt::test]
async fn who_asks_one_thing_at_a_time_waits_for_little_of_what_another_asks_at_once() {
    const ONE_BY_ONE: u64 = 200;
    const AT_ONCE: u64 = 50_000;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("service.sock");
    let socket = ServiceSocket::bind(&path).unwrap();
    let between = Rc::default();
    let (_, (much, mut heard), (little, mut hears)) = tokio::join!(
        serve(&socket, ONE_BY_ONE, 0, &between),
        connect(&path),
        connect(&path)
    );
    for number in 0..AT_ONCE {
        much.send(&(ONE_BY_ONE + number, [0_u8; 0].as_slice()))
            .unwrap();
    }
    for number in 0..ONE_BY_ONE {
        little.send(&(number, [0_u8; 0].as_slice())).unwrap();
        assert_eq!(hears.recv().await, Some(number));
    }
    // The first comes before it is known that more will.
    let mut between = between.borrow()[2..].to_vec();
    between.sort_unstable();
    let (most, typical) = (between[between.len() - 1], between[between.len() / 2]);
    assert!(typical > 0, "all was heard before");
    assert!(
        typical <= 32 && most <= 256,
        "{typical} others, {most} at most"
    );
    for number in 0..AT_ONCE {
        assert_eq!(heard.recv().await, Some(ONE_BY_ONE + number));
    }
}

#[actix_rt::test]
async fn what_fills_a_read_to_the_last_byte_is_answered_all_the_same() {
    answers_of(0).await;
}

/// Of more bytes than may wait for a client while it is heard.
#[actix_rt::test]
async fn large_answers_to_what_fills_a_read_all_come() {
    answers_of(60_000).await;
}

/// Asks as much at once as one read brings, in a short turn, and is answered with so many bytes each time.
async fn answers_of(bytes: usize) {
    const BATCH: u64 = 64;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("service.sock");
    let socket = ServiceSocket::bind(&path).unwrap();
    let between = Rc::default();
    let (_, (much, mut heard), (little, mut hears)) = tokio::join!(
        serve(&socket, 1, bytes, &between),
        connect(&path),
        connect(&path)
    );
    for round in 0..50 {
        let numbers = 1 + round * BATCH..=(round + 1) * BATCH;
        let of_a_read = |number| of_bytes(number, READ / BATCH as usize);
        let batch: Vec<_> = numbers.clone().map(of_a_read).collect();
        // So that turns are short: what follows comes soon after.
        little.send(&(0_u64, [0_u8; 0].as_slice())).unwrap();
        assert_eq!(hears.recv().await, Some(0));
        for message in &batch {
            much.send(message).unwrap();
        }
        for number in numbers {
            let next = timeout(PATIENCE, heard.recv()).await;
            assert_eq!(next.expect("it is answered"), Some(number));
        }
    }
}
