//! Bounds of the queues, and that control never waits behind data.

use tokio::io::AsyncReadExt;

use super::*;
use crate::bridge::outbox::Refusal;
use crate::emitter::{Target, Undelivered};
use crate::protocol::Command;
use crate::wire::codec;
use crate::wire::frame::{self, HEADER, Lane};
use crate::wire::message::{EventHead, WireMessage};

/// Data of this much has gone out before a command, at most: what the kernel holds, and one segment that was begun.
const AHEAD: usize = 1024 * 1024;

#[actix_rt::test]
async fn a_command_passes_eight_mebibytes_of_data() {
    let (here, mut there) = UnixStream::pair().unwrap();
    let here = Arc::new(Stream::new(here).unwrap());
    let outbox = Arc::new(Outbox::new());
    outbox.open(Arc::clone(&here));
    let writer = {
        let (outbox, here) = (Arc::clone(&outbox), Arc::clone(&here));
        actix_rt::spawn(async move { outbox.write_all(&here).await })
    };
    let body = [7; 300];
    let fill = || {
        outbox.push(EventHead::HEADER, |out| {
            out.extend_from_slice(&body);
            Ok(())
        })
    };
    let mut frames = 0;
    let refused = loop {
        match fill() {
            Ok(()) => frames += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, Refusal::Backlogged));
    assert!(frames * (300 + HEADER) >= 8 * 1024 * 1024);
    outbox
        .push(Command::HEADER, |out| {
            codec::encode_into(&Command::Pause, out)
        })
        .unwrap();

    let (mut bytes, mut data, mut before) = (Vec::new(), 0, None);
    while data < frames || before.is_none() {
        assert!(soon(there.read_buf(&mut bytes)).await.unwrap() > 0);
        let mut start = 0;
        while let Some((frame, used)) = frame::cut(&bytes[start..]).unwrap() {
            match frame.header.lane {
                Lane::Control => before = Some(data),
                Lane::Data => data += 1,
            }
            start += used;
        }
        bytes.drain(..start);
    }
    let ahead = before.unwrap() * (300 + HEADER);
    assert!(ahead < AHEAD, "{ahead} bytes of data came first");
    writer.abort();
}

#[actix_rt::test]
async fn a_full_queue_refuses_and_ready_says_when_it_has_room() {
    let (above, below) = UnixStream::pair().unwrap();
    let (worker, up) = worker(ONE, &[1]);
    let _lower = run_end(&worker.hub, ProcessId::Master, below, &up);
    let text = "z".repeat(1000);
    let mut taken = 0;
    let refused = loop {
        match worker.emit_to(
            Target::Master,
            Note {
                number: taken,
                text: text.clone(),
            },
        ) {
            Ok(()) => taken += 1,
            Err(e) => break e,
        }
    };
    assert!(matches!(
        refused.failures[..],
        [(Target::Master, Undelivered::Backlogged)]
    ));
    assert!(refused.is_retryable());
    let waits = timeout(Duration::from_millis(100), worker.ready());
    assert!(waits.await.is_err(), "the other side has read nothing yet");

    let master = master(&[1]);
    let mut heard = hear(&master);
    let down = Arc::new(Outbox::new());
    let _upper = run_end(&master.hub, ONE, above, &down);
    soon(worker.ready()).await;
    worker.emit_to(Target::Master, note(taken)).unwrap();
    for number in 0..=taken {
        assert_eq!(
            soon(heard.recv()).await.unwrap().0.number,
            number,
            "what was taken arrives"
        );
    }
}
