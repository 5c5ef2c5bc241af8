//! The acceptor over real sockets.
#![allow(clippy::unwrap_used)]

use std::{
    net,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use actix_web::{App, HttpRequest, HttpResponse, body::BodyStream, web};
use cluster_core::{Page, Turns};
use cluster_web::{HttpSettings, Listener, Meters, Server, Site, in_request};
use futures_util::stream;
use rustls::{ClientConfig, RootCertStore, ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
    sync::{Notify, Semaphore, mpsc},
};
use tokio_rustls::TlsConnector;

#[path = "acceptor/client.rs"]
mod client;

use client::Client;

const GRACE: Duration = Duration::from_millis(60);

/// What the handlers of the test application share with the test.
#[derive(Default)]
struct Stage {
    built: AtomicUsize,
    entered: Notify,
    release: Notify,
}

fn application(stage: &Arc<Stage>) -> impl Fn() -> AppOf + use<> {
    let stage = Arc::clone(stage);
    move || {
        stage.built.fetch_add(1, SeqCst);
        let stage = web::Data::from(Arc::clone(&stage));
        Box::new(move |cfg: &mut web::ServiceConfig| {
            cfg.app_data(stage)
                .route("/", web::get().to(|| async { "hello" }))
                .route("/held", web::get().to(held))
                .route("/panic", web::get().to(panics))
                .route("/broken", web::get().to(broken))
                .route("/fails", web::get().to(HttpResponse::BadGateway))
                .route("/peer", web::get().to(peer));
        }) as AppOf
    }
}

type AppOf = Box<dyn FnOnce(&mut web::ServiceConfig)>;

async fn held(stage: web::Data<Stage>) -> &'static str {
    stage.entered.notify_one();
    stage.release.notified().await;
    "released"
}

async fn panics() -> HttpResponse {
    panic!("a handler's panic")
}

async fn broken() -> HttpResponse {
    let chunks = stream::unfold(0, |n| async move {
        assert!(n == 0, "a body's panic");
        Some((
            Ok::<_, std::io::Error>(web::Bytes::from_static(b"first")),
            n + 1,
        ))
    });
    HttpResponse::Ok().body(BodyStream::new(chunks))
}

async fn peer(request: HttpRequest) -> String {
    request
        .conn_data::<net::SocketAddr>()
        .map(ToString::to_string)
        .unwrap_or_default()
}

struct Fixture {
    server: Server,
    meters: Meters,
    stage: Arc<Stage>,
    listener: net::TcpListener,
}

impl Fixture {
    async fn new(settings: HttpSettings) -> Self {
        let stage = Arc::new(Stage::default());
        let meters = Meters::new();
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let configure = application(&stage);
        let factory = move || App::new().configure(configure());
        let server = Server::build(&factory, &[site(&listener)], settings, meters.for_thread())
            .await
            .unwrap();
        Fixture {
            server,
            meters,
            stage,
            listener,
        }
    }

    async fn accepting() -> Self {
        let fixture = Self::new(HttpSettings::default()).await;
        fixture.accept();
        fixture
    }

    fn accept(&self) {
        let listener = self.listener.try_clone().unwrap();
        self.server
            .accept(vec![Listener::Tcp(listener)], None)
            .unwrap();
    }

    async fn client(&self) -> Client<TcpStream> {
        let address = self.listener.local_addr().unwrap();
        Client(TcpStream::connect(address).await.unwrap())
    }
}

fn site(listener: &net::TcpListener) -> Site {
    let address = listener.local_addr().unwrap();
    Site {
        host: address.to_string(),
        address,
        secure: false,
    }
}

#[actix_rt::test]
async fn a_drain_waits_for_the_busy_and_closes_the_idle_after_the_grace() {
    let fixture = Fixture::accepting().await;
    let (mut idle, mut busy) = (fixture.client().await, fixture.client().await);
    assert_eq!(idle.get("/").await.body, "hello");
    busy.send("/held").await;
    fixture.stage.entered.notified().await;

    let server = fixture.server.clone();
    let begun = Instant::now();
    let drain = actix_rt::spawn(async move { server.drain(GRACE).await });
    idle.end().await;
    assert!(begun.elapsed() >= GRACE);
    assert_eq!(fixture.server.live(), 1);
    assert!(!drain.is_finished());

    fixture.stage.release.notify_one();
    let answer = busy.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "released"));
    assert!(answer.closes);
    busy.end().await;
    drain.await.unwrap();
    assert_eq!(fixture.server.live(), 0);
}

