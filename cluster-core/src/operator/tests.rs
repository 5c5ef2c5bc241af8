//! An operator against a master made of a socket and a script.

use std::future::Future;

use tokio::net::UnixListener;

use super::*;
use crate::id::ProcessId;
use crate::protocol::{Outcome, Progress, Welcome};
use crate::wire::frame;
use crate::wire::message::WireMessage;

/// A master that lets one operator in and then does as it is told.
async fn with_master<T, M: Future<Output = ()>>(
    script: impl FnOnce(UnixStream) -> M,
    operator: impl AsyncFnOnce(Operator) -> T,
) -> T {
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join(SOCKET)).unwrap();
    let master = async {
        let (stream, _) = listener.accept().await.unwrap();
        let hello = handshake::hear(&stream).await.unwrap();
        assert_eq!((hello.role, hello.worker), (Role::Operator, None));
        let you = ProcessId::Operator(1);
        let welcome = Welcome {
            protocol: PROTOCOL,
            build: String::new(),
            pid: 77,
            you,
        };
        handshake::send(&stream, &welcome).await.unwrap();
        script(stream).await;
    };
    let asking = async {
        let linked = Operator::connect(dir.path()).await.unwrap();
        assert_eq!(linked.master(), 77);
        operator(linked).await
    };
    let master = async {
        master.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        outcome = asking => outcome,
        () = master => unreachable!("it never ends"),
    }
}

/// Reads operations off a link.
struct Asked(Vec<u8>);

impl Asked {
    async fn next(&mut self, stream: &UnixStream) -> Operate {
        loop {
            if let Some((frame, used)) = frame::cut(&self.0).unwrap() {
                assert_eq!(frame.header, Operate::HEADER);
                let operate = codec::decode(frame.payload).unwrap();
                self.0.drain(..used);
                return operate;
            }
            stream.readable().await.unwrap();
            match stream.try_read_buf(&mut self.0) {
                Ok(n) => assert_ne!(n, 0, "the operator has gone"),
                Err(e) => assert_eq!(e.kind(), io::ErrorKind::WouldBlock),
            }
        }
    }
}

async fn answer(stream: &UnixStream, number: u64, result: Result<&str, OperationError>) {
    let result = result.map(str::to_owned);
    handshake::send(stream, &Outcome { number, result })
        .await
        .unwrap();
}

#[tokio::test]
async fn progress_comes_before_the_outcome_and_other_numbers_are_not_ours() {
    let long = format!("{:?}", "x".repeat(200_000));
    let script = async |stream: UnixStream| {
        let Operate { number, operation } = Asked(Vec::new()).next(&stream).await;
        assert_eq!(operation, Operation::Restart { wait: true });
        answer(&stream, number + 9, Ok("false")).await;
        for done in 1..=2 {
            let note = "n".to_owned();
            let progress = Progress {
                number,
                done,
                of: 2,
                note,
            };
            handshake::send(&stream, &progress).await.unwrap();
        }
        answer(&stream, number, Ok(&long)).await;
    };
    let mut heard = Vec::new();
    let value = with_master(script, async |mut operator| {
        let operation = Operation::Restart { wait: true };
        operator
            .operate(operation, |note| heard.push((note.done, note.of)))
            .await
    });
    let value = value.await.unwrap();
    assert_eq!(value.as_str().map(str::len), Some(200_000));
    assert_eq!(heard, [(1, 2), (2, 2)]);
}

#[tokio::test]
async fn a_refusal_and_the_end_of_the_link_are_told_apart() {
    let script = async |stream: UnixStream| {
        let mut asked = Asked(Vec::new());
        let first = asked.next(&stream).await;
        answer(&stream, first.number, Err(OperationError::NoSuchWorker(4))).await;
        asked.next(&stream).await;
    };
    with_master(script, async |mut operator| {
        let refused = operator.operate(Operation::MarkUp, |_| {}).await;
        let expected = OperationError::NoSuchWorker(4);
        assert!(matches!(refused, Err(OperatorError::Operation(e)) if e == expected));
        let lost = operator.operate(Operation::MarkUp, |_| {}).await;
        assert!(
            matches!(lost, Err(OperatorError::LinkLost(Closed::Eof))),
            "{lost:?}"
        );
        operator.closed().await;
    })
    .await;
}

#[tokio::test]
async fn a_silent_master_is_given_up() {
    let script = async |stream: UnixStream| {
        Asked(Vec::new()).next(&stream).await;
        std::future::pending().await
    };
    let answer = with_master(script, async |operator| {
        let mut operator = operator.answer_within(Duration::from_millis(20));
        operator.operate(Operation::Status, |_| {}).await
    });
    let answer = answer.await;
    assert!(
        matches!(answer, Err(OperatorError::NoAnswer { .. })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn what_takes_long_is_waited_for_while_the_master_lives() {
    let stop = || Operation::Stop { timeout_ms: None };
    let script = async |stream: UnixStream| {
        let mut asked = Asked(Vec::new());
        for ends in [true, false] {
            let long = asked.next(&stream).await;
            assert_eq!(long.operation, stop());
            let probe = asked.next(&stream).await;
            assert_eq!(probe.operation, Operation::Status);
            if ends {
                answer(&stream, probe.number, Ok("{}")).await;
                answer(&stream, long.number, Ok("1")).await;
            }
        }
        std::future::pending().await
    };
    with_master(script, async |operator| {
        let mut operator = operator.answer_within(Duration::from_millis(500));
        assert_eq!(operator.operate(stop(), |_| {}).await.unwrap(), 1);
        let silent = operator.operate(stop(), |_| {}).await;
        assert!(
            matches!(silent, Err(OperatorError::NoAnswer { .. })),
            "{silent:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn nobody_there_is_not_running() {
    let dir = tempfile::tempdir().unwrap();
    let missing = Operator::connect(&dir.path().join("none")).await;
    assert!(
        matches!(missing, Err(OperatorError::NotRunning { .. })),
        "{missing:?}"
    );
    // The socket of a master that was killed is still there.
    drop(std::os::unix::net::UnixListener::bind(dir.path().join(SOCKET)).unwrap());
    let dead = Operator::connect(dir.path()).await;
    assert!(
        matches!(dead, Err(OperatorError::NotRunning { .. })),
        "{dead:?}"
    );
}
