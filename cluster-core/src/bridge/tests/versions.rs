//! Other builds, other layouts, and kinds that this build does not know.

use std::io;

use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::emitter::{AskError, Kind, Target};
use crate::wire::codec;
use crate::wire::frame::{Header, Lane};
use crate::wire::message::{Destination, EventHead, Format, TypeTag, WireMessage};

/// A note as a later build has it: one field more, under the same name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "Note")]
struct LaterNote {
    number: u64,
    text: String,
    #[serde(default)]
    urgent: bool,
}

/// The lines that are logged in this thread.
#[derive(Clone, Default)]
struct Lines(Arc<parking_lot::Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Lines;
    fn make_writer(&'a self) -> Lines {
        self.clone()
    }
}

impl Lines {
    fn with(&self, words: &str) -> usize {
        let bytes = self.0.lock();
        String::from_utf8_lossy(&bytes)
            .lines()
            .filter(|line| line.contains(words))
            .count()
    }
}

#[actix_rt::test]
async fn builds_that_differ_talk_json() {
    let master = master(&[1]);
    let linked = link(&master, ONE, &[1]);
    let mut above = hear(&master);
    let later = LaterNote {
        number: 5,
        text: "t".into(),
        urgent: true,
    };
    linked
        .worker
        .emit_to(Target::Master, later.clone())
        .unwrap();
    let mixed = Roster {
        mixed_builds: true,
        ..roster(&[1])
    };
    linked.worker.hub.set_roster(mixed);
    linked.worker.emit_to(Target::Master, later).unwrap();
    let (heard, _) = soon(above.recv()).await.unwrap();
    assert_eq!(
        heard,
        Note {
            number: 5,
            text: "t".into()
        }
    );
    assert_eq!(
        master.counters().undecodable,
        1,
        "the first was no JSON, and the layouts differ"
    );

    // Answers come in the format of their questions.
    master.answer(|Double(number): Double, _| async move { number * 2 });
    assert_eq!(
        soon(linked.worker.ask(Target::Master, Double(21)))
            .await
            .unwrap(),
        42
    );
}

#[actix_rt::test]
async fn what_cannot_be_read_is_logged_once_for_its_kind_and_counted_always() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(lines.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let master = master(&[1]);
    let linked = link(&master, ONE, &[1]);
    let mut above = hear(&master);
    for _ in 0..5 {
        linked
            .worker
            .emit_to(Target::Master, LaterNote::default())
            .unwrap();
    }
    linked.worker.emit_to(Target::Master, note(1)).unwrap();
    assert_eq!(
        soon(above.recv()).await.unwrap().0,
        note(1),
        "nothing is closed by it"
    );
    assert_eq!(master.counters().undecodable, 5);
    assert_eq!(lines.with("an event cannot be read"), 1);

    // The other side's answer to a question that it cannot read.
    #[derive(Clone, Debug, Serialize, Deserialize, Request)]
    #[reply(u64)]
    #[request(name = "Double")]
    struct OtherDouble(String);
    master.answer(|Double(number): Double, _| async move { number * 2 });
    let answer = soon(linked.worker.ask(Target::Master, OtherDouble("x".into()))).await;
    assert!(
        matches!(answer, Err(AskError::Undecodable(ProcessId::Master))),
        "{answer:?}"
    );
}

#[actix_rt::test]
async fn a_later_version_of_a_kind_is_passed_over() {
    let master = master(&[1]);
    let linked = link(&master, ONE, &[1]);
    let mut above = hear(&master);
    let later = Header {
        version: EventHead::HEADER.version + 1,
        ..EventHead::HEADER
    };
    let unknown = Header {
        kind: 999,
        version: 1,
        lane: Lane::Data,
    };
    for header in [later, unknown] {
        linked
            .up
            .push(header, |out| {
                out.extend_from_slice(b"whatever it may say");
                Ok(())
            })
            .unwrap();
    }
    linked.worker.emit_to(Target::Master, note(1)).unwrap();
    assert_eq!(soon(above.recv()).await.unwrap().0, note(1));
    let body = b"whatever it may say";
    assert!(
        !master.hub.receive(ONE, later, body).unwrap(),
        "it is none of the emitter's"
    );
}

#[actix_rt::test]
async fn who_speaks_for_another_loses_its_link() {
    let master = master(&[1, 2]);
    let linked = link(&master, ONE, &[1, 2]);
    let tag = TypeTag {
        id: Kind::id_of("Note"),
        fingerprint: 0,
        format: Format::Json,
    };
    let head = EventHead {
        from: TWO,
        to: Destination::One(ProcessId::Master),
        tag,
    };
    linked
        .up
        .push(EventHead::HEADER, |out| codec::encode_into(&head, out))
        .unwrap();
    assert!(matches!(soon(linked.upper).await, Ok(Closed::Impostor)));
    assert!(matches!(soon(linked.lower).await, Ok(Closed::Eof)));
}