#[actix_rt::test]
async fn within_the_grace_a_kept_connection_gets_one_last_answer() {
    let fixture = Fixture::accepting().await;
    let mut client = fixture.client().await;
    assert!(!client.get("/").await.closes);
    let server = fixture.server.clone();
    // An hour: only the client's own request can end the drain.
    let drain = actix_rt::spawn(async move { server.drain(Duration::from_secs(3600)).await });
    tokio::task::yield_now().await;
    assert!(fixture.server.is_draining());
    let answer = client.get("/").await;
    assert!(answer.closes);
    client.end().await;
    drain.await.unwrap();
}

#[actix_rt::test]
async fn half_a_request_gets_a_second_grace() {
    let fixture = Fixture::accepting().await;
    let mut client = fixture.client().await;
    client.get("/").await;
    client.0.write_all(b"GET / HT").await.unwrap();
    // The server has read it once it answers another client that came later.
    fixture.client().await.get("/").await;
    let begun = Instant::now();
    fixture.server.drain(GRACE).await;
    assert!(begun.elapsed() >= 2 * GRACE);
}

fn keep_alive(time: Duration) -> HttpSettings {
    let mut settings = HttpSettings::default();
    settings.keep_alive = time.into();
    settings
}

#[actix_rt::test]
async fn an_idle_connection_is_closed_after_its_time() {
    let time = Duration::from_millis(200);
    let fixture = Fixture::new(keep_alive(time)).await;
    fixture.accept();
    let (mut idle, mut busy) = (fixture.client().await, fixture.client().await);
    busy.send("/held").await;
    let begun = Instant::now();
    assert!(!idle.get("/").await.closes);
    idle.end().await;
    assert!(begun.elapsed() >= time, "{:?}", begun.elapsed());
    fixture.stage.release.notify_one();
    assert_eq!(busy.answer().await.body, "released");
    busy.end().await;
    assert_eq!(fixture.server.live(), 0);
}

#[actix_rt::test]
async fn what_came_while_a_thread_did_not_run_is_answered() {
    let time = Duration::from_millis(200);
    let fixture = Fixture::new(keep_alive(time)).await;
    fixture.accept();
    let mut client = fixture.client().await;
    assert!(!client.get("/").await.closes);
    client.send("/").await;
    // Longer than actix's clock lags behind at most while its thread runs.
    thread::sleep(Duration::from_secs(1)); // wait: a handler that blocks its thread does this
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "hello"));
    assert!(!answer.closes, "its time has just begun anew");
    assert_eq!(client.get("/").await.body, "hello");
}

#[actix_rt::test]
async fn while_paused_connections_wait_in_the_queue() {
    let fixture = Fixture::accepting().await;
    let mut kept = fixture.client().await;
    kept.get("/").await;
    fixture.server.stop_accepting();
    assert!(!fixture.server.is_accepting());
    let mut waiting = fixture.client().await;
    waiting.send("/").await;
    // The thread has had every chance to take it: it answered somebody else meanwhile.
    kept.get("/").await;
    assert_eq!(fixture.server.live(), 1);
    fixture.accept();
    assert_eq!(waiting.answer().await.body, "hello");
}

#[actix_rt::test]
async fn a_drained_server_accepts_again_with_the_same_application() {
    let fixture = Fixture::accepting().await;
    fixture.client().await.get("/").await;
    fixture.server.drain(GRACE).await;
    fixture.accept();
    assert!(!fixture.client().await.get("/").await.closes);
    assert_eq!(fixture.stage.built.load(SeqCst), 1);
}

