//! Links that break, and links that are made again.

use tokio::net::UnixListener;
use tokio::sync::watch;

use super::*;
use crate::bridge::handshake;
use crate::bridge::listener::{self, Arrival};
use crate::bridge::uplink::{LinkState, Uplink};
use crate::emitter::{AskError, Target, Undelivered};
use crate::id::{Generation, Role};
use crate::protocol::{Hello, PROTOCOL, Welcome};

fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL,
        build: "b".into(),
        role: Role::Worker,
        worker: Some(WorkerId(1)),
        generation: Generation(1),
        pid: std::process::id(),
    }
}

/// A master's socket, and those who have come to it.
fn listen(path: &std::path::Path) -> mpsc::Receiver<Arrival> {
    let socket = UnixListener::bind(path).unwrap();
    let (arrivals, arrived) = mpsc::channel(8);
    actix_rt::spawn(listener::listen(socket, arrivals));
    arrived
}

/// Lets somebody in, as the master does.
async fn admit(master: &Emitter, arrival: Arrival) -> JoinHandle<Closed> {
    let welcome = Welcome {
        protocol: PROTOCOL,
        build: "b".into(),
        pid: 7,
        you: ONE,
    };
    handshake::send(&arrival.stream, &welcome).await.unwrap();
    let stream = Arc::new(Stream::new(arrival.stream).unwrap());
    let down = Arc::new(Outbox::new());
    down.open(Arc::clone(&stream));
    master.hub.link(ONE, Arc::clone(&down));
    let hub = Arc::clone(&master.hub);
    actix_rt::spawn(async move {
        let receive = |header, body: &[u8]| hub.receive(ONE, header, body).map(drop);
        link::run(&stream, &down, receive).await
    })
}

#[actix_rt::test]
async fn a_broken_link_is_made_anew_and_what_was_held_arrives_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.sock");
    let mut arrived = listen(&path);
    let master = master(&[1]);
    let mut heard = hear(&master);
    let (worker, up) = worker(ONE, &[1]);
    let uplink = Uplink {
        path,
        hello: hello(),
        outbox: Arc::clone(&up),
        bequeath: Box::new(|_| Err(std::io::ErrorKind::Unsupported.into())),
    };
    let admitting = async {
        let arrival = soon(arrived.recv()).await.unwrap();
        assert_eq!(arrival.hello, hello());
        // In a tuple: the task of the link is not to be awaited here.
        (admit(&master, arrival).await,)
    };
    let (linked, (first,)) = futures_util::future::join(uplink.connect(), admitting).await;
    let (stream, welcome) = linked.unwrap();
    assert_eq!(welcome.pid, 7);
    let (state, mut link_state) = watch::channel(LinkState::Up { master: 7 });
    let hub = Arc::clone(&worker.hub);
    let receive = {
        let hub = Arc::clone(&hub);
        move |header, body: &[u8]| hub.receive(ProcessId::Master, header, body).map(drop)
    };
    actix_rt::spawn(uplink.keep(stream, state, move || hub.link_lost(), receive));
    worker.emit_to(Target::Master, note(0)).unwrap();
    assert_eq!(soon(heard.recv()).await.unwrap().0, note(0));

    // A question that is under way when the link breaks ends with it.
    let asking = {
        let worker = worker.clone();
        actix_rt::spawn(async move { worker.ask(Target::Master, Double(1)).await })
    };
    master.answer(|_: Double, _| std::future::pending());
    worker.emit_to(Target::Master, note(1)).unwrap();
    assert_eq!(soon(heard.recv()).await.unwrap().0, note(1));
    master.hub.route(ONE).unwrap().close();
    assert!(matches!(soon(first).await, Ok(Closed::Here)));
    soon(link_state.wait_for(|state| matches!(state, LinkState::Down { .. })))
        .await
        .unwrap();
    assert!(matches!(
        soon(asking).await.unwrap(),
        Err(AskError::LinkLost(ProcessId::Master))
    ));

    for number in 2..100 {
        worker.emit_to(Target::Master, note(number)).unwrap();
    }
    let arrival = soon(arrived.recv()).await.unwrap();
    let _second = admit(&master, arrival).await;
    for number in 2..100 {
        assert_eq!(soon(heard.recv()).await.unwrap().0, note(number));
    }
    assert!(matches!(*link_state.borrow(), LinkState::Up { master: 7 }));
}

