//! Ten thousand requests that nobody in his right mind would send: none is answered by a 500, and nothing is changed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;

use crate::support::{Address, Cluster, Setup};

const REQUESTS: usize = 10_000;
const SEED: u64 = 7;
const TOKEN: &str = "0123456789abcdef";

const METHODS: &[&str] = &[
    "GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT",
    "BREW", "get", "\u{e9}",
];
const PATHS: &[&str] = &[
    "/",
    "/status",
    "/status/",
    "/status/os",
    "/status/os?reduce=sum",
    "/metrics",
    "/healthz",
    "/readyz",
    "/deps",
    "/debug",
    "/debug/",
    "/debug/app.js",
    "/debug/actions/pause",
    "/debug/actions/resume",
    "/debug/actions/roll",
    "/debug/actions/scale",
    "/debug/actions/mark-down",
    "/debug/actions/recycle",
    "/debug/caches/keys",
    "/debug/caches/entry",
    "/ecv",
    "/ecv/disable",
    "/ecv/enable",
    "*",
    "",
];
const PIECES: &[&str] = &[
    "..",
    "%2e%2e",
    "%00",
    "%ff",
    "%",
    "%zz",
    "\u{0}",
    "a",
    "//",
    "?",
    "?reduce=",
    "?namespace=",
    "&key=",
    "namespace=products",
    "{}",
    "\"",
    "<script>",
    "#",
    "status",
    "debug",
    "actions",
    "caches",
    " ",
    "\t",
    "\u{7f}",
    ";",
    "reduce=merge",
    "key=fig",
];
const HEADERS: &[&str] = &[
    "host: evil.example",
    "host: localhost",
    "host:",
    "host: [::1",
    "content-type: application/json",
    "content-type: text/plain",
    "transfer-encoding: chunked",
    "content-length: 99999999999999999999",
    "content-length: -1",
    "content-length: 70000",
    "authorization: Bearer x",
    "authorization: \u{ff}",
    "origin: null",
    "sec-fetch-site: cross-site",
    "accept-encoding: gzip",
    "connection: upgrade",
    "upgrade: websocket",
    "expect: 100-continue",
    "range: bytes=0-1",
    "x: \u{1}",
    "cookie: a=b",
];
const BODIES: &[&str] = &[
    "",
    "{}",
    "null",
    "[",
    "{\"worker\":1}",
    "{\"workers\":1e9}",
    "{\"worker\":-1,\"force\":1}",
    "\u{0}\u{0}",
    "5\r\nhello\r\n0\r\n\r\n",
    "[[[[[[[[[[[[[[[[",
];

/// Any request, but one that shows the token, says right what it wants and may have it.
fn request(rng: &mut Rng) -> Vec<u8> {
    let mut path = rng.choice(PATHS).copied().unwrap_or_default().to_owned();
    for _ in 0..rng.usize(0..4) {
        path.push_str(rng.choice(PIECES).copied().unwrap_or_default());
    }
    if rng.u8(..) == 0 {
        path.push_str(&"x".repeat(rng.usize(0..20_000)));
    }
    let method = rng.choice(METHODS).copied().unwrap_or_default();
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    if rng.u8(..) > 20 {
        head.push_str("host: localhost\r\n");
    }
    for _ in 0..rng.usize(0..4) {
        head.push_str(rng.choice(HEADERS).copied().unwrap_or_default());
        head.push_str("\r\n");
    }
    let mut body = rng
        .choice(BODIES)
        .copied()
        .unwrap_or_default()
        .as_bytes()
        .to_vec();
    if rng.u8(..) == 1 {
        body = vec![0; rng.usize(0..70_000)];
        rng.fill(&mut body);
    }
    // Every eighth one shows the token, and asks for what there is not, or for what may be looked at.
    if rng.u8(0..8) == 0 && (method == "GET" || !path.contains("actions")) && !path.contains("ecv/")
    {
        head.push_str(&format!("authorization: Bearer {TOKEN}\r\n"));
        head = head.replacen("DELETE ", "GET ", 1);
        head = head.replacen("PUT /status/os", "PUT /status/none", 1);
    }
    if rng.bool() {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    let mut bytes = head.into_bytes();
    bytes.extend(b"connection: close\r\n\r\n");
    bytes.extend(body);
    if rng.u8(..) == 2 {
        let cut = rng.usize(0..bytes.len());
        bytes.truncate(cut);
    }
    bytes
}

/// The status of the answer; none where the connection was closed without one.
fn send(address: SocketAddr, bytes: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(address).expect("the monitor is there");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // It may have answered before it has read all.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut head = [0; 32];
    let mut length = 0;
    while length < head.len() {
        match stream.read(&mut head[length..]) {
            Ok(0) | Err(_) => break,
            Ok(n) => length += n,
        }
    }
    let text = std::str::from_utf8(&head[..length]).ok()?;
    text.split(' ').nth(1)?.parse().ok()
}

/// What must not change.
fn essence(cluster: &Cluster) -> Value {
    let mut status = cluster.status();
    let workers = status["workers"].as_array_mut().unwrap();
    for worker in workers {
        let worker = worker.as_object_mut().unwrap();
        worker
            .retain(|key, _| ["id", "pid", "state", "generation", "build"].contains(&key.as_str()));
    }
    let keep = [
        "name",
        "state",
        "mark",
        "wanted",
        "serving",
        "rolling",
        "workers",
        "death_queue",
        "upgrade",
    ];
    status
        .as_object_mut()
        .unwrap()
        .retain(|key, _| keep.contains(&key.as_str()));
    status
}

#[test]
fn ten_thousand_senseless_requests_change_nothing() {
    let cluster = Setup::shop()
        .flag("--backend-ms", 0)
        .flag("--mon-token", TOKEN)
        .start();
    assert_eq!(cluster.get("/product/fig").status, 200);
    let before = essence(&cluster);
    let Address::Tcp(monitor) = cluster.monitor() else {
        panic!("it is TCP")
    };
    let mut rng = Rng::with_seed(SEED);
    let mut statuses = std::collections::BTreeMap::new();
    for n in 0..REQUESTS {
        let bytes = request(&mut rng);
        let status = send(monitor, &bytes);
        let shown = || String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
        assert_ne!(
            status,
            Some(500),
            "request {n} of seed {SEED}: {:?}",
            shown()
        );
        *statuses.entry(status).or_insert(0) += 1;
    }
    println!("{statuses:?}");
    assert!(statuses.len() > 6, "requests of all kinds: {statuses:?}");
    assert_eq!(essence(&cluster), before);
    let keys = {
        let token = format!("Bearer {TOKEN}");
        let mut connection = crate::support::Connection::open(&cluster.monitor()).unwrap();
        let headers = [("authorization", token.as_str())];
        connection
            .send("GET", "/debug/caches/keys?namespace=products", &headers)
            .unwrap()
    };
    assert_eq!(keys.json()["keys"], serde_json::json!(["fig"]));
    let log = cluster.log.text();
    assert!(!log.contains("panicked"), "{log}");
    cluster.stop();
}