/// The kernel wakes one acceptor per connection: here one that never accepts, as if it had died that moment.
#[actix_rt::test]
async fn a_connection_whose_acceptor_was_lost_is_found_by_another() {
    let fixture = Fixture::new(HttpSettings::default()).await;
    let (stop, ready) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let listener = fixture.listener.try_clone().unwrap();
    listener.set_nonblocking(true).unwrap();
    let lost = {
        let (stop, ready) = (Arc::clone(&stop), Arc::clone(&ready));
        thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let first = Turns::take(TcpListener::from_std(listener).unwrap());
                assert!(first.is_exclusive());
                ready.add_permits(1);
                stop.acquire().await.unwrap().forget();
            });
        })
    };
    ready.acquire().await.unwrap().forget();
    fixture.accept();
    for _ in 0..3 {
        assert_eq!(fixture.client().await.get("/").await.body, "hello");
    }
    stop.add_permits(1);
    lost.join().unwrap();
}

#[actix_rt::test]
async fn force_close_spares_nobody() {
    let fixture = Fixture::accepting().await;
    let mut busy = fixture.client().await;
    busy.send("/held").await;
    fixture.stage.entered.notified().await;
    fixture.server.force_close();
    busy.end().await;
    fixture.server.closed().await;
    let traffic = fixture.meters.take();
    assert_eq!((traffic.abandoned, traffic.in_flight), (1, 0));
}

#[actix_rt::test]
async fn a_panic_ends_its_own_request_alone() {
    static SEEN: AtomicBool = AtomicBool::new(false);
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| match info.payload_as_str() {
        Some("a handler's panic") => SEEN.store(in_request(), SeqCst),
        Some("a body's panic") => {}
        _ => usual(info),
    }));
    let fixture = Fixture::accepting().await;
    let mut client = fixture.client().await;
    let answer = client.get("/panic").await;
    assert_eq!((answer.status, answer.closes), (500, true));
    client.end().await;
    assert!(SEEN.load(SeqCst), "the hook was told that it was a request");
    assert!(!in_request());

    let mut client = fixture.client().await;
    client.send("/broken").await;
    let mut cut = String::new();
    client.0.read_to_string(&mut cut).await.unwrap();
    assert!(!cut.ends_with("0\r\n\r\n"), "a complete answer: {cut}");

    let mut client = fixture.client().await;
    assert_eq!(client.get("/fails").await.status, 502);
    assert_eq!(client.get("/").await.body, "hello");
    let traffic = fixture.meters.take();
    assert_eq!((traffic.panics, traffic.requests), (2, 4));
    assert_eq!((traffic.errors, traffic.in_flight), (2, 0));
    assert!(traffic.p99 > Duration::ZERO);
}

#[actix_rt::test]
async fn at_the_bound_new_connections_wait_for_a_place() {
    let mut settings = HttpSettings::default();
    settings.max_connections = 1;
    let fixture = Fixture::new(settings).await;
    fixture.accept();
    let mut first = fixture.client().await;
    first.get("/").await;
    let mut second = fixture.client().await;
    second.send("/").await;
    first.get("/").await;
    assert_eq!(fixture.server.live(), 1);
    drop(first);
    assert_eq!(second.answer().await.body, "hello");
}

#[actix_rt::test]
async fn on_connect_sees_the_stream_and_leaves_data_to_the_requests() {
    let mut settings = HttpSettings::default();
    settings.on_connect(|stream, data| {
        let stream = stream.downcast_ref::<TcpStream>().unwrap();
        data.insert(stream.peer_addr().unwrap());
    });
    let fixture = Fixture::new(settings).await;
    fixture.accept();
    let mut client = fixture.client().await;
    let mine = client.0.local_addr().unwrap().to_string();
    assert_eq!(client.get("/peer").await.body, mine);
}

#[actix_rt::test]
async fn a_unix_socket_serves_beside_a_tcp_one() {
    let fixture = Fixture::accepting().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    fixture
        .server
        .accept(vec![Listener::Unix(listener)], None)
        .unwrap();
    let mut unix = Client(UnixStream::connect(&path).await.unwrap());
    assert_eq!(unix.get("/").await.body, "hello");
    assert_eq!(fixture.client().await.get("/").await.body, "hello");
    fixture.server.drain(GRACE).await;
    unix.end().await;
}