#[actix_rt::test]
async fn what_is_held_is_bounded_and_refused_beyond() {
    let (worker, up) = worker(ONE, &[1]);
    let held = |text: &str| {
        up.away();
        let mut held = 0u64;
        loop {
            match worker.emit_to(
                Target::Master,
                Note {
                    number: held,
                    text: text.to_owned(),
                },
            ) {
                Ok(()) => held += 1,
                Err(e) => {
                    assert!(matches!(
                        e.failures[..],
                        [(Target::Master, Undelivered::Unreachable)]
                    ));
                    assert!(e.is_retryable());
                    return held;
                }
            }
        }
    };
    assert_eq!(held("a"), 4096, "by number");
    let long = held(&"b".repeat(64 * 1024));
    assert!((15..=17).contains(&long), "by size: {long} of 64 KiB");
    soon(worker.ready()).await;
}

#[actix_rt::test]
async fn who_stays_silent_or_lies_is_not_let_in_and_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.sock");
    let mut arrived = listen(&path);
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(UnixStream::connect(&path).await.unwrap());
    }
    let liar = UnixStream::connect(&path).await.unwrap();
    handshake::send(&liar, &Hello { pid: 1, ..hello() })
        .await
        .unwrap();
    let honest = UnixStream::connect(&path).await.unwrap();
    handshake::send(&honest, &hello()).await.unwrap();
    let arrival = soon(arrived.recv()).await.unwrap();
    assert_eq!(
        arrival.hello.pid,
        std::process::id(),
        "the liar has not come through"
    );
    let mut byte = [0];
    soon(liar.readable()).await.unwrap();
    assert_eq!(
        liar.try_read(&mut byte).unwrap(),
        0,
        "the liar's link is closed"
    );
}

/// Connects as user 65534; the user is the thread's own on Linux.
#[cfg(target_os = "linux")]
fn connect_as_nobody(path: &std::path::Path) -> std::os::unix::net::UnixStream {
    let connect = || {
        let nobody = rustix::process::Uid::from_raw(65534);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        std::os::unix::net::UnixStream::connect(path).unwrap()
    };
    std::thread::scope(|scope| scope.spawn(connect).join().unwrap())
}

#[cfg(target_os = "linux")]
#[actix_rt::test]
async fn another_user_is_refused_and_told_so() {
    use std::os::unix::fs::PermissionsExt;

    use crate::bridge::handshake::HandshakeError;
    use crate::protocol::Refused;
    use crate::wire::codec;
    use crate::wire::frame;

    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can become another user");
        return;
    }
    let folder = tempfile::Builder::new()
        .prefix("cluster-uid")
        .tempdir_in("/tmp")
        .unwrap();
    let path = folder.path().join("master.sock");
    let mut arrived = listen(&path);
    for open in [folder.path(), &path] {
        std::fs::set_permissions(open, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    let stranger = connect_as_nobody(&path);
    stranger.set_nonblocking(true).unwrap();
    let stranger = UnixStream::from_std(stranger).unwrap();
    let _ = handshake::send(&stranger, &hello()).await;
    let mut bytes = Vec::new();
    let mut stranger = stranger;
    // Closing with its hello unread may reset the link behind the refusal.
    let _ = soon(tokio::io::AsyncReadExt::read_to_end(
        &mut stranger,
        &mut bytes,
    ))
    .await;
    let (frame, _) = frame::cut(&bytes).unwrap().expect("a refusal");
    let refused: Refused = codec::decode(frame.payload).unwrap();
    assert_eq!(refused, Refused::NotOurs { uid: 65534 });
    assert!(HandshakeError::from(refused).to_string().contains("65534"));
    assert!(arrived.try_recv().is_err(), "it has not come through");
}