fn certificate() -> (ServerConfig, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (server, Arc::new(client))
}

type TlsClient = tokio_rustls::client::TlsStream<TcpStream>;

async fn tls_client(address: net::SocketAddr, config: &Arc<ClientConfig>) -> Client<TlsClient> {
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let connector = TlsConnector::from(Arc::clone(config));
    Client(connector.connect(name, tcp).await.unwrap())
}

#[actix_rt::test]
async fn a_stalled_handshake_holds_up_nobody_and_is_given_up() {
    let mut settings = HttpSettings::default();
    settings.tls_handshake_timeout = Duration::from_millis(200);
    let fixture = Fixture::new(settings).await;
    let (server, client) = certificate();
    let listener = fixture.listener.try_clone().unwrap();
    let secure = Listener::Tls(listener, Arc::new(server));
    fixture.server.accept(vec![secure], None).unwrap();

    let mut stalled = fixture.client().await;
    let address = fixture.listener.local_addr().unwrap();
    let mut quick = tls_client(address, &client).await;
    assert_eq!(quick.get("/").await.body, "hello");
    assert_eq!(fixture.server.live(), 2, "the stalled one is still there");
    stalled.end().await;
    assert_eq!(quick.get("/").await.body, "hello");
    // A drain ends a handshake with the idle.
    let mut stalled = fixture.client().await;
    assert_eq!(quick.get("/").await.body, "hello");
    fixture.server.drain(GRACE).await;
    quick.end().await;
    stalled.end().await;
}

#[actix_rt::test]
async fn http2_is_offered_only_where_it_was_asked_for() {
    for (http2, expected) in [(false, &b"http/1.1"[..]), (true, b"h2")] {
        let mut settings = HttpSettings::default();
        settings.http2 = http2;
        let fixture = Fixture::new(settings).await;
        let (mut server, client) = certificate();
        server.alpn_protocols = vec![b"h2".to_vec()];
        let listener = fixture.listener.try_clone().unwrap();
        let secure = Listener::Tls(listener, Arc::new(server));
        fixture.server.accept(vec![secure], None).unwrap();
        let mut client = Arc::unwrap_or_clone(client);
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let address = fixture.listener.local_addr().unwrap();
        let client = tls_client(address, &Arc::new(client)).await;
        assert_eq!(client.0.get_ref().1.alpn_protocol(), Some(expected));
    }
}

#[test]
fn two_acceptors_share_what_comes() {
    let page = Page::create(2).unwrap();
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stop = Arc::new(Semaphore::new(0));
    let (ready, mut is_ready) = mpsc::channel(2);
    let threads = [0, 1].map(|number| {
        let (slot, listener) = (page.slot(number), listener.try_clone().unwrap());
        let (stop, ready) = (Arc::clone(&stop), ready.clone());
        thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let factory = || App::new().route("/", web::get().to(|| async { "hello" }));
                let meter = Meters::new().for_thread();
                let sites = [site(&listener)];
                let server = Server::build(&factory, &sites, HttpSettings::default(), meter)
                    .await
                    .unwrap();
                server.accept(vec![Listener::Tcp(listener)], slot).unwrap();
                ready.send(()).await.unwrap();
                stop.acquire().await.unwrap().forget();
            });
        })
    });
    actix_rt::System::new().block_on(async {
        for _ in &threads {
            is_ready.recv().await.unwrap();
        }
        let mut clients = Vec::new();
        for _ in 0..64 {
            let mut client = Client(
                TcpStream::connect(listener.local_addr().unwrap())
                    .await
                    .unwrap(),
            );
            assert_eq!(client.get("/").await.body, "hello");
            clients.push(client);
        }
        assert_eq!(page.live(), 64);
        let busier = page
            .slot(0)
            .unwrap()
            .live()
            .max(page.slot(1).unwrap().live());
        assert!(busier <= 40, "{busier} of 64 on one of two");
        stop.add_permits(2);
    });
    for thread in threads {
        thread.join().unwrap();
    }
}
